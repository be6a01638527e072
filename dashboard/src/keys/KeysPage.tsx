import { KeyRound, Plus } from "lucide-react";
import { useState } from "react";
import { useSession } from "@/session/useSession";
import { Button } from "@/ui/button";
import { Empty, Failure, Skeleton } from "@/ui/feedback";
import { Input } from "@/ui/field";
import { Card, Page } from "@/ui/page";
import { AuditLog } from "./AuditLog";
import { KeyFormDialog } from "./KeyForm";
import { KeyTable } from "./KeyTable";
import { SecretDialog } from "./SecretDialog";
import type { IssuedKey, Key } from "./types";
import { useKeys } from "./useKeys";

const matches = (key: Key, search: string) =>
  search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => [key.label, key.prefix, key.owner, key.team, key.role, key.status, key.id].some((text) => text.toLowerCase().includes(word)));

export function KeysPage() {
  const keys = useKeys();
  const { data: session } = useSession();
  const [search, setSearch] = useState("");
  const [creating, setCreating] = useState(false);
  const [issued, setIssued] = useState<IssuedKey | null>(null);
  const admin = session?.role === "admin";
  const shown = keys.data?.filter((k) => matches(k, search)) ?? [];
  return (
    <Page
      title="Keys"
      actions={
        admin && (
          <Button variant="primary" size="sm" onClick={() => setCreating(true)}>
            <Plus /> New key
          </Button>
        )
      }
    >
      <div className="space-y-4">
        {session?.open && <OpenNotice />}
        {keys.isPending && <Skeleton className="h-64 rounded-xl" />}
        {keys.isError && <Failure title="The keys could not be read" error={keys.error} retry={() => void keys.refetch()} />}
        {keys.data && keys.data.length === 0 && (
          <Card>
            <Empty icon={<KeyRound />} title="No keys yet">
              A key says whose a request is, what it may use, and how much.
            </Empty>
          </Card>
        )}
        {keys.data && keys.data.length > 0 && (
          <Card
            className="overflow-hidden"
            title={admin ? "All keys" : "Your key"}
            actions={keys.data.length > 5 && <Input type="search" aria-label="Search keys" placeholder="Search" className="h-8 w-56" value={search} onChange={(event) => setSearch(event.target.value)} />}
          >
            <KeyTable keys={shown} admin={admin} onIssued={setIssued} />
          </Card>
        )}
        {admin && <AuditLog />}
      </div>
      <KeyFormDialog open={creating} onClose={() => setCreating(false)} onIssued={setIssued} firstRole={keys.data?.length === 0 ? "admin" : "member"} />
      <SecretDialog issued={issued} onClose={() => setIssued(null)} />
    </Page>
  );
}

function OpenNotice() {
  return (
    <p className="rounded-xl border bg-warning-soft px-4 py-2.5">
      <strong className="font-semibold">This gateway is open:</strong> everybody who reaches it may use it and sees everything. The first key closes it; make that one an admin’s, and this page goes on with it.
    </p>
  );
}

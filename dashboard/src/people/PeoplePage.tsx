import { UserPlus } from "lucide-react";
import { useState } from "react";
import { AuditLog } from "@/keys/AuditLog";
import { useAuthConfig, useSession } from "@/session/useSession";
import { Button } from "@/ui/button";
import { Empty, Failure, Skeleton } from "@/ui/feedback";
import { Card, Page } from "@/ui/page";
import { PersonForm } from "./PersonForm";
import { SignInSetup } from "./SignInSetup";
import { TeamsCard } from "./TeamsCard";
import { UserTable } from "./UserTable";
import { useUsers } from "./usePeople";

export function PeoplePage() {
  const config = useAuthConfig();
  const users = useUsers();
  const { data: session } = useSession();
  const [inviting, setInviting] = useState(false);
  return (
    <Page
      title="People"
      actions={
        config.data?.sign_in && (
          <Button variant="primary" size="sm" onClick={() => setInviting(true)}>
            <UserPlus /> Invite
          </Button>
        )
      }
    >
      <div className="space-y-4">
        {config.data?.setup && <SignInSetup config={config.data} />}
        {users.isPending && <Skeleton className="h-64 rounded-xl" />}
        {users.isError && <Failure title="The people could not be read" error={users.error} retry={() => void users.refetch()} />}
        {users.data?.length === 0 && (
          <Card>
            <Empty title="Nobody has signed in yet">{session?.open ? "The first person who signs in is an administrator." : "People appear here when they sign in or are invited."}</Empty>
          </Card>
        )}
        {!!users.data?.length && (
          <Card title="Everybody" className="overflow-hidden">
            <UserTable users={users.data} own={session?.user_id ?? null} />
          </Card>
        )}
        {users.isSuccess && <TeamsCard />}
        {users.isSuccess && <AuditLog />}
      </div>
      <PersonForm open={inviting} onClose={() => setInviting(false)} />
    </Page>
  );
}

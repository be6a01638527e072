import { Gauge as GaugeIcon } from "lucide-react";
import { useKeys } from "@/keys/useKeys";
import type { Key } from "@/keys/types";
import { usePageSearch } from "@/lib/search";
import { useSession } from "@/session/useSession";
import { UsageTabs } from "@/usage/UsageTabs";
import { Empty, Failure, Skeleton } from "@/ui/feedback";
import { Select } from "@/ui/field";
import { Card, Page } from "@/ui/page";
import { BudgetEvents } from "./BudgetEvents";
import { Gauges } from "./Gauges";
import { useLeft } from "./useLeft";

/** What is left of the limits and budgets: of one's own key, or to admins of any. */
export function LimitsPage() {
  const [search, setSearch] = usePageSearch();
  const { data: session } = useSession();
  const keys = useKeys();
  const admin = session?.role === "admin";
  const working = keys.data?.filter((k) => k.status === "active") ?? [];
  const own = session?.key_id ?? "";
  const listed = working.some((k) => k.id === own);
  const chosen = admin ? (search.key ?? (listed ? own : working[0]?.id)) : undefined;
  const left = useLeft(chosen);
  return (
    <Page title="Usage" actions={<UsageTabs />}>
      <div className="space-y-4">
        {admin && working.length > 0 && <KeyChoice keys={working} value={chosen ?? ""} onChange={(key) => setSearch({ key })} />}
        {left.isPending && <Skeleton className="h-48 rounded-xl" />}
        {left.isError && <Failure title="What is left could not be read" error={left.error} retry={() => void left.refetch()} />}
        {left.data && (
          <Card title={nameOf(left.data.key, keys.data)}>
            {left.data.limits.length + left.data.budgets.length > 0 ? <Gauges left={left.data} /> : <Unlimited />}
          </Card>
        )}
        <BudgetEvents />
        <p className="text-[0.8125rem] text-muted">
          Every limit and every budget must have room for a request; the one that refuses first is marked. Limits start again at whole minutes, hours and days, budgets at days, weeks and months, all in UTC. Limits of single models are
          shown where a request is explained, on the System page.
        </p>
      </div>
    </Page>
  );
}

const nameOf = (id: string, keys?: Key[]) => {
  const label = keys?.find((k) => k.id === id)?.label;
  return label ? `What is left for “${label}”` : id.startsWith("key_") ? "What is left for this key" : "What is left for requests without a key";
};

function KeyChoice({ keys, value, onChange }: { keys: Key[]; value: string; onChange: (id: string) => void }) {
  return (
    <label className="flex flex-wrap items-center gap-2">
      <span className="text-muted">Key</span>
      <Select className="w-auto max-w-full" value={value} onChange={(event) => onChange(event.target.value)}>
        {keys.map((k) => (
          <option key={k.id} value={k.id}>
            {k.label} ({k.prefix}…)
          </option>
        ))}
      </Select>
    </label>
  );
}

function Unlimited() {
  return (
    <Empty icon={<GaugeIcon />} title="Nothing limits these requests">
      Limits and budgets stand in the configuration file, below <code className="font-mono">limits</code> and <code className="font-mono">budgets</code>; a key may have its own, on the Keys page.
    </Empty>
  );
}

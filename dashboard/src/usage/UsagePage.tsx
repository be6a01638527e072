import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ChartColumn, FileDown } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { address, getJSON } from "@/api/client";
import type { Usage } from "@/api/types";
import { useModels } from "@/chat/models";
import { download } from "@/lib/download";
import type { Zone } from "@/lib/format";
import { readRange } from "@/lib/range";
import { usePageSearch } from "@/lib/search";
import { useZone } from "@/lib/zone";
import { Button } from "@/ui/button";
import { Empty, Failure, Skeleton } from "@/ui/feedback";
import { Select } from "@/ui/field";
import { Card, Page, Segments } from "@/ui/page";
import { RangePicker } from "@/ui/range-picker";
import { GroupTable } from "./GroupTable";
import { latencyMetrics, metrics } from "./metrics";
import { Notes } from "./Notes";
import { Stats } from "./Stats";

const UsageChart = lazy(() => import("./UsageChart"));

const groups = [
  { name: "model", label: "Model" },
  { name: "backend", label: "Backend" },
  { name: "key", label: "Key" },
  { name: "user", label: "User" },
] as const;

/** The parameters of /api/usage for an address. */
function queryOf(search: Record<string, string | undefined>, zone: Zone) {
  const { from, to, interval } = readRange(search, zone);
  return {
    from: from.toISOString(),
    to: to.toISOString(),
    interval,
    zone: zone === "utc" ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone,
    group: search.group ?? "model",
    model: search.model,
    backend: search.backend,
    key: search.key,
    user: search.user,
  };
}

export function UsagePage() {
  const [search, setSearch] = usePageSearch();
  const [zone] = useZone();
  const query = queryOf(search, zone);
  const usage = useQuery({
    queryKey: ["usage", query],
    queryFn: ({ signal }) => getJSON<Usage>("/api/usage", query, signal),
    placeholderData: keepPreviousData,
    refetchInterval: 30_000,
  });
  return (
    <Page title="Usage" actions={<RangePicker search={search} onChange={(change) => setSearch({ ...change })} />}>
      <Filters search={search} setSearch={setSearch} />
      {usage.isError && <Failure title="The usage could not be read" error={usage.error} retry={() => void usage.refetch()} />}
      {usage.isPending && <UsageSkeleton />}
      {usage.data && <UsageView usage={usage.data} query={query} search={search} setSearch={setSearch} />}
    </Page>
  );
}

interface SearchProps {
  search: Record<string, string | undefined>;
  setSearch: (change: Record<string, string | undefined>) => void;
}

/** Filters that an address holds; those that were set by a click can be taken back. */
function Filters({ search, setSearch }: SearchProps) {
  const models = useModels().data ?? [];
  const others = (["backend", "key", "user"] as const).filter((name) => search[name]);
  return (
    <div className="mb-4 flex flex-wrap items-center gap-2">
      <Segments label="Group by" value={(search.group ?? "model") as string} options={groups} onChange={(group) => setSearch({ group: group === "model" ? undefined : group })} />
      <Select aria-label="Filter by model" className="h-8 w-auto max-w-52 text-[0.8125rem]" value={search.model ?? ""} onChange={(event) => setSearch({ model: event.target.value || undefined })}>
        <option value="">All models</option>
        {[...new Set([...models.map((m) => m.id), ...(search.model ? [search.model] : [])])].map((id) => (
          <option key={id}>{id}</option>
        ))}
      </Select>
      {others.map((name) => (
        <Button key={name} size="sm" onClick={() => setSearch({ [name]: undefined })} aria-label={`Take back the filter ${name}`}>
          {name}: {search[name]} ×
        </Button>
      ))}
    </div>
  );
}

function UsageSkeleton() {
  return (
    <div className="space-y-4" aria-busy>
      <div className="grid grid-cols-2 gap-3 md:grid-cols-3 xl:grid-cols-6">
        {Array.from({ length: 6 }, (_, i) => (
          <Skeleton key={i} className="h-24 rounded-xl" />
        ))}
      </div>
      <Skeleton className="h-80 rounded-xl" />
    </div>
  );
}

function UsageView({ usage, query, search, setSearch }: SearchProps & { usage: Usage; query: ReturnType<typeof queryOf> }) {
  const shown = search.show ?? "cost";
  const choices = [...metrics, ...latencyMetrics].map(({ name, label }) => ({ name, label }));
  if (usage.totals.requests === 0) {
    return (
      <Card>
        <Empty icon={<ChartColumn />} title="No requests in this time">
          Choose a longer one, take back a filter, or send the first request in the chat.
        </Empty>
      </Card>
    );
  }
  return (
    <div className="space-y-4">
      <Stats usage={usage} shown={shown} onShow={(name) => setSearch({ show: name === "cost" ? undefined : name })} />
      <Card
        title={choices.find((c) => c.name === shown)?.label}
        actions={
          <>
            <span className="text-[0.8125rem] text-muted">
              by {usage.interval}, {usage.zone}
            </span>
            <CSVButton query={query} />
          </>
        }
      >
        <Suspense fallback={<Skeleton className="m-4 h-72" />}>
          <UsageChart usage={usage} shown={shown} group={query.group} search={search} />
        </Suspense>
      </Card>
      <Notes usage={usage} />
      <GroupTable usage={usage} group={query.group} search={search} />
    </div>
  );
}

/** The figures that are shown, as a table for spreadsheets. */
function CSVButton({ query }: { query: ReturnType<typeof queryOf> }) {
  const [fault, setFault] = useState<string | null>(null);
  const save = async () => {
    const response = await fetch(address("/api/usage", query), { headers: { Accept: "text/csv" } }).catch(() => null);
    setFault(response?.ok ? null : "The table could not be read.");
    if (response?.ok) download(`usage-${query.from.slice(0, 10)}.csv`, "text/csv", await response.text());
  };
  return (
    <>
      {fault && (
        <span role="alert" className="text-danger">
          {fault}
        </span>
      )}
      <Button size="sm" variant="ghost" onClick={() => void save()}>
        <FileDown /> CSV
      </Button>
    </>
  );
}

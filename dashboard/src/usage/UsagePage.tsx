import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ChartColumn } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { address, getJSON } from "@/api/client";
import type { Usage } from "@/api/types";
import { dimensions, filtersOf, groupOf } from "@/filters/dimensions";
import { FilterBar } from "@/filters/FilterBar";
import { parseCSV, toCSV, type Separator } from "@/lib/csv";
import { download } from "@/lib/download";
import type { Zone } from "@/lib/format";
import { readRange } from "@/lib/range";
import { usePageSearch } from "@/lib/search";
import { useZone } from "@/lib/zone";
import { CSVMenu } from "@/ui/csv-menu";
import { Empty, Failure, Skeleton } from "@/ui/feedback";
import { Select } from "@/ui/field";
import { Card, Page, Segments } from "@/ui/page";
import { RangePicker } from "@/ui/range-picker";
import { GroupTable } from "./GroupTable";
import { latencyMetrics, metrics } from "./metrics";
import { Notes } from "./Notes";
import { Stats } from "./Stats";
import { UsageTabs } from "./UsageTabs";

const UsageChart = lazy(() => import("./UsageChart"));

/** The parameters of /api/usage for an address. */
function queryOf(search: Record<string, string | undefined>, zone: Zone) {
  const { from, to, interval } = readRange(search, zone);
  return {
    from: from.toISOString(),
    to: to.toISOString(),
    interval,
    zone: zone === "utc" ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone,
    group: groupOf(search),
    ...filtersOf(search),
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
    <Page
      title="Usage"
      actions={
        <>
          <UsageTabs />
          <RangePicker search={search} onChange={(change) => setSearch({ ...change })} />
        </>
      }
    >
      <div className="mb-4 flex flex-wrap items-center gap-2">
        <GroupChoice search={search} setSearch={setSearch} />
        <FilterBar search={search} setSearch={setSearch} span={{ from: query.from, to: query.to }} />
      </div>
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

/** What usage is grouped by: all choices in sight, or a list on a phone. */
function GroupChoice({ search, setSearch }: SearchProps) {
  const group = groupOf(search);
  const choose = (name: string) => setSearch({ group: name === "model" ? undefined : name });
  return (
    <>
      <span className="max-sm:hidden">
        <Segments label="Group by" value={group} options={dimensions} onChange={choose} />
      </span>
      <Select aria-label="Group by" className="h-8 w-auto text-[0.8125rem] sm:hidden" value={group} onChange={(event) => choose(event.target.value)}>
        {dimensions.map(({ name, label }) => (
          <option key={name} value={name}>
            By {label.toLowerCase()}
          </option>
        ))}
      </Select>
    </>
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
        <Suspense fallback={<Skeleton className="m-4 h-76" />}>
          <UsageChart usage={usage} shown={shown} group={query.group} search={search} />
        </Suspense>
      </Card>
      <Notes usage={usage} group={query.group} />
      <GroupTable usage={usage} group={query.group} search={search} onBreakDown={setSearch} />
    </div>
  );
}

/** The figures that are shown, as a table for spreadsheets. */
function CSVButton({ query }: { query: ReturnType<typeof queryOf> }) {
  const [fault, setFault] = useState<string | null>(null);
  const save = async (separator: Separator) => {
    const response = await fetch(address("/api/usage", query), { headers: { Accept: "text/csv" } }).catch(() => null);
    setFault(response?.ok ? null : "The table could not be read.");
    if (response?.ok) download(`usage-${query.from.slice(0, 10)}.csv`, "text/csv", toCSV(parseCSV(await response.text()), separator));
  };
  return (
    <>
      {fault && (
        <span role="alert" className="text-danger">
          {fault}
        </span>
      )}
      <CSVMenu onSave={(separator) => void save(separator)} />
    </>
  );
}

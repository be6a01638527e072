import { useState } from "react";
import { FilterBar } from "@/filters/FilterBar";
import type { Separator } from "@/lib/csv";
import { download } from "@/lib/download";
import { formatNumber } from "@/lib/format";
import { usePageSearch } from "@/lib/search";
import { useZone } from "@/lib/zone";
import { CSVMenu } from "@/ui/csv-menu";
import { Failure } from "@/ui/feedback";
import { Input, Select } from "@/ui/field";
import { Page } from "@/ui/page";
import { RangePicker } from "@/ui/range-picker";
import { exportRequests } from "./exportRequests";
import { minima, outcomes, queryOf } from "./filters";
import { RequestTabs } from "./RequestTabs";
import { RequestTable } from "./RequestTable";
import type { LiveState } from "./live";
import { useRequests } from "./useRequests";

export function RequestsPage() {
  const [search, setSearch] = usePageSearch();
  const [zone] = useZone();
  const [live, setLive] = useState(true);
  const query = queryOf(search, zone);
  const list = useRequests(query, live && !search.to);
  return (
    <Page title="Requests" fixed
      actions={
        <>
          <RequestTabs />
          <RangePicker search={search} onChange={(change) => setSearch({ ...change })} />
        </>
      }
    >
      <div className="mb-3 flex flex-wrap items-center gap-2">
        <Filters search={search} setSearch={setSearch} span={{ from: query.from, to: query.to }} />
        <div className="ml-auto flex items-center gap-2">
          <label className="flex items-center gap-2 text-[0.8125rem]">
            <input type="checkbox" className="size-4 accent-accent" checked={live && !search.to} disabled={!!search.to} onChange={(event) => setLive(event.target.checked)} />
            Live
            <LiveDot state={list.live} />
          </label>
          <ExportButton query={query} />
        </div>
      </div>
      {list.error ? <Failure title="The requests could not be read" error={list.error} retry={list.retry} /> : <RequestTable list={list} filtered={Object.keys(search).length > 0} />}
    </Page>
  );
}

const liveWords: Record<LiveState, string> = { off: "", streamed: "New requests are streamed as they end", polled: "New requests are asked for every two seconds" };

function LiveDot({ state }: { state: LiveState }) {
  if (state === "off") return null;
  return <span role="img" aria-label={liveWords[state]} title={liveWords[state]} className={state === "streamed" ? "size-2 rounded-full bg-good" : "size-2 rounded-full bg-warning"} />;
}

interface SearchProps {
  search: Record<string, string | undefined>;
  setSearch: (change: Record<string, string | undefined>) => void;
  span: { from: string; to?: string };
}

const half = "max-sm:w-[calc(50%-0.25rem)]"; // two in a row on a phone
const plainNumber = "[appearance:textfield] [&::-webkit-inner-spin-button]:appearance-none"; // its arrows would hide the placeholder
const filterStyle = `h-8 text-[0.8125rem] ${half}`;

function Filters({ search, setSearch, span }: SearchProps) {
  return (
    <>
      <FilterBar search={search} setSearch={setSearch} span={span} />
      <Select aria-label="Filter by outcome" className={`${filterStyle} w-auto max-w-40`} value={search.outcome ?? ""} onChange={(event) => setSearch({ outcome: event.target.value || undefined })}>
        <option value="">All outcomes</option>
        <option value="failed">Failed at a provider</option>
        {Object.entries(outcomes).map(([name, { label }]) => (
          <option key={name} value={name}>
            {label}
          </option>
        ))}
      </Select>
      {minima.map((m) => (
        <Input
          key={m.name + (search[m.name] ?? "")}
          type="number"
          min={0}
          step={m.step}
          aria-label={m.label}
          title={m.label}
          placeholder={m.short}
          className={`${filterStyle} ${m.width} ${plainNumber}`}
          defaultValue={search[m.name] ?? ""}
          onKeyDown={(event) => event.key === "Enter" && setSearch({ [m.name]: event.currentTarget.value || undefined })}
          onBlur={(event) => setSearch({ [m.name]: event.target.value || undefined })}
        />
      ))}
      <Input
        aria-label="Find a request id"
        placeholder="Request id"
        className={`${filterStyle} w-32`}
        defaultValue={search.request_id ?? ""}
        key={search.request_id}
        onKeyDown={(event) => event.key === "Enter" && setSearch({ request_id: event.currentTarget.value.trim() || undefined })}
        onBlur={(event) => setSearch({ request_id: event.target.value.trim() || undefined })}
      />
    </>
  );
}

/** Saves all that the filters choose, not what is in sight. */
function ExportButton({ query }: { query: ReturnType<typeof queryOf> }) {
  const [state, setState] = useState("");
  const [busy, setBusy] = useState(false);
  const save = async (separator: Separator) => {
    setBusy(true);
    try {
      const { text, cut } = await exportRequests(query, separator, (rows) => setState(`${formatNumber(rows)} rows`));
      download("requests.csv", "text/csv", text);
      setState(cut ? "Cut: choose a shorter time for the rest" : "");
    } catch (error) {
      setState(error instanceof Error ? error.message : String(error));
    }
    setBusy(false);
  };
  return (
    <>
      <span role="status" className="text-[0.8125rem] text-muted">
        {state}
      </span>
      <CSVMenu disabled={busy} onSave={(separator) => void save(separator)} />
    </>
  );
}

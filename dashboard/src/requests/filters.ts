import type { RequestRow } from "@/api/types";
import { filtersOf } from "@/filters/dimensions";
import type { Tone } from "@/ui/feedback";
import type { Zone } from "@/lib/format";
import { readRange } from "@/lib/range";

/** The parameters of /api/requests for an address. */
export function queryOf(search: Record<string, string | undefined>, zone: Zone): { from: string } & Record<string, string | undefined> {
  const { from, to } = readRange(search, zone);
  const open = !search.to; // what comes later belongs to it
  return {
    from: from.toISOString(),
    to: open ? undefined : to.toISOString(),
    ...filtersOf(search),
    outcome: search.outcome,
    request_id: search.request_id,
    ...Object.fromEntries(minima.map(({ name }) => [name, search[name]])),
  };
}

/** Figures that requests must reach, as the API names them. */
export const minima = [
  { name: "min_cost", label: "Cost at least, in dollars", short: "Cost ≥ $", step: "any", width: "w-24" },
  { name: "min_duration_ms", label: "Total time at least, in milliseconds", short: "Total ≥ ms", step: "1", width: "w-28" },
  { name: "min_ttft_ms", label: "First token at the earliest, in milliseconds", short: "First token ≥ ms", step: "1", width: "w-36" },
] as const;

/** Outcomes in words; the short ones stand in the table. */
export const outcomes: Record<RequestRow["outcome"], { label: string; short: string; tone: Tone }> = {
  ok: { label: "OK", short: "OK", tone: "good" },
  provider_error: { label: "Provider error", short: "Error", tone: "danger" },
  provider_closed: { label: "Provider broke off", short: "Broke off", tone: "danger" },
  client_closed: { label: "Client left", short: "Client left", tone: "warning" },
  gateway_closed: { label: "Gateway broke off", short: "Ended", tone: "danger" },
  unknown: { label: "Unknown", short: "Unknown", tone: "warning" },
};

/** Completion tokens a second, from the first byte on; null where that says nothing. */
export function speedOf(r: Pick<RequestRow, "ttft_ms" | "duration_ms" | "completion_tokens" | "stream">): number | null {
  if (!r.stream || r.ttft_ms === null || r.completion_tokens < 2 || r.duration_ms - r.ttft_ms < 50) return null;
  return (r.completion_tokens / (r.duration_ms - r.ttft_ms)) * 1000;
}

/**
 * The rows that were read, in their newest state, and those of the received ones that are shown:
 * newest first, each once.
 */
export function mergeRows(known: readonly RequestRow[], received: ReadonlyMap<string, RequestRow>, shown: ReadonlySet<string>): RequestRow[] {
  const ids = new Set(known.map((r) => r.id));
  const more = [...received.values()].filter((r) => shown.has(r.id) && !ids.has(r.id));
  const rows = known.map((r) => received.get(r.id) ?? r);
  return more.length === 0 ? rows : [...more, ...rows].sort(newestFirst);
}

const newestFirst = (a: RequestRow, b: RequestRow) => (a.started_at === b.started_at ? (a.id < b.id ? 1 : -1) : a.started_at < b.started_at ? 1 : -1);

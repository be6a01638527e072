import type { Zone } from "./format";

/** A span of time as it stands in an address: a name, or two times. */
export interface RangeSearch {
  range?: string;
  from?: string;
  to?: string;
}

export interface Range {
  from: Date;
  to: Date;
  interval: "hour" | "day";
}

const day = 86_400_000;

/** The ranges that are offered. Days are whole ones, and today is one of them. */
export const ranges = [
  { name: "1h", label: "Hour", days: 0 },
  { name: "24h", label: "24 hours", days: 0 },
  { name: "7d", label: "7 days", days: 7 },
  { name: "30d", label: "30 days", days: 30 },
  { name: "90d", label: "90 days", days: 90 },
] as const;

export const defaultRange = "24h";

/** Reads a range; what makes no sense is the default. Times are cut to the minute, so that answers are kept for one. */
export function readRange(search: RangeSearch, zone: Zone, now = Date.now()): Range {
  const from = Date.parse(search.from ?? "");
  const to = Date.parse(search.to ?? "");
  if (from < to) return { from: new Date(from), to: new Date(to), interval: to - from <= 3 * day ? "hour" : "day" };
  const end = Math.ceil(now / 60_000) * 60_000;
  const known = ranges.find((r) => r.name === search.range);
  if (!known || known.days === 0) {
    const hours = search.range === "1h" ? 1 : 24;
    return { from: new Date(end - hours * 3_600_000), to: new Date(end), interval: "hour" };
  }
  return { from: startOfDay(end, zone, known.days - 1), to: new Date(end), interval: "day" };
}

/** The beginning of a day, some days before the one that a time is in. */
function startOfDay(time: number, zone: Zone, before: number): Date {
  const at = new Date(time);
  if (zone === "utc") return new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate() - before));
  return new Date(at.getFullYear(), at.getMonth(), at.getDate() - before);
}

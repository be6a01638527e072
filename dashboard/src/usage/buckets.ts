import type { Percentiles, Usage } from "@/api/types";
import type { Zone } from "@/lib/format";
import type { LatencyMetric } from "./metrics";

/** The label of a bucket on the axis: a day, or an hour with its day where there are several. */
export function bucketLabel({ interval, buckets }: Pick<Usage, "interval" | "buckets">, zone: Zone): (index: number) => string {
  const days: Intl.DateTimeFormatOptions = { month: "short", day: "numeric" };
  const hours: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", ...(buckets.length > 26 ? { weekday: "short" } : {}) };
  const format = new Intl.DateTimeFormat(undefined, { ...(interval === "day" ? days : hours), timeZone: zone === "utc" ? "UTC" : undefined });
  return (index) => (buckets[index] ? format.format(new Date(buckets[index].start)) : "");
}

/** A point of a chart with lines: what is sure, and what the time that is not over adds to it. */
export type LinePoint = { index: number } & Record<`solid${number}` | `open${number}`, number | null>;

type Buckets = readonly { complete: boolean }[];

/** The lines of a latency. A bucket without requests is a gap. */
export const latencyPoints = ({ latency, buckets }: { latency: readonly Percentiles[]; buckets: Buckets }, { lines }: LatencyMetric) =>
  linePoints(buckets, lines.map((line) => latency.map((percentiles) => line.of(percentiles))));

/** Lines, each with a value for every bucket. The way into a bucket that is not over is a line of its own, which is dashed. */
export function linePoints(buckets: Buckets, lines: readonly (readonly (number | null)[])[]): LinePoint[] {
  const isOpen = (index: number) => buckets[index]?.complete === false;
  return buckets.map((_, index) => {
    const point: LinePoint = { index };
    for (const [n, values] of lines.entries()) {
      const value = values[index] ?? null;
      point[`solid${n}`] = isOpen(index) ? null : value;
      point[`open${n}`] = isOpen(index) || isOpen(index + 1) ? value : null;
    }
    return point;
  });
}

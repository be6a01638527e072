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

/** A point of the latency chart: what is sure, and what the time that is not over adds to it. */
export type LatencyPoint = { index: number } & Record<`solid${number}` | `open${number}`, number | null>;

/**
 * The lines of a latency. A bucket without requests is a gap. The way into a bucket that is not
 * over is a line of its own, which is dashed.
 */
export function latencyPoints({ latency, buckets }: { latency: readonly Percentiles[]; buckets: readonly { complete: boolean }[] }, { lines }: LatencyMetric): LatencyPoint[] {
  const isOpen = (index: number) => buckets[index]?.complete === false;
  return latency.map((percentiles, index) => {
    const point: LatencyPoint = { index };
    for (const [n, line] of lines.entries()) {
      const value = line.of(percentiles);
      point[`solid${n}`] = isOpen(index) ? null : value;
      point[`open${n}`] = isOpen(index) || isOpen(index + 1) ? value : null;
    }
    return point;
  });
}

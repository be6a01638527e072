import type { Usage } from "@/api/types";
import { formatTime } from "@/lib/format";
import { useZone } from "@/lib/zone";
import { colourOf, nameOfSeries } from "./colours";
import type { Metric } from "./metrics";

export const tooltipStyle = "figures rounded-lg border bg-raised px-3 py-2 shadow-lg";

interface TooltipProps {
  active?: boolean;
  label?: number | string;
  usage: Usage;
  group: string;
  metric: Metric;
  /** Whether requests are in several groups, which are then not added up. */
  overlapping?: boolean;
}

/** What a bucket's bar is made of. */
export function BucketTooltip({ active, label, usage, group, metric, overlapping }: TooltipProps) {
  const index = Number(label);
  if (!active || !usage.buckets[index]) return null;
  const rows = usage.series.map((s, n) => ({ name: nameOfSeries(s, group), colour: colourOf(s, n), value: metric.of(s.points[index]!) })).filter((r) => r.value > 0);
  return (
    <div className={tooltipStyle}>
      <BucketHeading usage={usage} index={index} />
      {rows.map((r) => (
        <p key={r.name} className="flex items-center gap-2">
          <span className="size-2 rounded-sm" style={{ background: r.colour }} />
          <span className="mr-4 max-w-48 truncate">{r.name}</span>
          <span className="ml-auto">{metric.format(r.value)}</span>
        </p>
      ))}
      {rows.length === 0 && <p className="text-muted">nothing</p>}
      {rows.length > 1 && !overlapping && (
        <p className="mt-1 flex border-t pt-1 font-medium">
          <span>All</span>
          <span className="ml-auto">{metric.format(rows.reduce((sum, r) => sum + r.value, 0))}</span>
        </p>
      )}
    </div>
  );
}

export function BucketHeading({ usage, index }: { usage: Usage; index: number }) {
  const [zone] = useZone();
  const bucket = usage.buckets[index];
  if (!bucket) return null;
  return (
    <p className="mb-1 font-medium">
      {formatTime(bucket.start, zone, false)}
      {!bucket.complete && <span className="text-muted"> (not over yet)</span>}
    </p>
  );
}

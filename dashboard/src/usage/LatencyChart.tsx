import { CartesianGrid, Line, LineChart, Tooltip, XAxis, YAxis } from "recharts";
import type { Usage } from "@/api/types";
import { useZone } from "@/lib/zone";
import { bucketLabel, latencyPoints } from "./buckets";
import { BucketHeading, tooltipStyle } from "./BucketTooltip";
import { axis } from "./colours";
import { formatLatency, type LatencyMetric } from "./metrics";

/** Percentiles over time, of all groups together. */
export function LatencyChart({ usage, metric }: { usage: Usage; metric: LatencyMetric }) {
  const [zone] = useZone();
  return (
    <LineChart data={latencyPoints(usage, metric)} accessibilityLayer={false}>
      <CartesianGrid vertical={false} stroke="var(--line)" />
      <XAxis dataKey="index" tickFormatter={bucketLabel(usage, zone)} minTickGap={24} {...axis} />
      <YAxis width={72} tickFormatter={formatLatency} {...axis} />
      <Tooltip isAnimationActive={false} content={<LatencyTooltip usage={usage} metric={metric} />} />
      {metric.lines.flatMap((_, n) => [
        <Line key={`solid${n}`} dataKey={`solid${n}`} {...lineStyle(n)} connectNulls={false} />,
        <Line key={`open${n}`} dataKey={`open${n}`} {...lineStyle(n)} strokeDasharray="4 3" connectNulls={false} />,
      ])}
    </LineChart>
  );
}

const lineStyle = (n: number) => ({ stroke: `var(--chart-${n + 1})`, strokeWidth: 2, dot: { r: 1.5, strokeDasharray: "none", fill: `var(--chart-${n + 1})` }, isAnimationActive: false });

function LatencyTooltip({ active, label, usage, metric }: { active?: boolean; label?: number | string; usage: Usage; metric: LatencyMetric }) {
  const index = Number(label);
  const percentiles = usage.latency[index];
  if (!active || !percentiles) return null;
  return (
    <div className={tooltipStyle}>
      <BucketHeading usage={usage} index={index} />
      {metric.lines.map((line, n) => {
        const value = line.of(percentiles);
        return (
          <p key={line.label} className="flex items-center gap-2">
            <span className="size-2 rounded-sm" style={{ background: `var(--chart-${n + 1})` }} />
            <span className="mr-4">{line.label}</span>
            <span className="ml-auto">{value === null ? "no requests" : `≈ ${formatLatency(value)}`}</span>
          </p>
        );
      })}
    </div>
  );
}

import { useNavigate } from "@tanstack/react-router";
import { Bar, BarChart, CartesianGrid, Line, LineChart, Rectangle, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import type { Usage } from "@/api/types";
import { filtersOf } from "@/filters/dimensions";
import { useZone } from "@/lib/zone";
import { bucketLabel } from "./buckets";
import { BucketTooltip } from "./BucketTooltip";
import { LatencyChart } from "./LatencyChart";
import { axis, colourOf } from "./colours";
import { latencyMetrics, metrics, type Metric } from "./metrics";

interface UsageChartProps {
  usage: Usage;
  shown: string;
  group: string;
  search: Record<string, string | undefined>;
}

/** A metric over time. A click on a bar shows the requests behind it; the table below has the same figures. */
export default function UsageChart(props: UsageChartProps) {
  const latency = latencyMetrics.find((m) => m.name === props.shown);
  const metric = metrics.find((m) => m.name === props.shown) ?? metrics[0]!;
  return (
    <figure className="px-2 pt-4 pb-2 text-xs">
      <div role="img" aria-label={`${(latency ?? metric).label} over time; the table below has the figures`} className="h-76">
        <ResponsiveContainer width="100%" height="100%">
          {latency ? <LatencyChart usage={props.usage} metric={latency} /> : props.group === "tag" ? <TagLines {...props} metric={metric} /> : <Sums {...props} metric={metric} />}
        </ResponsiveContainer>
      </div>
      {latency && <LatencyLegend labels={latency.lines.map((line) => line.label)} />}
    </figure>
  );
}

function LatencyLegend({ labels }: { labels: string[] }) {
  return (
    <figcaption className="flex flex-wrap justify-center gap-x-5 gap-y-1 pt-1 text-muted">
      {labels.map((label, index) => (
        <span key={label} className="flex items-center gap-1.5">
          <span aria-hidden className="h-0.5 w-4 rounded-full" style={{ background: `var(--chart-${index + 1})` }} />
          {label}
        </span>
      ))}
    </figcaption>
  );
}

const dataOf = ({ usage, metric }: { usage: Usage; metric: Metric }) =>
  usage.buckets.map((_, index) => ({ index, ...Object.fromEntries(usage.series.map((s, n) => [`s${n}`, metric.of(s.points[index]!)])) }));

function Sums({ usage, metric, group, search }: UsageChartProps & { metric: Metric }) {
  const [zone] = useZone();
  const navigate = useNavigate();
  const open = (index: number, series: number) => {
    const bucket = usage.buckets[index];
    const chosen = usage.series[series];
    if (!bucket || !chosen) return;
    const filter = chosen.other || !chosen.group ? {} : { [group]: chosen.group };
    void navigate({ to: "/requests", search: { ...filtersOf(search), ...filter, from: bucket.start, to: bucket.end } as never });
  };
  return (
    <BarChart data={dataOf({ usage, metric })} accessibilityLayer={false} barCategoryGap="18%">
      <CartesianGrid vertical={false} stroke="var(--line)" />
      <XAxis dataKey="index" tickFormatter={bucketLabel(usage, zone)} minTickGap={24} {...axis} />
      <YAxis width={72} tickFormatter={metric.format} allowDecimals={metric.name === "cost"} {...axis} />
      <Tooltip cursor={{ fill: "var(--hover)", opacity: 0.6 }} isAnimationActive={false} content={<BucketTooltip usage={usage} group={group} metric={metric} />} />
      {usage.series.map((s, n) => (
        <Bar
          key={`${s.group} ${s.other}`}
          dataKey={`s${n}`}
          stackId="all"
          fill={colourOf(s, n)}
          maxBarSize={44}
          isAnimationActive={false}
          className="cursor-pointer"
          onClick={(bar) => open((bar.payload as { index: number }).index, n)}
          shape={(bar: { payload?: { index: number } }) => <BucketBar {...bar} complete={usage.buckets[bar.payload?.index ?? 0]?.complete ?? true} />}
        />
      ))}
    </BarChart>
  );
}

/** A bar; that of the time which is not over has a dashed border, as more may come. */
function BucketBar({ complete, ...bar }: { complete: boolean }) {
  return <Rectangle {...bar} {...(complete ? {} : { fillOpacity: 0.55, stroke: "var(--foreground)", strokeDasharray: "3 3", strokeWidth: 0.75 })} />;
}

/** Tags overlap, so they are not stacked: a stack would be higher than what all used. */
function TagLines({ usage, metric, group }: UsageChartProps & { metric: Metric }) {
  const [zone] = useZone();
  return (
    <LineChart data={dataOf({ usage, metric })} accessibilityLayer={false}>
      <CartesianGrid vertical={false} stroke="var(--line)" />
      <XAxis dataKey="index" tickFormatter={bucketLabel(usage, zone)} minTickGap={24} {...axis} />
      <YAxis width={72} tickFormatter={metric.format} allowDecimals={metric.name === "cost"} {...axis} />
      <Tooltip isAnimationActive={false} content={<BucketTooltip usage={usage} group={group} metric={metric} overlapping />} />
      {usage.series.map((s, n) => (
        <Line key={`${s.group} ${s.other}`} dataKey={`s${n}`} stroke={colourOf(s, n)} strokeWidth={2} dot={false} isAnimationActive={false} />
      ))}
    </LineChart>
  );
}

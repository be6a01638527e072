import { useNavigate } from "@tanstack/react-router";
import { Bar, BarChart, CartesianGrid, Line, LineChart, Rectangle, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import type { Usage } from "@/api/types";
import { filtersOf } from "@/filters/dimensions";
import { formatTick } from "@/lib/format";
import { useZone } from "@/lib/zone";
import { bucketLabel, linePoints } from "./buckets";
import { BucketTooltip } from "./BucketTooltip";
import { LatencyChart } from "./LatencyChart";
import { axis, colourOf } from "./colours";
import { latencyMetrics, metrics, type Metric } from "./metrics";
import { niceTicks } from "./ticks";

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

const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

/** The axis of a metric, for buckets that go up to a sum. */
function MetricAxis({ metric, most }: { metric: Metric; most: number }) {
  const ticks = niceTicks(most, metric.name !== "cost");
  return <YAxis width={72} tickFormatter={metric.name === "cost" ? (nano: number) => formatTick(nano, ticks[1]) : metric.format} ticks={ticks} domain={[0, ticks.at(-1) || 1]} {...axis} />;
}

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
      <MetricAxis metric={metric} most={Math.max(0, ...usage.buckets.map((_, i) => sumOf(usage.series.map((s) => metric.of(s.points[i]!)))))} />
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
  const lines = usage.series.map((s) => s.points.map(metric.of));
  return (
    <LineChart data={linePoints(usage.buckets, lines)} accessibilityLayer={false}>
      <CartesianGrid vertical={false} stroke="var(--line)" />
      <XAxis dataKey="index" tickFormatter={bucketLabel(usage, zone)} minTickGap={24} {...axis} />
      <MetricAxis metric={metric} most={Math.max(0, ...lines.flat())} />
      <Tooltip isAnimationActive={false} content={<BucketTooltip usage={usage} group={group} metric={metric} overlapping />} />
      {usage.series.flatMap((s, n) => {
        const style = { stroke: colourOf(s, n), strokeWidth: 2, dot: false, isAnimationActive: false };
        return [<Line key={`solid${n}`} dataKey={`solid${n}`} {...style} />, <Line key={`open${n}`} dataKey={`open${n}`} {...style} strokeDasharray="4 3" />];
      })}
    </LineChart>
  );
}

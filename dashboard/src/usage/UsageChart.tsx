import { useNavigate } from "@tanstack/react-router";
import { Bar, BarChart, CartesianGrid, Line, LineChart, Rectangle, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import type { Usage } from "@/api/types";
import { formatTime, type Zone } from "@/lib/format";
import { useZone } from "@/lib/zone";
import { colourOf, nameOfSeries } from "./colours";
import { formatLatency, latencyMetrics, metrics, type LatencyMetric, type Metric } from "./metrics";

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
    <figure role="img" aria-label={`${(latency ?? metric).label} over time; the table below has the figures`} className="h-80 px-2 pt-4 pb-2 text-xs">
      <ResponsiveContainer width="100%" height="100%">
        {latency ? <Latencies {...props} metric={latency} /> : <Sums {...props} metric={metric} />}
      </ResponsiveContainer>
    </figure>
  );
}

const axis = { stroke: "var(--line-strong)", tick: { fill: "var(--muted)" }, tickLine: false, axisLine: false } as const;

function bucketLabel(usage: Usage, zone: Zone) {
  const utc = zone === "utc" ? "UTC" : undefined;
  const format = new Intl.DateTimeFormat(undefined, usage.interval === "day" ? { month: "short", day: "numeric", timeZone: utc } : { hour: "2-digit", minute: "2-digit", timeZone: utc });
  return (index: number) => (usage.buckets[index] ? format.format(new Date(usage.buckets[index].start)) : "");
}

function Sums({ usage, metric, group, search }: UsageChartProps & { metric: Metric }) {
  const [zone] = useZone();
  const navigate = useNavigate();
  const label = bucketLabel(usage, zone);
  const data = usage.buckets.map((_, index) => ({ index, ...Object.fromEntries(usage.series.map((s, n) => [`s${n}`, metric.of(s.points[index]!)])) }));
  const open = (index: number, series: number) => {
    const bucket = usage.buckets[index];
    const chosen = usage.series[series];
    if (!bucket || !chosen) return;
    const filter = chosen.other || !chosen.group ? {} : { [group]: chosen.group };
    const { model, backend, key, user } = search;
    void navigate({ to: "/requests", search: { model, backend, key, user, ...filter, from: bucket.start, to: bucket.end } as never });
  };
  return (
    <BarChart data={data} accessibilityLayer={false} barCategoryGap="18%">
      <CartesianGrid vertical={false} stroke="var(--line)" />
      <XAxis dataKey="index" tickFormatter={label} minTickGap={24} {...axis} />
      <YAxis width={72} tickFormatter={metric.format} {...axis} />
      <Tooltip cursor={{ fill: "var(--hover)", opacity: 0.6 }} isAnimationActive={false} content={<BucketTooltip usage={usage} zone={zone} group={group} metric={metric} />} />
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

/** A bar; that of the time which is not over is hatched, as more may come. */
function BucketBar({ complete, ...bar }: { complete: boolean }) {
  return <Rectangle {...bar} {...(complete ? {} : { fillOpacity: 0.55, stroke: "var(--foreground)", strokeDasharray: "3 3", strokeWidth: 0.75 })} />;
}

interface TooltipProps {
  active?: boolean;
  label?: number | string;
  usage: Usage;
  zone: Zone;
  group: string;
  metric: Metric;
}

function BucketTooltip({ active, label, usage, zone, group, metric }: TooltipProps) {
  const index = Number(label);
  const bucket = usage.buckets[index];
  if (!active || !bucket) return null;
  const rows = usage.series.map((s, n) => ({ name: nameOfSeries(s, group), colour: colourOf(s, n), value: metric.of(s.points[index]!) })).filter((r) => r.value > 0);
  return (
    <div className="figures rounded-lg border bg-raised px-3 py-2 shadow-lg">
      <p className="mb-1 font-medium">
        {formatTime(bucket.start, zone, false)}
        {!bucket.complete && <span className="text-muted"> (not over yet)</span>}
      </p>
      {rows.map((r) => (
        <p key={r.name} className="flex items-center gap-2">
          <span className="size-2 rounded-sm" style={{ background: r.colour }} />
          <span className="mr-4 max-w-48 truncate">{r.name}</span>
          <span className="ml-auto">{metric.format(r.value)}</span>
        </p>
      ))}
      {rows.length !== 1 && (
        <p className="mt-1 flex border-t pt-1 font-medium">
          <span>All</span>
          <span className="ml-auto">{metric.format(rows.reduce((sum, r) => sum + r.value, 0))}</span>
        </p>
      )}
    </div>
  );
}

function Latencies({ usage, metric }: UsageChartProps & { metric: LatencyMetric }) {
  const [zone] = useZone();
  const label = bucketLabel(usage, zone);
  const data = usage.latency.map((p, index) => ({ index, a: metric.lines[0]?.of(p), b: metric.lines[1]?.of(p) }));
  return (
    <LineChart data={data} accessibilityLayer={false}>
      <CartesianGrid vertical={false} stroke="var(--line)" />
      <XAxis dataKey="index" tickFormatter={label} minTickGap={24} {...axis} />
      <YAxis width={72} tickFormatter={formatLatency} {...axis} />
      <Tooltip
        isAnimationActive={false}
        labelFormatter={(index) => label(Number(index))}
        formatter={(value) => formatLatency(Number(value))}
        contentStyle={{ background: "var(--raised)", border: "1px solid var(--line)", borderRadius: 8 }}
      />
      <Line dataKey="a" name={metric.lines[0]?.label} stroke="var(--chart-1)" strokeWidth={2} dot={{ r: 2 }} isAnimationActive={false} connectNulls={false} />
      <Line dataKey="b" name={metric.lines[1]?.label} stroke="var(--chart-2)" strokeWidth={2} dot={{ r: 2 }} isAnimationActive={false} connectNulls={false} />
    </LineChart>
  );
}

import type { Usage } from "@/api/types";
import { cn } from "@/lib/cn";
import { changeOf, formatLatency, latencyMetrics, metrics } from "./metrics";

interface StatsProps {
  usage: Usage;
  shown: string;
  onShow: (name: string) => void;
}

/** The totals, each a button that has the chart show it. */
export function Stats({ usage, shown, onShow }: StatsProps) {
  return (
    <div className="grid grid-cols-2 gap-3 md:grid-cols-3 xl:grid-cols-6">
      {metrics.map((m) => {
        const now = m.of(usage.totals);
        const change = changeOf(now, m.of(usage.before));
        return (
          <Stat key={m.name} label={m.label} value={m.format(now)} active={shown === m.name} onClick={() => onShow(m.name)}>
            {change ? (
              <span className={cn(m.lower && (change.up ? "text-danger" : "text-good"))}>
                {change.text} <span className="text-muted">vs before</span>
              </span>
            ) : (
              <span className="text-muted">{m.of(usage.before) === 0 ? "nothing before" : "as before"}</span>
            )}
          </Stat>
        );
      })}
      {latencyMetrics.map((m) => {
        const [half, most] = m.lines.map((line) => line.of(usage.overall));
        return (
          <Stat key={m.name} label={m.label} value={half === null || half === undefined ? "–" : `≈ ${formatLatency(half)}`} active={shown === m.name} onClick={() => onShow(m.name)}>
            <span className="text-muted">95 %: {most === null || most === undefined ? "–" : `≈ ${formatLatency(most)}`}</span>
          </Stat>
        );
      })}
    </div>
  );
}

function Stat({ label, value, active, onClick, children }: { label: string; value: string; active: boolean; onClick: () => void; children: React.ReactNode }) {
  return (
    <button
      type="button"
      aria-pressed={active}
      onClick={onClick}
      className={cn("rounded-xl border bg-surface px-4 py-3 text-left transition-colors hover:border-line-strong", active && "border-accent hover:border-accent")}
    >
      <span className="block text-[0.8125rem] text-muted">{label}</span>
      <span className="figures mt-0.5 block truncate text-xl font-semibold tracking-tight">{value}</span>
      <span className="figures mt-0.5 block truncate text-xs">{children}</span>
    </button>
  );
}

import type { Percentiles, Sums } from "@/api/types";
import { formatCompact, formatDuration, formatMoney, formatNumber } from "@/lib/format";

/** A figure that is shown over time. */
export interface Metric {
  name: string;
  label: string;
  format: (value: number) => string;
  of: (sums: Sums) => number;
  /** Whether less of it is better. */
  lower?: boolean;
}

export const metrics: readonly Metric[] = [
  { name: "cost", label: "Cost", format: formatMoney, of: (s) => s.cost_nanousd },
  { name: "requests", label: "Requests", format: formatNumber, of: (s) => s.requests },
  { name: "tokens", label: "Tokens", format: formatCompact, of: (s) => s.prompt_tokens + s.completion_tokens },
  { name: "errors", label: "Errors", format: formatNumber, of: (s) => s.failed, lower: true },
];

/** Latencies are of all groups together; a bucket without requests has none. */
export interface LatencyMetric {
  name: string;
  label: string;
  lines: readonly { label: string; of: (p: Percentiles) => number | null }[];
}

export const latencyMetrics: readonly LatencyMetric[] = [
  {
    name: "ttft",
    label: "First token",
    lines: [
      { label: "Half were faster than", of: (p) => p.ttft_p50_ms },
      { label: "95 % were faster than", of: (p) => p.ttft_p95_ms },
    ],
  },
  {
    name: "duration",
    label: "Duration",
    lines: [
      { label: "Half were faster than", of: (p) => p.duration_p50_ms },
      { label: "95 % were faster than", of: (p) => p.duration_p95_ms },
    ],
  },
];

export const formatLatency = (ms: number) => formatDuration(ms);

/** A change against the time before, in words; null where there is nothing to compare. */
export function changeOf(now: number, before: number): { text: string; up: boolean } | null {
  if (before === 0 || now === before) return null;
  const share = (now - before) / before;
  if (share >= 9) return { text: `${formatCompact(Math.round(now / before))} ×`, up: true };
  const text = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: Math.abs(share) < 0.1 ? 1 : 0, signDisplay: "always" }).format(share);
  return { text, up: share > 0 };
}

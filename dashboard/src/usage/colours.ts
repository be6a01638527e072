import type { Series } from "@/api/types";

/** Eight colours, then one for all others. */
export const colourOf = (series: Series, index: number) => (series.other ? "var(--chart-other)" : `var(--chart-${(index % 8) + 1})`);

/** How the axes of all charts look. */
export const axis = { stroke: "var(--line-strong)", tick: { fill: "var(--muted)" }, tickLine: false, axisLine: false } as const;

export function nameOfSeries(series: Series, group: string): string {
  if (series.other) return "Other";
  if (series.label) return series.label;
  return series.group || `no ${group}`;
}

import { Link } from "@tanstack/react-router";
import type { Series, Usage } from "@/api/types";
import { formatCompact, formatDuration, formatMoney, formatNumber } from "@/lib/format";
import { Card } from "@/ui/page";
import { colourOf, nameOfSeries } from "./colours";

const headings = ["Requests", "Errors", "Prompt tokens", "of them cached", "Answer tokens", "First token", "Cost"];

/** The totals of each group: the same figures as in the chart. */
export function GroupTable({ usage, group, search }: { usage: Usage; group: string; search: Record<string, string | undefined> }) {
  return (
    <Card title={`By ${group}`} className="overflow-hidden">
      <div className="scroll-thin overflow-x-auto" tabIndex={0} role="region" aria-label={`Totals by ${group}`}>
        <table className="figures mt-1 w-full min-w-180 text-left">
          <thead className="text-[0.8125rem] text-muted">
            <tr className="border-b">
              <th className="py-2 pl-4 font-medium capitalize">{group}</th>
              {headings.map((h) => (
                <th key={h} className="px-3 py-2 text-right font-medium last:pr-4">
                  {h}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {usage.series.map((series, index) => (
              <GroupRow key={`${series.group} ${series.other}`} series={series} colour={colourOf(series, index)} group={group} search={search} />
            ))}
          </tbody>
          <tfoot>
            <tr className="border-t font-medium">
              <td className="py-2 pl-4">All</td>
              <Figures sums={usage.totals} />
            </tr>
          </tfoot>
        </table>
      </div>
    </Card>
  );
}

function GroupRow({ series, colour, group, search }: { series: Series; colour: string; group: string; search: Record<string, string | undefined> }) {
  const { range, from, to, model, backend, key, user } = search;
  const name = nameOfSeries(series, group);
  return (
    <tr className="border-b last:border-b-0 hover:bg-hover/60">
      <td className="max-w-72 py-2 pl-4">
        <span className="flex items-center gap-2.5">
          <span aria-hidden className="size-2.5 shrink-0 rounded-sm" style={{ background: colour }} />
          {series.other || !series.group ? (
            <span className="truncate">{name}</span>
          ) : (
            <Link to="/requests" search={{ range, from, to, model, backend, key, user, [group]: series.group } as never} className="truncate hover:underline" title={series.group}>
              {name}
            </Link>
          )}
        </span>
      </td>
      <Figures sums={series.totals} />
    </tr>
  );
}

function Figures({ sums }: { sums: Series["totals"] }) {
  const cells = [
    formatNumber(sums.requests),
    formatNumber(sums.failed),
    formatCompact(sums.prompt_tokens),
    formatCompact(sums.cached_tokens),
    formatCompact(sums.completion_tokens),
    formatDuration(sums.ttft_ms),
    sums.unpriced === sums.requests && sums.requests > 0 ? "price unknown" : formatMoney(sums.cost_nanousd) + (sums.unpriced > 0 ? " *" : ""),
  ];
  return cells.map((text, i) => (
    <td key={headings[i]} className="px-3 py-2 text-right whitespace-nowrap last:pr-4">
      {text}
    </td>
  ));
}

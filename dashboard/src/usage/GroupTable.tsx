import { Link } from "@tanstack/react-router";
import { ListFilter } from "lucide-react";
import type { Series, Usage } from "@/api/types";
import { breakdownOf, filtersOf, type Dimension } from "@/filters/dimensions";
import { useKeys } from "@/keys/useKeys";
import { formatCompact, formatDuration, formatMoney, formatNumber } from "@/lib/format";
import { IconButton } from "@/ui/button";
import { Badge } from "@/ui/feedback";
import { Card } from "@/ui/page";
import { colourOf, nameOfSeries } from "./colours";

const headings = ["Requests", "Errors", "Prompt tokens", "of them cached", "Answer tokens", "First token", "Cost"];

type Search = Record<string, string | undefined>;

interface GroupTableProps {
  usage: Usage;
  group: Dimension;
  search: Search;
  onBreakDown: (change: Search) => void;
}

/** The totals of each group: the same figures as in the chart. */
export function GroupTable({ usage, group, search, onBreakDown }: GroupTableProps) {
  const highest = Math.max(...usage.series.map((s) => s.totals.cost_nanousd));
  return (
    <Card title={`By ${group}`} className="overflow-hidden">
      <div className="scroll-thin overflow-x-auto" tabIndex={0} role="region" aria-label={`Totals by ${group}`}>
        <table className="figures mt-1 w-full min-w-180 text-left">
          <thead className="text-[0.8125rem] text-muted">
            <tr className="border-b">
              <th className="py-2 pl-4 font-medium capitalize">{group}</th>
              {headings.map((h) => (
                <th key={h} className="px-3 py-2 text-right font-medium">
                  {h}
                </th>
              ))}
              <th className="w-10">
                <span className="sr-only">Break down</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {usage.series.map((series, index) => (
              <GroupRow key={`${series.group} ${series.other}`} series={series} colour={colourOf(series, index)} group={group} search={search} highest={highest} onBreakDown={onBreakDown} />
            ))}
          </tbody>
          <tfoot>
            <tr className="border-t font-medium">
              <td className="py-2 pl-4">All</td>
              <Figures sums={usage.totals} />
              <td />
            </tr>
          </tfoot>
        </table>
      </div>
    </Card>
  );
}

interface GroupRowProps extends Omit<GroupTableProps, "usage"> {
  series: Series;
  colour: string;
  /** The cost of the most expensive group, which has the longest bar. */
  highest: number;
}

function GroupRow({ series, colour, group, search, highest, onBreakDown }: GroupRowProps) {
  const { range, from, to } = search;
  const name = nameOfSeries(series, group);
  const known = !series.other && series.group !== "";
  const next = breakdownOf(group);
  return (
    <tr className="border-b last:border-b-0 hover:bg-hover/60">
      <td className="max-w-72 py-2 pl-4">
        <span className="flex items-center gap-2.5">
          <span aria-hidden className="size-2.5 shrink-0 rounded-sm" style={{ background: colour }} />
          {known ? (
            <Link to="/requests" search={{ range, from, to, ...filtersOf(search), [group]: series.group } as never} className="truncate hover:underline" title={`Requests of ${series.group}`}>
              {name}
            </Link>
          ) : (
            <span className="truncate">{name}</span>
          )}
          {group === "key" && <KeyState id={series.group} />}
        </span>
        <span aria-hidden className="mt-1 ml-5 block h-0.5 rounded-full opacity-60" style={{ background: colour, width: `${highest > 0 ? (90 * series.totals.cost_nanousd) / highest : 0}%` }} />
      </td>
      <Figures sums={series.totals} />
      <td className="pr-2 text-right">
        {known && (
          <IconButton label={`Break ${name} down by ${next}`} size="icon-sm" onClick={() => onBreakDown({ [group]: series.group, group: next === "model" ? undefined : next })}>
            <ListFilter />
          </IconButton>
        )}
      </td>
    </tr>
  );
}

/** Whether a key still works: history keeps the names of those that do not. */
function KeyState({ id }: { id: string }) {
  const key = useKeys().data?.find((k) => k.id === id);
  if (!key || key.status === "active") return null;
  return <Badge tone="danger">{key.status}</Badge>;
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
    <td key={headings[i]} className="px-3 py-2 text-right whitespace-nowrap">
      {text}
    </td>
  ));
}

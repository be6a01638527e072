import type { ReactNode } from "react";
import { cn } from "@/lib/cn";
import { formatMoney, formatNumber } from "@/lib/format";
import { Badge } from "@/ui/feedback";
import { Time } from "@/ui/time";
import type { Budget, Left, Limit } from "./types";
import { budgetWords, nearest, ruleWords, shareOfBudget, shareOfLimit } from "./words";

const usd = (dollars: number) => formatMoney(Math.round(dollars * 1e9));

/** Each limit and budget with what is left of it and when it starts again. */
export function Gauges({ left }: { left: Pick<Left, "key" | "limits" | "budgets"> }) {
  const binds = left.limits.length + left.budgets.length > 1 ? nearest(left) : null; // of one alone that says nothing
  return (
    <ul className="grid grid-cols-[repeat(auto-fill,minmax(min(16rem,100%),1fr))] gap-x-8 gap-y-5 px-4 pt-2 pb-4">
      {left.budgets.map((b) => (
        <BudgetGauge key={`${b.by} ${b.per}`} budget={b} first={b === binds} />
      ))}
      {left.limits.map((l) => (
        <LimitGauge key={l.rule} limit={l} first={l === binds} keyless={left.key === "anonymous"} />
      ))}
    </ul>
  );
}

function LimitGauge({ limit, first, keyless }: { limit: Limit; first: boolean; keyless: boolean }) {
  const used = shareOfLimit(limit);
  return (
    <Gauge {...ruleWords(limit.rule, keyless)} first={first} used={used} left={`${formatNumber(limit.remaining)} left`} of={`of ${formatNumber(limit.max)}`}>
      {limit.resets_at ? <Resets at={limit.resets_at} untouched={limit.remaining === limit.max} /> : "while they run"}
    </Gauge>
  );
}

function BudgetGauge({ budget: b, first }: { budget: Budget; first: boolean }) {
  return (
    <Gauge {...budgetWords(b)} first={first} used={shareOfBudget(b)} held={b.usd === 0 ? 0 : b.held_usd / b.usd} left={`${usd(b.left_usd)} left`} of={`of ${usd(b.usd)}`}>
      {usd(b.spent_usd)} spent{b.held_usd > 0 && <>, {usd(b.held_usd)} held for running requests</>}
      {b.resets_at ? <Resets at={b.resets_at} after="; " /> : "; never starts again"}
    </Gauge>
  );
}

function Resets({ at, after = "", untouched }: { at: string; after?: string; untouched?: boolean }) {
  if (untouched) return <>untouched</>;
  return (
    <>
      {after}starts again <Time at={at} ago />
    </>
  );
}

interface GaugeProps {
  what: string;
  whose: string;
  left: string;
  of: string;
  used: number;
  /** The part of it that running requests hold. */
  held?: number;
  first: boolean;
  children: ReactNode;
}

function Gauge({ what, whose, left, of, used, held = 0, first, children }: GaugeProps) {
  const tone = used >= 1 ? "bg-danger" : used >= 0.8 ? "bg-warning" : "bg-accent";
  return (
    <li className="min-w-0">
      <p className="flex h-6 items-center gap-x-2">
        <span className="min-w-0 truncate font-medium">{what}</span>
        {used >= 1 ? <Badge tone="danger">used up</Badge> : first && used > 0 && <Badge>refuses first</Badge>}
      </p>
      <p className="truncate text-[0.8125rem] text-muted" title={whose}>
        {whose}
      </p>
      <p className="figures mt-1 flex items-baseline gap-1.5">
        <strong className="text-lg font-semibold tracking-tight">{left}</strong>
        <span className="text-muted">{of}</span>
      </p>
      <div role="meter" aria-label={`${what} ${whose}`} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(used * 100)} aria-valuetext={`${left} ${of}`} className="mt-1.5 flex h-2 overflow-hidden rounded-full bg-hover">
        <span className={cn("h-full", tone)} style={{ width: `${(used - Math.min(held, used)) * 100}%` }} />
        <span className={cn("h-full opacity-50", tone)} style={{ width: `${Math.min(held, used) * 100}%` }} />
      </div>
      <p className="figures mt-1 text-[0.8125rem] text-muted">{children}</p>
    </li>
  );
}

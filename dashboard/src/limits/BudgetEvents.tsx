import { useQuery } from "@tanstack/react-query";
import { getJSON } from "@/api/client";
import type { components } from "@/api/schema";
import { useKeys } from "@/keys/useKeys";
import { formatMoney } from "@/lib/format";
import { Badge, Failure } from "@/ui/feedback";
import { Card } from "@/ui/page";
import { Time } from "@/ui/time";
import { budgetWords } from "./words";

type BudgetEvent = components["schemas"]["BudgetEvent"];

const shown = 50;
const usd = (dollars: number) => formatMoney(Math.round(dollars * 1e9));

/** Budgets that were nearly or wholly spent, the newest first; of members, those that are theirs. */
export function BudgetEvents() {
  const events = useQuery({
    queryKey: ["budget events"],
    queryFn: ({ signal }) => getJSON<{ data: BudgetEvent[] }>("/api/budget-events", { limit: shown }, signal),
    refetchInterval: 30_000,
  });
  if (events.isError) return <Failure title="What happened to budgets could not be read" error={events.error} retry={() => void events.refetch()} />;
  if (!events.data?.data.length) return null;
  return (
    <Card title="Budgets that ran low">
      <ol className="scroll-thin max-h-96 divide-y overflow-y-auto px-4 pb-2" tabIndex={0} aria-label="Budgets that ran low">
        {events.data.data.map((event) => (
          <Line key={event.id} event={event} />
        ))}
      </ol>
    </Card>
  );
}

function Line({ event: e }: { event: BudgetEvent }) {
  const keys = useKeys().data;
  const key = e.by === "key" ? keys?.find((k) => k.id === e.name) : undefined;
  return (
    <li className="flex flex-wrap items-baseline gap-x-3 gap-y-0.5 py-2">
      <span className="w-36 shrink-0 text-[0.8125rem] text-muted">
        <Time at={e.at} />
      </span>
      <Badge tone={e.threshold_percent >= 100 ? "danger" : "warning"}>{e.threshold_percent >= 100 ? "used up" : `${e.threshold_percent} % spent`}</Badge>
      <span className="figures min-w-0 flex-1">
        {budgetWords(e).what} {key ? `of “${key.label}”` : budgetWords(e).whose}: {usd(e.spent_usd)} of {usd(e.budget_usd)}
      </span>
      {e.delivered_at && (
        <span className="text-[0.8125rem] text-muted">
          webhook sent <Time at={e.delivered_at} ago />
        </span>
      )}
    </li>
  );
}

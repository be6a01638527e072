import { CircleCheck, OctagonX } from "lucide-react";
import { formatMoney, formatNumber } from "@/lib/format";
import { Gauges } from "@/limits/Gauges";
import { Card } from "@/ui/page";
import type { Explained } from "./explain";

const usd = (dollars: number) => formatMoney(Math.round(dollars * 1e9));

/** A plan: the verdict first, then where the request would go and what it could cost. */
export function PlanView({ plan }: { plan: Explained }) {
  return (
    <>
      <Verdict plan={plan} />
      <Card title="Where it would go">
        {plan.attempts.length === 0 ? <p className="px-4 pt-1 pb-3 text-muted">Nowhere: no backend serves this model.</p> : <Attempts plan={plan} />}
      </Card>
      <Card title="What it could cost">
        <Costs plan={plan} />
      </Card>
      <Card title="Limits and budgets">
        {plan.limits.length + plan.budgets.length === 0 ? <p className="px-4 pt-1 pb-3 text-muted">None is for this request.</p> : <Gauges left={plan} />}
      </Card>
    </>
  );
}

function Verdict({ plan: { refusals, model } }: { plan: Explained }) {
  if (refusals.length === 0) {
    return (
      <p className="flex items-center gap-2.5 rounded-xl border bg-accent-soft px-4 py-3 font-medium text-accent-strong">
        <CircleCheck aria-hidden className="size-5 shrink-0" /> A request for {model} would pass.
      </p>
    );
  }
  return (
    <div className="flex items-start gap-2.5 rounded-xl border border-danger/40 bg-danger-soft px-4 py-3">
      <OctagonX aria-hidden className="mt-0.5 size-5 shrink-0 text-danger" />
      <div className="min-w-0">
        <p className="font-medium">A request for {model} would be refused.</p>
        <ul className="mt-0.5 space-y-0.5">
          {refusals.map((r) => (
            <li key={r.code} className="[overflow-wrap:anywhere]">
              {r.message}{" "}
              <code className="font-mono text-[0.8125rem] whitespace-nowrap text-danger">
                {r.status} {r.code}
              </code>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

function Attempts({ plan }: { plan: Explained }) {
  return (
    <ol className="divide-y px-4 pb-2">
      {plan.attempts.map((a, index) => (
        <li key={index} className="flex gap-3 py-2">
          <span className="figures w-5 shrink-0 text-muted">{index + 1}.</span>
          <div className="min-w-0 [overflow-wrap:anywhere]">
            <span className="font-medium">{a.backend}</span> {a.model !== plan.model && <span className="text-muted">as {a.model}</span>}
            <code className="block font-mono text-[0.8125rem] text-muted">{a.url}</code>
            <span className="block text-[0.8125rem] text-muted">key: {a.key}</span>
          </div>
        </li>
      ))}
    </ol>
  );
}

function Costs({ plan: p }: { plan: Explained }) {
  return (
    <dl className="figures divide-y px-4 pt-1 pb-2">
      <Line name="Prompt">≈ {formatNumber(p.prompt_tokens)} tokens, estimated</Line>
      <Line name="Answer">{formatNumber(p.answer_tokens)} tokens at most</Line>
      <Line name="Price">{p.price ? `${usd(p.price.input)} a million tokens of the prompt, ${usd(p.price.output)} of the answer` : "not known"}</Line>
      <Line name="At most">
        <strong className="font-semibold">{p.worst_usd === null ? "not known" : usd(p.worst_usd)}</strong>
      </Line>
      {p.price && <Line name="By the price">{p.price.version}</Line>}
    </dl>
  );
}

function Line({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div className="flex gap-4 py-2">
      <dt className="w-32 shrink-0 text-muted">{name}</dt>
      <dd className="min-w-0 flex-1 [overflow-wrap:anywhere]">{children}</dd>
    </div>
  );
}

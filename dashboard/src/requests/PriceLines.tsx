import type { RequestDetail } from "@/api/types";
import { formatMoney, formatNumber } from "@/lib/format";
import { Card } from "@/ui/page";

const kinds: Record<string, string> = { input: "Prompt", cached_input: "Prompt, from the cache", cache_write: "Prompt, into the cache", cache_write_1h: "Prompt, into the cache for an hour", output: "Answer", reasoning: "Reasoning" };

/** What each kind of tokens cost. */
export function PriceLines({ request: r }: { request: RequestDetail }) {
  const lines = r.price_lines.length > 0 ? r.price_lines : tokensAlone(r);
  return (
    <Card title="Price">
      <div className="scroll-thin overflow-x-auto px-4 pt-1 pb-3" tabIndex={0} role="region" aria-label="Price lines">
        <table className="figures w-full whitespace-nowrap">
          <thead className="text-[0.8125rem] text-muted">
            <tr className="border-b">
              <th className="py-1.5 text-left font-medium">Tokens</th>
              <th className="py-1.5 pl-4 text-right font-medium">Number</th>
              <th className="py-1.5 pl-4 text-right font-medium">A million</th>
              <th className="py-1.5 pl-4 text-right font-medium">Cost</th>
            </tr>
          </thead>
          <tbody>
            {lines.map((l) => (
              <tr key={l.kind} className="border-b">
                <td className="py-1.5">{kinds[l.kind] ?? l.kind}</td>
                <td className="py-1.5 pl-4 text-right">{formatNumber(l.tokens)}</td>
                <td className="py-1.5 pl-4 text-right">{l.nanousd_per_million_tokens === null ? "–" : formatMoney(l.nanousd_per_million_tokens)}</td>
                <td className="py-1.5 pl-4 text-right">{l.cost_nanousd === null ? "–" : formatMoney(l.cost_nanousd)}</td>
              </tr>
            ))}
          </tbody>
          <tfoot>
            <tr className="font-medium">
              <td className="pt-2" colSpan={3}>
                Cost
              </td>
              <td className="pt-2 text-right">{formatMoney(r.cost_nanousd)}</td>
            </tr>
          </tfoot>
        </table>
        <p className="mt-2 text-[0.8125rem] text-muted">
          {r.price_version ? `By the price ${r.price_version}` : "No price of this model is known"}
          {r.price_version && r.price_lines.length === 0 && ", which is not the one in force any more: its lines are not kept"}.
        </p>
      </div>
    </Card>
  );
}

function tokensAlone(r: RequestDetail) {
  const rows: [string, number][] = [
    ["input", r.prompt_tokens - r.cached_tokens - r.cache_write_tokens],
    ["cached_input", r.cached_tokens],
    ["cache_write", r.cache_write_tokens - r.cache_write_1h_tokens],
    ["cache_write_1h", r.cache_write_1h_tokens],
    ["output", r.completion_tokens - r.reasoning_tokens],
    ["reasoning", r.reasoning_tokens],
  ];
  return rows.filter(([, tokens]) => tokens > 0).map(([kind, tokens]) => ({ kind, tokens, nanousd_per_million_tokens: null, cost_nanousd: null }));
}

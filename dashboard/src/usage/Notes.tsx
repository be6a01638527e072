import { Info } from "lucide-react";
import type { Usage } from "@/api/types";
import { formatNumber } from "@/lib/format";

/** What the figures do not hold, or not exactly. */
export function Notes({ usage: { totals }, group }: { usage: Usage; group: string }) {
  if (totals.unpriced === 0 && totals.estimated === 0 && group !== "tag") return null;
  return (
    <div className="flex items-start gap-2.5 rounded-xl border bg-warning-soft px-4 py-2.5">
      <Info aria-hidden className="mt-0.5 size-4 shrink-0 text-warning" />
      <div>
        {group === "tag" && <p>Tags overlap: a request with several tags is counted in each of them, and one without any in none. “All” counts each request once.</p>}
        {totals.unpriced > 0 && (
          <p>
            Not in the cost: {formatNumber(totals.unpriced)} of {formatNumber(totals.requests)} requests, whose model has no known price. Prices of your own stand in the configuration file.
          </p>
        )}
        {totals.estimated > 0 && (
          <p>
            Counted by the gateway, as the provider reported no tokens: {formatNumber(totals.estimated)} of {formatNumber(totals.requests)} requests.
          </p>
        )}
      </div>
    </div>
  );
}

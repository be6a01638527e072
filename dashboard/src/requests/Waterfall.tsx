import type { Attempt, RequestDetail } from "@/api/types";
import { cn } from "@/lib/cn";
import { formatDuration, formatMoney } from "@/lib/format";
import { Badge } from "@/ui/feedback";
import { Card } from "@/ui/page";

/** Each call of a backend, as a bar in the time of the request. */
export function Waterfall({ request }: { request: RequestDetail }) {
  const { tries } = request;
  const whole = Math.max(1, request.duration_ms, ...tries.map((t) => t.start_ms + t.duration_ms));
  return (
    <Card title={tries.length === 1 ? "One attempt" : `${tries.length} attempts`}>
      {tries.length === 0 ? (
        <p className="px-4 pt-1 pb-3 text-muted">No backend was called: its name did not resolve, or the client had left before.</p>
      ) : (
        <ol className="space-y-2.5 px-4 pt-2 pb-4">
          {tries.map((t) => (
            <AttemptRow key={t.attempt} attempt={t} whole={whole} answered={t.attempt === tries.length ? request.ttft_ms : null} />
          ))}
        </ol>
      )}
    </Card>
  );
}

const share = (ms: number, whole: number) => `${(100 * ms) / whole}%`;

function AttemptRow({ attempt: t, whole, answered }: { attempt: Attempt; whole: number; answered: number | null }) {
  const good = t.status > 0 && t.status < 400;
  return (
    <li className="grid items-center gap-x-4 gap-y-1 sm:grid-cols-[14rem_1fr_10rem]">
      <span className="flex items-center gap-2">
        <span className="figures text-muted">{t.attempt}.</span>
        <span className="truncate">{t.backend}</span>
        <Badge tone={good ? "good" : "danger"}>{t.status || "no answer"}</Badge>
      </span>
      <span aria-hidden className="relative h-5 rounded-md bg-hover">
        <span
          className={cn("absolute inset-y-0 min-w-1 rounded-md", good ? "bg-accent" : "bg-danger")}
          style={{ left: share(Math.min(t.start_ms, whole), whole), width: share(Math.min(t.duration_ms, whole - t.start_ms), whole) }}
        />
        {answered !== null && good && <span className="absolute inset-y-0 w-0.5 bg-background" style={{ left: share(Math.min(answered, whole), whole) }} title="First byte" />}
      </span>
      <span className="figures text-[0.8125rem] text-muted sm:text-right">
        {formatDuration(t.duration_ms)}
        {t.start_ms > 0 && `, from ${formatDuration(t.start_ms)}`}
        {t.cost_nanousd !== null && ` · ${formatMoney(t.cost_nanousd)}`}
      </span>
    </li>
  );
}

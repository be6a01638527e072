import { TriangleAlert } from "lucide-react";
import { useEffect, useState } from "react";
import { Button } from "@/ui/button";
import type { ChatError } from "./types";

/** Seconds until a time; 0 when it has come. */
function useCountdown(until: number | null): number {
  const left = () => (until === null ? 0 : Math.max(0, Math.ceil((until - Date.now()) / 1000)));
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    setSeconds(left());
    if (left() === 0) return;
    const timer = setInterval(() => {
      setSeconds(left());
      if (left() === 0) clearInterval(timer);
    }, 250);
    return () => clearInterval(timer);
  }, [until]);
  return seconds;
}

export function AnswerError({ error, onRetry }: { error: ChatError; onRetry: () => void }) {
  const seconds = useCountdown(error.retryAt);
  return (
    <div role="alert" className="mt-3 flex flex-wrap items-start gap-3 rounded-xl border border-danger/40 bg-danger-soft p-4">
      <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-danger" />
      <div className="min-w-0 flex-1 basis-60">
        <p className="font-medium">{error.title}</p>
        {error.detail && <p className="mt-0.5 [overflow-wrap:anywhere]">{error.detail}</p>}
        <p className="mt-0.5 text-muted">{error.advice}</p>
      </div>
      <Button size="sm" disabled={seconds > 0} onClick={onRetry} className="figures">
        {seconds > 0 ? <span aria-live="off">Try again in {seconds} s</span> : "Try again"}
      </Button>
    </div>
  );
}

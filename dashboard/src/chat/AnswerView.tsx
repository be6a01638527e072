import { ChevronRight, RefreshCw } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { IconButton } from "@/ui/button";
import { CopyButton } from "@/ui/copy-button";
import { Badge } from "@/ui/feedback";
import { AnswerError } from "./AnswerError";
import { AnswerFacts } from "./AnswerFacts";
import { retry } from "./actions";
import { splitThinking } from "./thinking";
import type { Answer } from "./types";

const Markdown = lazy(() => import("./Markdown"));

interface AnswerViewProps {
  conversationID: string;
  turnID: string;
  column: number;
  answer: Answer;
  last: boolean;
}

export function AnswerView({ conversationID, turnID, column, answer }: AnswerViewProps) {
  const { thinking, text } = splitThinking(answer.text);
  const reasoning = answer.reasoning || thinking;
  const streaming = answer.status === "streaming";
  const again = () => retry(conversationID, turnID, column);
  return (
    <article aria-label={`Answer of ${answer.model}`} aria-busy={streaming} className="min-w-0">
      <header className="mb-2 flex items-center gap-2">
        <span className="truncate text-[0.8125rem] font-semibold">{answer.model}</span>
        {answer.status === "stopped" && <Badge>Stopped</Badge>}
        {answer.status === "interrupted" && <Badge tone="warning">Interrupted</Badge>}
        {answer.finishReason === "length" && <Badge tone="warning">Cut at the token limit</Badge>}
        {answer.finishReason === "content_filter" && <Badge tone="warning">Stopped by the provider’s filter</Badge>}
      </header>
      {reasoning && <Reasoning text={reasoning} growing={streaming && !text} />}
      {text && (
        <Suspense fallback={<p className="prose whitespace-pre-wrap">{text}</p>}>
          <Markdown text={text} growing={streaming} />
        </Suspense>
      )}
      {streaming && !text && <Waiting thinking={!!reasoning} />}
      {answer.error && <AnswerError error={answer.error} onRetry={again} />}
      {!streaming && (
        <footer className="mt-2 flex flex-wrap items-center gap-x-1 gap-y-0.5">
          {text && <CopyButton text={text} label="Copy the answer" className="-ml-1.5" />}
          <IconButton label="Answer again" size="icon-sm" className={text ? "" : "-ml-1.5"} onClick={again}>
            <RefreshCw />
          </IconButton>
          <AnswerFacts answer={answer} />
        </footer>
      )}
    </article>
  );
}

function Waiting({ thinking }: { thinking: boolean }) {
  return <p className="caret text-muted">{thinking ? "" : "Waiting for the first word"}</p>;
}

/** What the model thought, folded away. */
function Reasoning({ text, growing }: { text: string; growing: boolean }) {
  const [open, setOpen] = useState(false);
  return (
    <details className="group mb-3" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="flex w-fit list-none items-center gap-1 rounded-md text-[0.8125rem] text-muted hover:text-foreground [&::-webkit-details-marker]:hidden">
        <ChevronRight aria-hidden className="size-4 transition-transform group-open:rotate-90" />
        {growing ? "Thinking…" : "Reasoning"}
      </summary>
      {open && <p className="mt-2 border-l-2 pl-4 text-[0.8125rem] leading-relaxed [overflow-wrap:anywhere] whitespace-pre-wrap text-muted">{text}</p>}
    </details>
  );
}

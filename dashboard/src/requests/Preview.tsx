import type { ReactNode } from "react";
import type { RequestDetail } from "@/api/types";
import { CopyButton } from "@/ui/copy-button";
import { Badge } from "@/ui/feedback";
import { Card } from "@/ui/page";

const mark = "[redacted]";

/** What the prompt log kept, or why it kept nothing. */
export function Preview({ request: r }: { request: RequestDetail }) {
  if (!r.preview) {
    return (
      <Card title="Prompt and answer">
        <p className="px-4 pt-1 pb-3 text-muted">
          {r.prompt_log
            ? "Nothing is kept of this one: the log was off then, its entry has been removed in time, or nobody read the answer."
            : "The prompt log is off: prompt_log.mode in the configuration turns it on."}
        </p>
      </Card>
    );
  }
  return (
    <div className="grid items-start gap-4 lg:grid-cols-2">
      <Text title="Prompt" text={r.preview.prompt} />
      <Text title="Answer" text={r.preview.answer} />
    </div>
  );
}

function Text({ title, text }: { title: string; text: string }) {
  return (
    <Card title={title} actions={<CopyButton text={text} label={`Copy the ${title.toLowerCase()}`} />}>
      <p tabIndex={0} className="scroll-thin max-h-96 overflow-y-auto px-4 pt-1 pb-4 leading-relaxed [overflow-wrap:anywhere] whitespace-pre-wrap">
        {text ? <Marked text={text} /> : <span className="text-muted">empty</span>}
      </p>
    </Card>
  );
}

/** A text in which what was redacted is shown as such. */
export function Marked({ text }: { text: string }): ReactNode {
  return text.split(mark).flatMap((part, index) => (index === 0 ? [part] : [<Badge key={index}>redacted</Badge>, part]));
}

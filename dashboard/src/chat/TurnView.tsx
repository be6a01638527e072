import { Pencil } from "lucide-react";
import { memo, useState } from "react";
import { cn } from "@/lib/cn";
import { Button, IconButton } from "@/ui/button";
import { CopyButton } from "@/ui/copy-button";
import { Textarea } from "@/ui/field";
import { AnswerView } from "./AnswerView";
import { resend } from "./actions";
import { AttachmentLabel, sends } from "./Composer";
import type { Turn } from "./types";

interface TurnViewProps {
  conversationID: string;
  turn: Turn;
  last: boolean;
}

/** A prompt and its answers, side by side if there are two. Only rendered again when it changes. */
export const TurnView = memo(function TurnView({ conversationID, turn, last }: TurnViewProps) {
  const two = turn.answers.length > 1;
  return (
    <li className={cn("mx-auto", two ? "max-w-6xl" : "max-w-3xl")}>
      <Prompt conversationID={conversationID} turn={turn} />
      <div className={cn("mt-5", two && "grid gap-y-8 md:grid-cols-2 md:divide-x md:[&>*]:pr-6 md:[&>*+*]:pr-0 md:[&>*+*]:pl-6")}>
        {turn.answers.map((answer, column) => (
          <AnswerView key={column} conversationID={conversationID} turnID={turn.id} column={column} answer={answer} last={last} />
        ))}
      </div>
    </li>
  );
});

function Prompt({ conversationID, turn }: { conversationID: string; turn: Turn }) {
  const [editing, setEditing] = useState(false);
  if (editing) return <PromptEditor conversationID={conversationID} turn={turn} onClose={() => setEditing(false)} />;
  return (
    <div role="group" aria-label="You" className="group flex flex-col items-end">
      {turn.attachments.length > 0 && (
        <ul aria-label="Attachments" className="mb-1.5 flex flex-wrap justify-end gap-2">
          {turn.attachments.map((a) => (
            <li key={a.id} className="rounded-lg border bg-sidebar px-2 py-1">
              <AttachmentLabel attachment={a} />
            </li>
          ))}
        </ul>
      )}
      {turn.text && <p className="max-w-[88%] rounded-2xl rounded-br-md bg-hover px-4 py-2.5 text-[0.9375rem] leading-relaxed [overflow-wrap:anywhere] whitespace-pre-wrap">{turn.text}</p>}
      <div className="mt-1 flex opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 max-lg:opacity-100">
        <CopyButton text={turn.text} label="Copy the prompt" />
        <IconButton label="Edit the prompt" size="icon-sm" onClick={() => setEditing(true)}>
          <Pencil />
        </IconButton>
      </div>
    </div>
  );
}

function PromptEditor({ conversationID, turn, onClose }: { conversationID: string; turn: Turn; onClose: () => void }) {
  const [text, setText] = useState(turn.text);
  const ask = () => {
    if (!text.trim()) return;
    onClose();
    resend(conversationID, turn.id, text.trim());
  };
  return (
    <section aria-label="Edit the prompt" className="space-y-2">
      <Textarea
        aria-label="Prompt"
        autoFocus
        rows={Math.min(12, text.split("\n").length + 1)}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") onClose();
          if (sends(event.nativeEvent)) {
            event.preventDefault();
            ask();
          }
        }}
      />
      <div className="flex items-center justify-end gap-2">
        <p className="mr-auto text-[0.8125rem] text-muted">What follows this prompt is replaced.</p>
        <Button size="sm" variant="ghost" onClick={onClose}>
          Cancel
        </Button>
        <Button size="sm" variant="primary" onClick={ask}>
          Ask again
        </Button>
      </div>
    </section>
  );
}

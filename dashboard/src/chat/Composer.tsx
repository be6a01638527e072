import { ArrowUp, FileText, Paperclip, Square, X } from "lucide-react";
import { useEffect, useLayoutEffect, useRef, useState, type ClipboardEvent, type DragEvent, type KeyboardEvent } from "react";
import { cn } from "@/lib/cn";
import { formatBytes } from "@/lib/format";
import { shortcuts, useShortcut } from "@/lib/shortcuts";
import { Button, IconButton } from "@/ui/button";
import { readAttachment } from "./attachments";
import { useDraft } from "./drafts";
import type { Attachment } from "./types";

interface ComposerProps {
  draftName: string;
  busy: boolean;
  suggestion: string | null;
  disabledBecause: string | null;
  onSend: (text: string, attachments: Attachment[]) => void;
  onStop: () => void;
}

/** Whether a key press sends. Enter that ends a composition of characters does not; Safari tells that by its key code alone. */
export function sends(event: Pick<KeyboardEvent["nativeEvent"], "key" | "shiftKey" | "isComposing" | "keyCode">): boolean {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
}

export function Composer({ draftName, busy, suggestion, disabledBecause, onSend, onStop }: ComposerProps) {
  const draft = useDraft(draftName, suggestion);
  const { text, attachments } = draft;
  const [faults, setFaults] = useState<string[]>([]);
  const [dragging, setDragging] = useState(false);
  const box = useGrowingBox(text);
  const files = useRef<HTMLInputElement>(null);
  const ready = !disabledBecause && !busy && (text.trim() !== "" || attachments.length > 0);

  useEffect(() => {
    if (matchMedia("(hover: hover)").matches) box.current?.focus(); // on a phone that would open the keyboard
  }, [box, suggestion]);
  useShortcut(shortcuts.focusMessage, () => box.current?.focus());

  const send = () => {
    if (!ready) return;
    onSend(text.trim(), attachments);
    draft.clear();
    setFaults([]);
  };
  const add = async (list: Iterable<File>) => {
    const read = await Promise.all([...list].map(readAttachment));
    draft.add(read.filter((a) => typeof a !== "string"));
    setFaults(read.filter((a) => typeof a === "string"));
  };
  const onPaste = (event: ClipboardEvent) => {
    if (event.clipboardData.files.length === 0) return;
    event.preventDefault();
    void add(event.clipboardData.files);
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setDragging(false);
    void add(event.dataTransfer.files);
  };

  return (
    <div className="shrink-0 px-3 pt-1 pb-[max(0.75rem,env(safe-area-inset-bottom))]">
      <div
        onDragOver={(event) => {
          event.preventDefault();
          setDragging(true);
        }}
        onDragLeave={() => setDragging(false)}
        onDrop={onDrop}
        className={cn(
          "mx-auto max-w-3xl rounded-2xl border border-line-strong/60 bg-surface shadow-sm transition-colors focus-within:border-accent focus-within:ring-2 focus-within:ring-accent/25",
          dragging && "border-accent bg-accent-soft",
        )}
      >
        <Attachments list={attachments} onRemove={draft.remove} />
        <textarea
          ref={box}
          aria-label="Message"
          rows={1}
          placeholder="Ask anything"
          value={text}
          onChange={(event) => draft.setText(event.target.value)}
          onPaste={onPaste}
          onKeyDown={(event) => {
            if (!sends(event.nativeEvent)) return;
            event.preventDefault();
            send();
          }}
          className="scroll-thin block max-h-[40dvh] w-full resize-none bg-transparent px-4 pt-3 pb-1 text-base leading-6 outline-none sm:text-[0.9375rem]"
        />
        <div className="flex items-center gap-2 px-2 pb-2">
          <input ref={files} type="file" multiple hidden aria-hidden tabIndex={-1} onChange={(event) => event.target.files && void add(event.target.files)} />
          <IconButton label="Attach images or text files" className="text-muted" onClick={() => files.current?.click()}>
            <Paperclip />
          </IconButton>
          <p role="alert" className="min-w-0 flex-1 truncate text-[0.8125rem] text-danger">
            {faults.join(" ") || (disabledBecause ?? "")}
          </p>
          {busy ? (
            <Button variant="primary" aria-label="Stop" title="Stop" size="icon" className="rounded-full" onClick={onStop}>
              <Square className="fill-current" />
            </Button>
          ) : (
            <Button variant="primary" aria-label="Send" title="Send" size="icon" className="rounded-full" disabled={!ready} onClick={send}>
              <ArrowUp />
            </Button>
          )}
        </div>
      </div>
    </div>
  );
}

/** A box as high as its text. */
function useGrowingBox(text: string) {
  const box = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const area = box.current;
    if (!area) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }, [text]);
  return box;
}

function Attachments({ list, onRemove }: { list: Attachment[]; onRemove: (id: string) => void }) {
  if (list.length === 0) return null;
  return (
    <ul aria-label="Attachments" className="flex flex-wrap gap-2 px-3 pt-3">
      {list.map((a) => (
        <li key={a.id} className="flex items-center gap-2 rounded-lg border bg-sidebar py-1 pr-1 pl-1.5">
          <AttachmentLabel attachment={a} />
          <IconButton label={`Remove ${a.name}`} size="icon-sm" onClick={() => onRemove(a.id)}>
            <X />
          </IconButton>
        </li>
      ))}
    </ul>
  );
}

export function AttachmentLabel({ attachment: { kind, name, size, data } }: { attachment: Attachment }) {
  return (
    <span className="flex min-w-0 items-center gap-2">
      {kind === "image" ? <img src={data} alt="" className="size-8 rounded-md object-cover" /> : <FileText aria-hidden className="size-5 text-muted" />}
      <span className="max-w-40 truncate">{name}</span>
      <span className="text-xs text-muted">{formatBytes(size)}</span>
    </span>
  );
}

import { useEffect, useRef, useState } from "react";
import { readLocal, writeLocal } from "@/lib/local";
import { readDraft, writeDraft } from "./db";
import type { Attachment } from "./types";

/** The name of the draft of a conversation; null is one that has not begun. */
export const draftName = (id: string | null) => `draft:${id ?? "new"}`;

/** A message that is not sent yet. It outlives the page, one for each conversation. */
export function useDraft(name: string, suggestion: string | null) {
  const [text, setText] = useState(() => readLocal(name) ?? "");
  const [attachments, setAttachments] = useState<Attachment[]>([]);
  const latest = useRef(attachments);
  const sent = useRef(false);
  const keep = (next: Attachment[]) => {
    latest.current = next;
    setAttachments(next);
    void writeDraft(name, next).catch(() => {}); // without a database it lasts as long as the page
  };
  useEffect(() => {
    if (suggestion) setText(suggestion);
  }, [suggestion]);
  useEffect(() => {
    let current = true;
    void readDraft(name)
      .catch(() => [])
      .then((stored) => {
        if (!current || sent.current || stored.length === 0) return;
        const added = latest.current.filter((a) => !stored.some((s) => s.id === a.id));
        keep([...stored, ...added]); // files may have been added while these were read
      });
    return () => {
      current = false;
    };
  }, [name]);
  const write = (next: string) => {
    setText(next);
    writeLocal(name, next || null);
  };
  return {
    text,
    attachments,
    setText: write,
    add: (more: Attachment[]) => keep([...latest.current, ...more]),
    remove: (id: string) => keep(latest.current.filter((a) => a.id !== id)),
    /** Forgets what was sent. */
    clear: () => {
      sent.current = true;
      write("");
      keep([]);
    },
  };
}

export async function forgetDraft(id: string) {
  writeLocal(draftName(id), null);
  await writeDraft(draftName(id), []);
}

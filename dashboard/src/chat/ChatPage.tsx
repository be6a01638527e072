import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { shortcuts, useShortcut } from "@/lib/shortcuts";
import { copyText } from "@/lib/clipboard";
import { Empty, Skeleton } from "@/ui/feedback";
import { ask, isBusy, startConversation, stopAll } from "./actions";
import { draftName } from "./drafts";
import { ChatHeader } from "./ChatHeader";
import { Composer } from "./Composer";
import { readNewSettings } from "./SettingsDialog";
import { useSelection } from "./models";
import { useConversation } from "./store";
import { findMissingRecords } from "./stream";
import { splitThinking } from "./thinking";
import { Transcript } from "./Transcript";
import type { Attachment, Conversation } from "./types";
import { Welcome } from "./Welcome";

/** A conversation, or the beginning of one where the id is null. */
export function ChatPage({ id }: { id: string | null }) {
  const conversation = useConversation(id);
  const selection = useSelection();
  const navigate = useNavigate();
  const [suggestion, setSuggestion] = useState<string | null>(null);
  const busy = isBusy(conversation);

  useEffect(() => {
    document.title = conversation ? `${conversation.title} – AI Gateway` : "Chat – AI Gateway";
  }, [conversation?.title]);
  useEffect(() => {
    if (conversation) findMissingRecords(conversation);
    // once for each conversation that is opened
  }, [conversation?.id]);
  useShortcut(shortcuts.stop, () => conversation && stopAll(conversation), busy);
  useShortcut(shortcuts.copyLast, () => void copyText(lastAnswer(conversation)));

  const send = (text: string, attachments: Attachment[]) => {
    if (id) return ask(id, { text, attachments }, selection.chosen);
    const begun = startConversation({ text, attachments }, selection.chosen, readNewSettings());
    void navigate({ to: "/chat/$id", params: { id: begun } });
  };

  return (
    <div className="flex h-full flex-col">
      <ChatHeader conversation={conversation ?? null} selection={selection} />
      {id && conversation === undefined && <TranscriptSkeleton />}
      {id && conversation === null && <Empty title="This conversation is not in this browser">It may have been deleted, or begun in another browser.</Empty>}
      {conversation && <Transcript key={`transcript of ${conversation.id}`} conversation={conversation} />}
      {!id && <Welcome onSuggest={setSuggestion} />}
      <Composer
        key={`composer of ${id ?? "new"}`}
        draftName={draftName(id)}
        busy={busy}
        suggestion={suggestion}
        disabledBecause={selection.chosen.length === 0 ? "Choose a model first." : null}
        onSend={send}
        onStop={() => conversation && stopAll(conversation)}
      />
    </div>
  );
}

const lastAnswer = (c: Conversation | null | undefined) => splitThinking(c?.turns.at(-1)?.answers[0]?.text ?? "").text;

function TranscriptSkeleton() {
  return (
    <div className="mx-auto w-full max-w-3xl flex-1 space-y-4 p-6">
      <Skeleton className="ml-auto h-10 w-2/5" />
      <Skeleton className="h-4 w-4/5" />
      <Skeleton className="h-4 w-3/5" />
    </div>
  );
}

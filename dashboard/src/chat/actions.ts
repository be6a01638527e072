import { newID } from "@/lib/id";
import { chats } from "./store";
import { isRunning, stopAnswer, streamAnswer } from "./stream";
import type { Answer, Attachment, Conversation, Settings, Turn } from "./types";

const titleLength = 60;

interface Prompt {
  text: string;
  attachments: Attachment[];
}

/** Begins a conversation with its first prompt and returns its id. */
export function startConversation(prompt: Prompt, models: string[], settings: Settings): string {
  const now = Date.now();
  const id = newID();
  const title = titleOf(prompt);
  chats.save({ id, title, renamed: false, models, settings, turns: [], createdAt: now, updatedAt: now });
  ask(id, prompt, models);
  return id;
}

/** Adds a prompt to a conversation and asks each model for its answer. */
export function ask(id: string, prompt: Prompt, models: string[]) {
  const turn: Turn = { id: newID(), ...prompt, at: Date.now(), answers: models.map(emptyAnswer) };
  chats.update(id, (c) => ({ ...c, models, turns: [...c.turns, turn], updatedAt: Date.now() }));
  turn.answers.forEach((answer, column) => begin(id, turn.id, column, answer));
}

/** Asks for an answer again, of the same model or another one. */
export function retry(id: string, turnID: string, column: number, model?: string) {
  const turn = chats.get(id)?.turns.find((t) => t.id === turnID);
  const before = turn?.answers[column];
  if (!before) return;
  stopAnswer(before.id);
  const answer = emptyAnswer(model ?? before.model);
  chats.updateTurn(id, turnID, (t) => ({ ...t, answers: t.answers.map((a, i) => (i === column ? answer : a)) }));
  begin(id, turnID, column, answer);
}

/** Replaces a prompt, drops what followed it, and asks again. */
export function resend(id: string, turnID: string, text: string) {
  const conversation = chats.get(id);
  const at = conversation?.turns.findIndex((t) => t.id === turnID) ?? -1;
  const turn = conversation?.turns[at];
  if (!conversation || !turn) return;
  conversation.turns.slice(at).forEach((t) => t.answers.forEach((a) => stopAnswer(a.id)));
  chats.update(id, (c) => ({ ...c, turns: c.turns.slice(0, at) }));
  ask(id, { text, attachments: turn.attachments }, turn.answers.map((a) => a.model));
}

export function stopAll(c: Conversation) {
  for (const turn of c.turns) turn.answers.forEach((a) => stopAnswer(a.id));
}

export const isBusy = (c: Conversation | null | undefined) => !!c?.turns.some((t) => t.answers.some((a) => a.status === "streaming" && isRunning(a.id)));

function begin(id: string, turnID: string, column: number, answer: Answer) {
  const conversation = chats.get(id);
  if (conversation) void streamAnswer(conversation, turnID, column, answer);
}

function emptyAnswer(model: string): Answer {
  return {
    id: newID(),
    model,
    text: "",
    reasoning: "",
    status: "streaming",
    finishReason: null,
    error: null,
    startedAt: Date.now(),
    ttftMs: null,
    durationMs: null,
    usage: null,
    requestID: null,
    recorded: null,
  };
}

/** A title of a prompt's first words. */
export function titleOf(prompt: Prompt): string {
  const line = prompt.text.trim().split("\n")[0]?.trim() || prompt.attachments[0]?.name || "New chat";
  if (line.length <= titleLength) return line;
  return `${line.slice(0, titleLength).replace(/\s+\S*$/, "")}…`;
}

import { useEffect, useSyncExternalStore } from "react";
import { readLocal, writeLocal } from "@/lib/local";
import { readConversation, readSummaries, removeConversation, summaryOf, writeConversation } from "./db";
import { forgetDraft } from "./drafts";
import type { Answer, Conversation, Summary, Turn } from "./types";

const saveEvery = 250; // ms between two writes of a conversation that grows

/** Every conversation that is open, and the list of all. Values are replaced, never changed. */
interface State {
  open: ReadonlyMap<string, Conversation | null>; // null: there is none of that id
  summaries: readonly Summary[] | null; // newest first; null until they are read
  fault: string | null; // why nothing is kept
}

/** Keeps conversations in memory and writes them to IndexedDB as they change. */
class ChatStore {
  private state: State = { open: new Map(), summaries: null, fault: null };
  private listeners = new Set<() => void>();
  private timers = new Map<string, ReturnType<typeof setTimeout>>();
  private loading = new Set<string>();

  subscribe = (tell: () => void) => {
    this.listeners.add(tell);
    return () => void this.listeners.delete(tell);
  };

  snapshot = () => this.state;

  get = (id: string) => this.state.open.get(id) ?? null;

  async loadSummaries() {
    if (this.state.summaries) return;
    try {
      const read = await readSummaries();
      const known = new Set(this.state.open.keys());
      const own = [...this.state.open.values()].filter((c) => c !== null).map(summaryOf);
      this.set({ summaries: newestFirst([...read.filter((s) => !known.has(s.id)), ...own]) });
    } catch (error) {
      this.set({ summaries: [], fault: faultOf(error) });
    }
  }

  async load(id: string) {
    if (this.state.open.has(id) || this.loading.has(id)) return;
    this.loading.add(id);
    try {
      const found = await readConversation(id);
      if (!this.state.open.has(id)) this.put(id, found ? settled(withUnsaved(found)) : null);
    } catch (error) {
      this.put(id, null);
      this.set({ fault: faultOf(error) });
    } finally {
      this.loading.delete(id);
    }
  }

  /** Adds or replaces a conversation and has it written soon. */
  save(conversation: Conversation) {
    this.put(conversation.id, conversation);
    const others = (this.state.summaries ?? []).filter((s) => s.id !== conversation.id);
    this.set({ summaries: newestFirst([...others, summaryOf(conversation)]) });
    this.writeSoon(conversation.id);
  }

  update(id: string, change: (c: Conversation) => Conversation) {
    const before = this.get(id);
    if (before) this.save(change(before));
  }

  updateTurn(id: string, turn: string, change: (t: Turn) => Turn) {
    this.update(id, (c) => ({ ...c, turns: c.turns.map((t) => (t.id === turn ? change(t) : t)) }));
  }

  /** Changes an answer by its id, wherever it is by now; one that is gone stays gone. */
  updateAnswer(id: string, answer: string, change: Partial<Answer>) {
    const before = this.get(id);
    if (!before) return;
    const turns = before.turns.map((turn) =>
      turn.answers.some((a) => a.id === answer)
        ? { ...turn, answers: turn.answers.map((a) => (a.id === answer ? { ...a, ...change } : a)) }
        : turn,
    );
    this.put(id, { ...before, turns, updatedAt: Date.now() });
    this.writeSoon(id);
  }

  async remove(id: string) {
    clearTimeout(this.timers.get(id));
    this.timers.delete(id);
    this.put(id, null);
    this.set({ summaries: (this.state.summaries ?? []).filter((s) => s.id !== id) });
    await removeConversation(id);
    await forgetDraft(id);
  }

  /** Writes at once what waits to be written: the page may be going away, and no database write outlives it for sure. */
  flush = () => {
    for (const [id, conversation] of this.state.open) {
      const answers = conversation?.turns.at(-1)?.answers ?? [];
      if (answers.some((a) => a.status === "streaming")) writeLocal(unsavedName(id), JSON.stringify(answers));
    }
    for (const id of [...this.timers.keys()]) this.write(id);
  };

  private writeSoon(id: string) {
    if (!this.timers.has(id)) this.timers.set(id, setTimeout(() => this.write(id), saveEvery));
  }

  private write(id: string) {
    clearTimeout(this.timers.get(id));
    this.timers.delete(id);
    const conversation = this.get(id);
    if (!conversation) return;
    writeConversation(conversation).catch((error: unknown) => this.set({ fault: faultOf(error) }));
  }

  private put(id: string, conversation: Conversation | null) {
    this.set({ open: new Map(this.state.open).set(id, conversation) });
  }

  private set(change: Partial<State>) {
    this.state = { ...this.state, ...change };
    this.listeners.forEach((tell) => tell());
  }
}

const newestFirst = (summaries: Summary[]) => summaries.sort((a, b) => b.updatedAt - a.updatedAt);

const faultOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

const unsavedName = (id: string) => `unsaved:${id}`;

/** A conversation with the answers that the page wrote when it went away in their middle. */
function withUnsaved(c: Conversation): Conversation {
  const kept = readLocal(unsavedName(c.id));
  if (!kept) return c;
  writeLocal(unsavedName(c.id), null);
  const answers = new Map((JSON.parse(kept) as Answer[]).map((a) => [a.id, a]));
  return { ...c, turns: c.turns.map((t) => ({ ...t, answers: t.answers.map((a) => answers.get(a.id) ?? a) })) };
}

/** A conversation as it is read back: what was streaming then has lost its stream. */
export function settled(c: Conversation): Conversation {
  const settle = (a: Answer): Answer => (a.status === "streaming" ? { ...a, status: "interrupted" } : a);
  return { ...c, turns: c.turns.map((t) => ({ ...t, answers: t.answers.map(settle) })) };
}

export const chats = new ChatStore();

if (typeof window !== "undefined") window.addEventListener("pagehide", chats.flush);

/** A conversation: undefined while it is read, null if there is none. */
export function useConversation(id: string | null): Conversation | null | undefined {
  useEffect(() => {
    if (id) void chats.load(id);
  }, [id]);
  return useSyncExternalStore(chats.subscribe, () => (id ? chats.snapshot().open.get(id) : null));
}

export function useSummaries(): readonly Summary[] | null {
  useEffect(() => void chats.loadSummaries(), []);
  return useSyncExternalStore(chats.subscribe, () => chats.snapshot().summaries);
}

/** Why conversations are not kept, if they are not. */
export const useStorageFault = () => useSyncExternalStore(chats.subscribe, () => chats.snapshot().fault);

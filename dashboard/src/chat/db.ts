import { openDB, type DBSchema, type IDBPDatabase } from "idb";
import type { Conversation, Summary } from "./types";

interface Schema extends DBSchema {
  conversations: { key: string; value: Conversation };
  summaries: { key: string; value: Summary };
}

const searchedText = 4000; // characters of a conversation that the search looks through

let opened: Promise<IDBPDatabase<Schema>> | null = null;

function database() {
  opened ??= openDB<Schema>("chat", 1, {
    upgrade(db) {
      db.createObjectStore("conversations", { keyPath: "id" });
      db.createObjectStore("summaries", { keyPath: "id" });
    },
    terminated() {
      opened = null;
    },
  });
  return opened;
}

export function summaryOf(c: Conversation): Summary {
  const text = c.turns.map((turn) => `${turn.text}\n${turn.answers[0]?.text ?? ""}`).join("\n");
  return { id: c.id, title: c.title, updatedAt: c.updatedAt, text: text.slice(0, searchedText) };
}

export async function readSummaries(): Promise<Summary[]> {
  return (await database()).getAll("summaries");
}

export async function readConversation(id: string): Promise<Conversation | undefined> {
  return (await database()).get("conversations", id);
}

/** Writes a conversation and its summary, both or neither. */
export async function writeConversation(c: Conversation): Promise<void> {
  const tx = (await database()).transaction(["conversations", "summaries"], "readwrite");
  await Promise.all([tx.objectStore("conversations").put(c), tx.objectStore("summaries").put(summaryOf(c)), tx.done]);
}

export async function removeConversation(id: string): Promise<void> {
  const tx = (await database()).transaction(["conversations", "summaries"], "readwrite");
  await Promise.all([tx.objectStore("conversations").delete(id), tx.objectStore("summaries").delete(id), tx.done]);
}

import { openDB, type DBSchema, type IDBPDatabase } from "idb";
import type { Attachment, Conversation, Summary } from "./types";

interface Schema extends DBSchema {
  conversations: { key: string; value: Conversation };
  summaries: { key: string; value: Summary };
  /** The files of messages that are not sent yet; their texts are in local storage. */
  drafts: { key: string; value: Attachment[] };
}

const searchedText = 4000; // characters of a conversation that the search looks through

let opened: Promise<IDBPDatabase<Schema>> | null = null;

function database() {
  opened ??= openDB<Schema>("chat", 2, {
    upgrade(db, before) {
      if (before < 1) {
        db.createObjectStore("conversations", { keyPath: "id" });
        db.createObjectStore("summaries", { keyPath: "id" });
      }
      db.createObjectStore("drafts");
    },
    blocking() {
      void opened?.then((db) => db.close()); // a newer page in another tab waits
      opened = null;
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

export async function readDraft(name: string): Promise<Attachment[]> {
  return (await (await database()).get("drafts", name)) ?? [];
}

export async function writeDraft(name: string, attachments: Attachment[]): Promise<void> {
  const db = await database();
  await (attachments.length > 0 ? db.put("drafts", attachments, name) : db.delete("drafts", name));
}

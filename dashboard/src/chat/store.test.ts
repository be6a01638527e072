import "fake-indexeddb/auto";
import { expect, test, vi } from "vitest";
import { readConversation, readSummaries } from "./db";
import { chats, settled } from "./store";
import { noSettings, type Answer, type Conversation } from "./types";

const answer = (id: string): Answer => ({
  id,
  model: "m",
  text: "so far",
  reasoning: "",
  status: "streaming",
  finishReason: null,
  error: null,
  startedAt: 0,
  ttftMs: null,
  durationMs: null,
  usage: null,
  requestID: null,
  recorded: null,
});

const conversation = (id: string): Conversation => ({
  id,
  title: id,
  renamed: false,
  models: ["m"],
  settings: noSettings,
  turns: [{ id: "t", text: "Q", attachments: [], at: 0, answers: [answer("a"), answer("b")] }],
  createdAt: 1,
  updatedAt: 1,
});

test("what came is kept while an answer grows", async () => {
  chats.save(conversation("growing"));
  chats.updateAnswer("growing", "b", { text: "so far so good" });
  await vi.waitFor(async () => {
    const kept = await readConversation("growing");
    expect(kept?.turns[0]?.answers.map((a) => a.text)).toEqual(["so far", "so far so good"]);
  });
});

test("an answer that is gone takes no text", () => {
  chats.save(conversation("replaced"));
  const before = chats.get("replaced");
  chats.updateAnswer("replaced", "none", { text: "late" });
  expect(chats.get("replaced")?.turns).toEqual(before?.turns);
});

test("a stream that died with its page says so", () => {
  expect(settled(conversation("x")).turns[0]?.answers.map((a) => a.status)).toEqual(["interrupted", "interrupted"]);
});

test("a deleted conversation stays deleted, also if its answer still comes", async () => {
  chats.save(conversation("deleted"));
  await vi.waitFor(async () => expect(await readConversation("deleted")).toBeDefined());
  await chats.remove("deleted");
  chats.updateAnswer("deleted", "a", { text: "late" });
  chats.flush();
  expect(await readConversation("deleted")).toBeUndefined();
  expect((await readSummaries()).map((s) => s.id)).not.toContain("deleted");
});

test("what came is kept when the page goes away before it is written", async () => {
  chats.save(conversation("leaving"));
  await vi.waitFor(async () => expect(await readConversation("leaving")).toBeDefined());
  chats.updateAnswer("leaving", "a", { text: "the last words" });
  chats.flush();
  const kept = JSON.parse(localStorage.getItem("unsaved:leaving") ?? "[]") as Answer[];
  expect(kept.map((a) => a.text)).toEqual(["the last words", "so far"]);
});

import { describe, expect, test } from "vitest";
import { splitBlocks } from "./blocks";
import { chatError } from "./errors";
import { fileName, toJSON, toMarkdown } from "./export";
import { messagesFor } from "./history";
import { searchModels } from "./models";
import { parseSetting } from "./SettingsDialog";
import { splitThinking } from "./thinking";
import { tokensPerSecond, totalsOf } from "./totals";
import { titleOf } from "./actions";
import { noSettings, type Answer, type Conversation } from "./types";

const answer = (change: Partial<Answer>): Answer => ({
  id: "a",
  model: "m",
  text: "",
  reasoning: "",
  status: "done",
  finishReason: "stop",
  error: null,
  startedAt: 0,
  ttftMs: null,
  durationMs: null,
  usage: null,
  requestID: null,
  recorded: null,
  ...change,
});

const recorded = { id: "r", promptTokens: 3, cachedTokens: 0, completionTokens: 20, reasoningTokens: 0, usageSource: "provider", ttftMs: 100, durationMs: 1100, backend: "b" };

const conversation = (turns: Conversation["turns"], system = ""): Conversation => ({
  id: "c",
  title: "A title",
  renamed: false,
  models: ["m"],
  settings: { ...noSettings, system },
  turns,
  createdAt: 0,
  updatedAt: 0,
});

describe("splitting Markdown", () => {
  const texts = [
    "one\n\ntwo\n\n```js\na\n\nb\n```\n\nthree",
    "- a\n\n- b\n\n  c\n\nend",
    "$$\nx\n\ny\n$$\n\nafter",
    "````md\n```\n\nstill code\n```\n\n````\n\nout",
    "[a]: https://example.org\n\ntext [a]",
    "~~~\n\n```\n\n~~~\n\nout",
  ];
  test("the blocks are the text", () => {
    for (const text of texts) expect(splitBlocks(text).join("")).toBe(text);
  });
  test("a growing text keeps the blocks that are complete", () => {
    for (const text of texts) {
      for (let n = 1; n < text.length; n++) {
        const before = splitBlocks(text.slice(0, n));
        const after = splitBlocks(text.slice(0, n + 1));
        expect(after.slice(0, Math.max(0, before.length - 1)).join("|")).toBe(before.slice(0, -1).join("|"));
      }
    }
  });
  test("code, formulas and lists stay whole", () => {
    expect(splitBlocks(texts[0]!).map((b) => b.trim())).toEqual(["one", "two", "```js\na\n\nb\n```", "three"]);
    expect(splitBlocks(texts[1]!)).toHaveLength(2);
    expect(splitBlocks(texts[2]!)).toHaveLength(2);
    expect(splitBlocks(texts[3]!)).toHaveLength(2);
    expect(splitBlocks(texts[4]!)).toHaveLength(1);
  });
});

describe("what a model thinks within its answer", () => {
  test.each([
    ["hello", "", "hello"],
    ["<think>why", "why", ""],
    ["<think>why</think>\n\nso", "why", "so"],
    ["<thi", "", ""],
    ["<b>", "", "<b>"],
  ])("%j", (text, thinking, said) => {
    expect(splitThinking(text)).toEqual({ thinking, text: said });
  });
});

describe("errors say what to do", () => {
  test("a limit counts down for as long as it says", () => {
    const error = chatError({ status: 429, error: { message: "slow down", code: "rate_limit_exceeded" }, headers: new Headers({ "retry-after": "7" }) }, false, 1000);
    expect(error).toMatchObject({ title: "Too many requests", detail: "slow down", retryAt: 8000 });
  });
  test("a spent budget is not worth waiting seconds for", () => {
    expect(chatError({ status: 429, error: { message: "spent", code: "insufficient_quota" } }).retryAt).toBeNull();
  });
  test("a gateway that is away", () => {
    expect(chatError(new TypeError("Failed to fetch"))).toMatchObject({ title: "The gateway cannot be reached", detail: "" });
  });
  test("a connection that breaks in the middle", () => {
    expect(chatError(new TypeError("network error"), true).title).toBe("The connection was lost in the middle");
  });
  test("an error event in the stream keeps the provider's words", () => {
    expect(chatError({ error: { message: "overloaded", code: null } }, true)).toMatchObject({ title: "The provider broke off with an error", detail: "overloaded" });
  });
});

describe("what is sent", () => {
  const turns = [
    { id: "1", text: "first", attachments: [], at: 0, answers: [answer({ text: "<think>x</think>A" }), answer({ id: "b", text: "B" })] },
    { id: "2", text: "second", attachments: [{ id: "f", kind: "text" as const, name: "a.md", size: 1, data: "```" }], at: 0, answers: [] },
    { id: "3", text: "third", attachments: [{ id: "i", kind: "image" as const, name: "a.png", size: 1, data: "data:image/png;base64,AA" }], at: 0, answers: [] },
  ];
  test("each column goes on from its own answers, without what was thought", () => {
    const messages = (column: number) => messagesFor(conversation(turns, "Be brief."), "2", column).map((m) => m.content);
    expect(messages(0)).toEqual(["Be brief.", "first", "A", "a.md:\n````\n```\n````\n\nsecond"]);
    expect(messages(1)[2]).toBe("B");
  });
  test("images are parts of the message", () => {
    expect(messagesFor(conversation(turns), "3", 0).at(-1)?.content).toEqual([
      { type: "text", text: "third" },
      { type: "image_url", image_url: { url: "data:image/png;base64,AA" } },
    ]);
  });
});

describe("exports", () => {
  const c = conversation([{ id: "1", text: "Q", attachments: [], at: 0, answers: [answer({ text: "A", status: "interrupted" })] }]);
  test("Markdown is for people", () => expect(toMarkdown(c)).toBe("# A title\n\n## You\n\nQ\n\n## m\n\nA\n\n*(interrupted)*\n"));
  test("JSON holds everything", () => expect(JSON.parse(toJSON(c))).toEqual(c));
  test("file names are plain", () => expect(fileName("../Ünï code: é?", "md")).toBe("ünï-code-é.md"));
});

describe("figures", () => {
  test("an unknown price is not nothing", () => {
    const turn = (costNano: number | null) => ({ id: String(costNano), text: "", attachments: [], at: 0, answers: [answer({ recorded: { ...recorded, costNano } })] });
    expect(totalsOf(conversation([turn(5), turn(null)]))).toEqual({ tokens: 46, costNano: 5, unpriced: 1 });
  });
  test("tokens a second count from the first token", () => {
    expect(tokensPerSecond(answer({ recorded: { ...recorded, costNano: null } }))).toBe(20);
    expect(tokensPerSecond(answer({}))).toBeNull();
  });
});

test("models are found by all words, favourites first, and a name that is typed counts", () => {
  const models = [
    { id: "gpt-a", owned_by: "openai" },
    { id: "llama", owned_by: "local" },
    { id: "gpt-b", owned_by: "local" },
  ];
  const { found, typed } = searchModels(models, new Set(["gpt-b"]), "GPT");
  expect(found.map((m) => m.id)).toEqual(["gpt-b", "gpt-a"]);
  expect(typed).toBe("GPT");
  expect(searchModels(models, new Set(), "llama").typed).toBeNull();
});

test("settings are refused with what would be right", () => {
  expect(parseSetting("", 0, 2, false)).toBeNull();
  expect(parseSetting("0.7", 0, 2, false)).toBe(0.7);
  expect(parseSetting("3", 0, 2, false)).toMatch(/from 0 to 2/);
  expect(parseSetting("1.5", 1, 10, true)).toMatch(/whole number/);
  expect(parseSetting("x", 1, 10, true)).toMatch(/whole number/);
});

test("a title is the beginning of the prompt", () => {
  expect(titleOf({ text: "  Hello\nworld", attachments: [] })).toBe("Hello");
  expect(titleOf({ text: "word ".repeat(40), attachments: [] }).length).toBeLessThanOrEqual(61);
});

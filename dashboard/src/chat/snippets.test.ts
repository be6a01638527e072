import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { snippets } from "./snippets";

const blocks = (file: string) => [...readFileSync(file, "utf8").matchAll(/```\w*\n([\s\S]*?)```/g)].map(([, text]) => text?.trim());

test("coding agents are set up as the documentation tells", () => {
  const told = blocks("../docs/agents.md");
  for (const { name, text } of snippets("http://localhost:3002/v1", "gpt-5-codex")) {
    if (name === "Codex") expect(told).toContain(text);
    if (name === "Claude Code") expect(told).toContain(text.replace("$AI_GATEWAY_KEY", "agw_…"));
  }
});

test("every way has the address, and most the model", () => {
  const all = snippets("https://gateway.example.com/v1", "m-1");
  expect(all.map((s) => s.name)).toEqual(expect.arrayContaining(["curl", "Python", "TypeScript", "Codex", "Claude Code", "LangChain", "Continue", "Cline"]));
  for (const { name, text } of all) {
    expect(text, name).toContain("https://gateway.example.com");
    if (name !== "Claude Code") expect(text, name).toContain("m-1");
  }
});

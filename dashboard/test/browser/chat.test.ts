import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Gateway, Provider, until } from "../gateway";
import { words, type Scenario } from "../scenarios";
import { launch, Tab } from "./browser";

const hostile = `# <script>window.dead = false</script>

<img src=x onerror="window.dead = false"> <iframe src="javascript:window.dead=false"></iframe> <svg onload="window.dead=false"></svg>

[a link](javascript:window.dead=false) ![a pixel](http://127.0.0.1:1/pixel.png?leak) [data](data:text/html,<script>1</script>)

<style>body { display: none }</style>

\`\`\`html
<script>window.dead = false</script>
\`\`\`

$\\href{javascript:window.dead=false}{x}$ $\\includegraphics{http://127.0.0.1:1/y.png}$

The end of it.`;

const scenarios: Scenario[] = [
  { model: "slow", pieces: words("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen", 250), usage: { prompt: 9, completion: 15 } },
  { model: "hostile", pieces: words(hostile, 2), usage: { prompt: 5, completion: 50 } },
  { model: "thinker", pieces: [{ thought: "First I consider." }, { thought: " Then I decide.", wait: 50 }, { text: "Decided.", wait: 50 }], usage: { prompt: 5, completion: 12, reasoning: 9 } },
  { model: "failing", refusals: [{ status: 500, code: "internal", message: "The model is on fire." }] },
  { model: "limited", refusals: [{ status: 429, code: "rate_limit_exceeded", message: "Slow down.", retryAfter: 30 }] },
  { model: "breaking", pieces: words("This much came before", 30), end: "error" },
  { model: "vanishing", pieces: words("This much came before the line went dead", 30), end: "reset" },
  { model: "gpt-4o-mini", pieces: words("A short answer.", 20), usage: { prompt: 1000, completion: 100, cached: 400 } },
  { model: "gpt-4o", pieces: words("Another answer.", 20), usage: { prompt: 1000, completion: 50 } },
];

let browser: Browser;
let gateway: Gateway;
let provider: Provider;
let lister: Server;
const scratch = mkdtempSync("/tmp/chat-");

/** The place of all other models: it lists a hundred and fifty of them, to those with a key. */
function listModels(): Promise<Server> {
  const data = Array.from({ length: 150 }, (_, n) => ({ id: `listed-${n}`, object: "model", created: 1, owned_by: "elsewhere" }));
  const server = createServer((request, response) => {
    const known = request.headers.authorization === "Bearer sk-of-my-own";
    response.writeHead(known ? 200 : 401, { "Content-Type": "application/json" }).end(JSON.stringify(known ? { object: "list", data } : { error: { message: "No key." } }));
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

beforeAll(async () => {
  lister = await listModels();
  const upstream = `http://127.0.0.1:${(lister.address() as AddressInfo).port}/v1`;
  provider = await Provider.start(scratch, scenarios);
  const routes = scenarios.map((s) => `${s.model}:${provider.url}/v1`).join(",");
  [browser, gateway] = await Promise.all([launch(), Gateway.start({ AI_GATEWAY_UPSTREAM: upstream, AI_GATEWAY_MODEL_ROUTES: routes, AI_GATEWAY_RETRY_ATTEMPTS: "0" })]);
});
afterAll(async () => {
  await browser?.close();
  await gateway?.remove();
  await provider?.stop();
  lister?.close();
  rmSync(scratch, { recursive: true, force: true });
});

const sql = <T>(query: string): T[] => JSON.parse(execFileSync("sqlite3", ["-json", "-cmd", ".timeout 5000", gateway.database, query], { encoding: "utf8" }) || "[]") as T[];

test("serve killed in mid-answer: the page goes on to the end, and the record comes", async () => {
  const tab = await Tab.open(browser, gateway.url);
  await tab.choose("slow");
  await tab.ask("Count");
  await tab.answer().getByText("two").waitFor();
  gateway.killServe();
  await tab.answer().getByText("fifteen").waitFor();
  await tab.settled();
  await tab.answer().getByRole("link", { name: "View record" }).waitFor({ timeout: 30_000 });
  expect(await tab.answer().innerText()).toContain("9 + 15 tokens");
  await tab.close();
});

test("stop reaches the provider, and the row is billed for what came", async () => {
  const tab = await Tab.open(browser, gateway.url);
  await tab.choose("slow");
  await tab.ask("Stop me");
  await tab.answer().getByText("three").waitFor();
  await tab.stop().click();
  await tab.answer().getByText("Stopped").waitFor();
  expect(await tab.answer().innerText()).not.toContain("fifteen");
  await until("the provider is hung up on", async () => (await provider.books()).calls.some((c) => c.body.includes("Stop me") && c.left));
  const [row] = await until("the row", async () => {
    const rows = sql<{ completion_tokens: number }>("SELECT completion_tokens FROM requests WHERE model = 'slow' AND outcome = 'client_closed'");
    return rows.length === 1 && rows;
  });
  expect(row!.completion_tokens).toBeGreaterThan(0);
  expect(row!.completion_tokens).toBeLessThan(15);
  await tab.close();
});

test("hostile Markdown stays dead", async () => {
  const tab = await Tab.open(browser, gateway.url);
  const asked: string[] = [];
  tab.page.on("request", (request) => asked.push(request.url()));
  await tab.page.evaluate("window.dead = true");
  await tab.choose("hostile");
  await tab.ask("Attack");
  await tab.answer().getByText("The end of it.").waitFor();
  await tab.settled();
  await tab.page.waitForLoadState("networkidle");
  expect(await tab.page.evaluate("window.dead")).toBe(true);
  expect(asked.filter((url) => !url.startsWith(gateway.url))).toEqual([]);
  expect(await tab.answer().locator("img, script, iframe, style, [onerror], [onload], a[href^=javascript], a[href^=data]").count()).toBe(0);
  expect(await tab.answer().getByRole("link", { name: "Picture: a pixel (127.0.0.1)" }).isVisible()).toBe(true);
  await tab.context.close(); // a formula's colour of its own for what it refuses is a style that the policy drops
});

test("errors say what to do, a limit counts down, and what came is kept", async () => {
  const tab = await Tab.open(browser, gateway.url);
  await tab.choose("failing");
  await tab.ask("Fail");
  await tab.answer().getByRole("alert").getByText("The model is on fire.").waitFor();
  expect(await tab.answer().getByRole("alert").innerText()).toContain("The provider failed");
  await tab.choose("limited");
  await tab.ask("Faster");
  await tab.answer(1).getByRole("button", { name: /^Try again in (2\d|30) s$/ }).waitFor();
  for (const [n, model] of ["breaking", "vanishing"].entries()) {
    await tab.choose(model);
    await tab.ask("Break");
    await tab.answer(2 + n).getByRole("alert").waitFor();
    expect(await tab.answer(2 + n).innerText()).toContain("This much came before");
    expect(await tab.answer(2 + n).innerText()).toContain("What came is kept.");
  }
  await tab.accessible();
  await tab.close();
});

test("the gateway away and back", async () => {
  const tab = await Tab.open(browser, gateway.url);
  await tab.choose("gpt-4o-mini"); // of a list that is there
  await gateway.stop();
  await tab.ask("Anybody?");
  await tab.answer().getByRole("alert").getByText("The gateway cannot be reached").waitFor();
  await tab.page.getByText("The gateway does not answer.").waitFor({ timeout: 30_000 });
  await gateway.launch();
  await tab.page.getByText("The gateway does not answer.").waitFor({ state: "hidden", timeout: 30_000 });
  await tab.choose("gpt-4o-mini");
  await tab.ask("And now?");
  await tab.answer(1).getByText("A short answer.").waitFor();
  await tab.close();
});

test("two models side by side, their costs as SQL has them, restored by a link", async () => {
  const tab = await Tab.open(browser, `${gateway.url}/?model=gpt-4o-mini&compare=gpt-4o`);
  await expect.poll(() => tab.page.getByRole("combobox", { name: "Compare with" }).inputValue()).toBe("gpt-4o");
  await tab.ask("Both of you");
  await tab.settled();
  for (const n of [0, 1]) await tab.answer(n).getByRole("link", { name: "View record" }).waitFor();
  const rows = sql<{ model: string; cost: number }>("SELECT model, cost_nanousd AS cost FROM requests WHERE model LIKE 'gpt-%' ORDER BY started_at DESC LIMIT 2");
  for (const [n, model] of ["gpt-4o-mini", "gpt-4o"].entries()) {
    const cost = rows.find((r) => r.model === model)!.cost / 1e9;
    expect(await tab.answer(n).innerText()).toContain(`$${cost.toFixed(6).replace(/0+$/, "")}`);
  }
  await tab.accessible();
  await tab.close();
});

test("reasoning is folded away, a prompt is edited, a conversation is renamed, found, exported and deleted", async () => {
  const tab = await Tab.open(browser, gateway.url);
  const { page } = tab;
  await tab.choose("thinker");
  await tab.ask("Think about it");
  await tab.answer().getByText("Decided.").waitFor();
  expect(await page.getByText("First I consider.").count()).toBe(0);
  await page.getByText("Reasoning").click();
  await page.getByText("First I consider. Then I decide.").waitFor();

  await page.getByRole("button", { name: "Edit the prompt" }).click();
  await page.getByRole("textbox", { name: "Prompt", exact: true }).fill("Think again");
  await page.getByRole("button", { name: "Ask again" }).click();
  await page.getByRole("group", { name: "You" }).getByText("Think again").waitFor();
  await tab.settled();

  const menu = async (item: string) => {
    await page.getByRole("button", { name: "Conversation options" }).first().click();
    return page.getByRole("menuitem", { name: item }).click();
  };
  await menu("Rename");
  await page.getByRole("textbox", { name: "Title" }).fill("A decision");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { level: 1, name: "A decision" }).waitFor();
  await page.getByRole("searchbox", { name: "Search conversations" }).fill("decided");
  await page.getByRole("link", { name: "A decision" }).waitFor();
  for (const [format, text] of [["Markdown", "## thinker\n\nDecided."], ["JSON", '"Think again"']] as const) {
    const [file] = await Promise.all([page.waitForEvent("download"), menu(`Export as ${format}`)]);
    expect(readFileSync(await file.path(), "utf8")).toContain(text);
  }
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "A decision" }).waitFor();
  await menu("Delete");
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "New chat" }).waitFor();
  expect(await page.getByRole("link", { name: "A decision" }).count()).toBe(0);
  await tab.close();
});

test("files go into messages, and the page is worked by keyboard", async () => {
  const tab = await Tab.open(browser, gateway.url);
  const { page } = tab;
  await tab.choose("gpt-4o-mini");
  await page.locator("input[type=file]").setInputFiles([
    { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("remember the milk") },
    { name: "tiny.png", mimeType: "image/png", buffer: Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64") },
  ]);
  await page.getByRole("list", { name: "Attachments" }).getByText("tiny.png").waitFor();
  await tab.message().fill("What is this?");
  await page.reload(); // the draft is kept, with its files
  await page.getByRole("list", { name: "Attachments" }).getByText("notes.txt").waitFor();
  expect(await tab.message().inputValue()).toBe("What is this?");
  await tab.message().press("Enter");
  await tab.settled();
  const sent = (await provider.books()).calls.at(-1)!.body;
  expect(sent).toContain("notes.txt:\\n```\\nremember the milk");
  expect(sent).toContain('{"type":"image_url","image_url":{"url":"data:image/png;base64,');
  await page.locator("h1").click();
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await tab.accessible();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+Shift+O");
  await page.getByRole("heading", { level: 1, name: "New chat" }).waitFor();
  await page.getByRole("button", { name: "Connect" }).click();
  await page.getByRole("dialog", { name: "Connect" }).getByText(`${gateway.url}/v1`).first().waitFor();
  for (const agent of ["Codex", "Claude Code"]) {
    await page.getByRole("tab", { name: agent }).click();
    await page.getByLabel(`Example for ${agent}`).getByText(gateway.url).waitFor();
  }
  await tab.accessible();
  await tab.close();
});

test("the picker also has the models that the upstream lists for one's own key", async () => {
  const tab = await Tab.open(browser, gateway.url);
  const { page } = tab;
  const picker = page.getByRole("combobox", { name: "Model", exact: true });
  await picker.click();
  await page.getByRole("option", { name: /^slow,/ }).waitFor();
  expect(await page.getByRole("option", { name: /^listed-/ }).count()).toBe(0);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Key, none" }).click();
  await page.getByRole("textbox", { name: "Key" }).fill("sk-of-my-own");
  await page.getByRole("button", { name: "Save" }).click();
  await picker.click();
  await page.getByRole("option", { name: "listed-100, elsewhere" }).waitFor();
  await page.getByText(/^\d+ more: type a part of the name$/).waitFor();
  await tab.accessible();
  await picker.fill("listed-149");
  await picker.press("Enter");
  expect(await picker.inputValue()).toBe("listed-149");
  expect(await page.evaluate(() => JSON.stringify({ ...localStorage }))).not.toContain("sk-of-my-own");
  await tab.close();
});

test("reading up is not disturbed by what comes", async () => {
  const tab = await Tab.open(browser, gateway.url, { height: 420 });
  await tab.choose("hostile");
  await tab.ask("Long");
  await tab.settled();
  await tab.choose("slow");
  await tab.ask("Count on");
  await tab.answer(1).getByText("two").waitFor();
  const view = tab.page.getByRole("region", { name: "Conversation", exact: true });
  await view.hover();
  await tab.page.mouse.wheel(0, -400);
  await tab.page.getByRole("button", { name: "Jump to latest" }).waitFor();
  const top = await view.evaluate((el) => el.scrollTop);
  await tab.answer(1).getByText("nine").waitFor();
  expect(await view.evaluate((el) => el.scrollTop)).toBe(top);
  await tab.page.getByRole("button", { name: "Jump to latest" }).click();
  await tab.settled();
  await expect.poll(() => view.evaluate((el) => el.scrollHeight - el.clientHeight - el.scrollTop)).toBeLessThan(30);
  await tab.context.close();
});

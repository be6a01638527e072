import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Gateway, until } from "../gateway";
import { launch, Tab } from "./browser";

let browser: Browser;
let gateway: Gateway;

beforeAll(async () => {
  [browser, gateway] = await Promise.all([launch(), Gateway.start()]);
});
afterAll(async () => {
  await browser?.close();
  await gateway?.remove();
});

const scripts = () => performance.getEntriesByType("resource").filter((r) => new URL(r.name).pathname.endsWith(".js"));

test("from nothing to the first answer, which is seen growing and has its cost", async () => {
  const tab = await Tab.open(browser, gateway.url);
  await expect.poll(() => tab.page.getByText("You are talking to the demo model").isVisible()).toBe(true);
  await expect.poll(() => tab.page.getByText("export OPENAI_API_KEY=").isVisible()).toBe(true);
  await tab.ask("Hello!");
  const lengths = new Set<number>();
  await until("the answer is complete", async () => {
    lengths.add((await tab.answer().innerText()).length);
    return tab.send().isVisible();
  });
  expect(lengths.size).toBeGreaterThan(4);
  await expect.poll(() => tab.answer().getByRole("link", { name: "View record" }).isVisible(), { timeout: 15_000 }).toBe(true);
  await expect.poll(() => tab.answer().innerText()).toMatch(/\d+ \+ \d+ tokens\s+\$0\.00/);
  await tab.answer().getByRole("link", { name: "View record" }).click();
  await expect.poll(() => tab.page.getByRole("heading", { name: "demo" }).isVisible()).toBe(true);
  await tab.close();
});

test("the chat can be used after at most 200 kB of JavaScript", async () => {
  const tab = await Tab.open(browser, gateway.url);
  await tab.message().fill("ready");
  await tab.send().waitFor();
  const sizes = await tab.page.evaluate(`(${scripts.toString()})().map((r) => r.encodedBodySize)`);
  expect((sizes as number[]).reduce((sum, n) => sum + n, 0)).toBeLessThan(200_000);
  await tab.close();
});

test("stop cancels the request, and what came is billed", async () => {
  const tab = await Tab.open(browser, gateway.url);
  await tab.ask("Say it again");
  await expect.poll(async () => (await tab.answer().innerText()).includes("Hello! I am"), { timeout: 10_000 }).toBe(true);
  await tab.stop().click();
  await expect.poll(() => tab.answer().getByText("Stopped").isVisible()).toBe(true);
  const row = await until("the row", async () => (await gateway.get<{ data: { completion_tokens: number }[] }>("/api/requests?outcome=client_closed")).data[0]);
  expect(row.completion_tokens).toBeGreaterThan(0);
  await tab.close();
});

test("a reload in mid-answer keeps what came", async () => {
  const tab = await Tab.open(browser, gateway.url);
  await tab.ask("Once more");
  await expect.poll(async () => (await tab.answer().innerText()).includes("built-in demo model"), { timeout: 10_000 }).toBe(true);
  await tab.page.reload();
  await expect.poll(() => tab.answer().getByText("Interrupted").isVisible()).toBe(true);
  expect(await tab.answer().innerText()).toContain("Hello! I am");
  await tab.close();
});

test.each(["light", "dark"] as const)("every page is accessible in the %s theme", async (theme) => {
  const tab = await Tab.open(browser, gateway.url, { theme });
  await tab.ask("Hello!");
  await tab.settled();
  await tab.answer().getByRole("link", { name: "View record" }).waitFor();
  await tab.accessible();
  for (const page of ["Usage", "Requests", "Keys", "System"]) {
    await tab.page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: page }).click();
    await tab.page.getByRole("heading", { level: 1, name: page }).waitFor();
    await tab.page.waitForLoadState("networkidle");
    await tab.accessible();
  }
  await tab.page.getByRole("link", { name: "Requests" }).click();
  await tab.page.getByRole("link", { name: "Prompt log" }).click();
  await tab.page.getByRole("searchbox", { name: "Search prompts and answers" }).fill("hello");
  await tab.page.getByRole("button", { name: "Search" }).click();
  await tab.page.getByRole("listitem").filter({ hasText: "Hello!" }).first().waitFor();
  await tab.accessible();
  await tab.page.getByRole("link", { name: "All", exact: true }).click();
  await tab.page.getByRole("table", { name: "Requests" }).getByRole("link").first().click();
  await tab.page.getByRole("heading", { level: 1, name: "Request" }).waitFor();
  await tab.page.waitForLoadState("networkidle");
  await tab.accessible();
  await tab.close();
}, 120_000);

import { execFileSync } from "node:child_process";
import type { Browser } from "playwright-core";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Gateway } from "../gateway";
import { fill } from "../sample";
import { launch, Tab } from "./browser";

let browser: Browser;
let gateway: Gateway;

beforeAll(async () => {
  [browser, gateway] = await Promise.all([launch(), Gateway.start()]);
  await fill(gateway);
});
afterAll(async () => {
  await browser?.close();
  await gateway?.remove();
});

const sql = <T>(query: string): T[] => JSON.parse(execFileSync("sqlite3", ["-json", "-cmd", ".timeout 5000", gateway.database, query], { encoding: "utf8" }) || "[]") as T[];

test("card, table, file and SQL have the same figures", async () => {
  const from = "2000-01-01T00:00:00Z";
  const [row] = sql<{ n: number; cost: number }>("SELECT COUNT(*) AS n, SUM(cost_nanousd) AS cost FROM requests WHERE model = 'gpt-4o'");
  const first = sql<{ at: string }>("SELECT MIN(started_at) AS at FROM requests")[0]!.at;
  expect(first > from).toBe(true);
  const to = new Date(Date.now() + 60_000).toISOString();
  const start = new Date(Date.parse(first) - 1000).toISOString();
  const tab = await Tab.open(browser, `${gateway.url}/usage?from=${start}&to=${to}&model=gpt-4o`);
  const number = new Intl.NumberFormat("en-GB").format(row!.n);
  const cost = new Intl.NumberFormat("en-GB", { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol" }).format(row!.cost / 1e9);
  await tab.page.getByRole("button", { name: new RegExp(`^Requests ${number} `) }).waitFor();
  await tab.page.getByRole("button", { name: new RegExp(`^Cost \\${cost} `) }).waitFor();
  expect(await tab.page.getByRole("region", { name: "Totals by model" }).getByRole("row").last().innerText()).toMatch(new RegExp(`${number}.*\\${cost}`, "s"));
  const [file] = await Promise.all([tab.page.waitForEvent("download"), tab.page.getByRole("button", { name: "CSV" }).click()]);
  const lines = readFileSync(await file.path(), "utf8").trim().split("\n").slice(1);
  expect(lines.reduce((sum, line) => sum + Number(line.split(",")[4]), 0)).toBe(row!.n);
  expect(lines.reduce((sum, line) => sum + Math.round(Number(line.split(",")[10]) * 1e9), 0)).toBe(row!.cost);
  await tab.close();
});

test("a bar leads to its requests, and filters live in the address", async () => {
  const tab = await Tab.open(browser, `${gateway.url}/usage?range=30d`);
  await tab.page.locator(".recharts-bar-rectangle path").first().click();
  await tab.page.waitForURL(/\/requests\?.*from=.*to=/);
  await tab.page.getByRole("table", { name: "Requests" }).getByRole("link").first().waitFor();
  await tab.page.getByRole("combobox", { name: "Filter by outcome" }).selectOption("failed");
  await tab.page.waitForURL(/outcome=failed/);
  await tab.page.reload();
  expect(await tab.page.getByRole("combobox", { name: "Filter by outcome" }).inputValue()).toBe("failed");
  await tab.close();
});

test("a request that comes is seen in the table by itself", async () => {
  const tab = await Tab.open(browser, `${gateway.url}/requests`);
  const rows = tab.page.getByRole("table", { name: "Requests" }).getByRole("row");
  await rows.nth(1).waitFor();
  await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model: "demo", messages: [{ role: "user", content: "See me?" }] }),
  });
  await rows.nth(1).getByText("demo").first().waitFor();
  await tab.page.getByRole("table", { name: "Requests" }).getByRole("link").first().click();
  await tab.page.getByText("See me?").waitFor();
  await tab.page.getByText("One attempt").waitFor();
  await tab.close();
});

test("a million rows page under a second", async () => {
  execFileSync("sqlite3", ["-cmd", ".timeout 60000", gateway.database], {
    input: `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
      INSERT INTO requests (started_at, id, request_id, duration_ms, ttft_ms, key_id, client_ip, endpoint, model, backend, upstream_model, stream, status, outcome, attempts,
        prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, usage_source, witness, cost_nanousd, price_version)
      SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now', '-' || (i * 2) || ' seconds') || '000Z', printf('00000000-0000-7000-8000-%012d', i), 'r' || i, 900, 300, 'k_' || (i % 50), '127.0.0.1',
        '/v1/chat/completions', 'model-' || (i % 20), 'provider', 'model', 1, 200, 'ok', 1, 100, 0, 50, 0, 'provider', 'both', 1000, 'v' FROM n;`,
  });
  const timed = async (path: string) => {
    const start = performance.now();
    const page = await gateway.get<{ data: unknown[]; next: string }>(path);
    return { page, ms: performance.now() - start };
  };
  let path = "/api/requests?limit=100";
  for (let n = 0; n < 5; n++) {
    const { page, ms } = await timed(path);
    expect(page.data).toHaveLength(100);
    expect(ms).toBeLessThan(1000);
    path = `/api/requests?limit=100&cursor=${page.next}`;
  }
  expect((await timed("/api/requests?limit=100&model=model-7&key=k_7")).ms).toBeLessThan(1000);
  const tab = await Tab.open(browser, `${gateway.url}/requests?range=30d`);
  const rows = tab.page.getByRole("table", { name: "Requests" }).getByRole("row");
  await rows.nth(1).waitFor();
  for (let n = 0; n < 10; n++) await tab.page.getByRole("region", { name: "Requests, newest first" }).evaluate((el) => el.scrollTo(0, el.scrollHeight));
  expect(await rows.count()).toBeLessThan(80); // only what is in sight is drawn
  await tab.close();
}, 180_000);

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
  for (const [form, separator] of [["With commas", ","], ["With semicolons, and commas in numbers", ";"]] as const) {
    await tab.page.getByRole("button", { name: "CSV" }).click();
    const [file] = await Promise.all([tab.page.waitForEvent("download"), tab.page.getByRole("menuitem", { name: form }).click()]);
    const lines = readFileSync(await file.path(), "utf8").trim().split("\r\n").slice(1).map((line) => line.split(separator));
    expect(lines.reduce((sum, cells) => sum + Number(cells[4]), 0)).toBe(row!.n);
    expect(lines.reduce((sum, cells) => sum + Math.round(Number(cells[10]!.replace(",", ".")) * 1e9), 0)).toBe(row!.cost);
  }
  await tab.close();
});

test("each grouping has the figures of SQL, and one group is broken down by another", async () => {
  const [{ first }] = sql<{ first: string }>("SELECT MIN(started_at) AS first FROM requests") as [{ first: string }];
  const span = `from=${new Date(Date.parse(first) - 1000).toISOString()}&to=${new Date(Date.now() - 3_600_000).toISOString()}`;
  const until = `started_at < '${new URLSearchParams(span).get("to")!.replace("Z", "000Z")}'`;
  const number = new Intl.NumberFormat("en-GB");
  const of: Record<string, string> = {
    team: `SELECT team AS name, COUNT(*) AS n FROM requests WHERE ${until} GROUP BY 1`,
    user: `SELECT user_id AS name, COUNT(*) AS n FROM requests WHERE ${until} GROUP BY 1`,
    tag: `SELECT t.key || '=' || t.value AS name, COUNT(*) AS n FROM requests r, json_each(r.tags) t WHERE ${until} GROUP BY 1`,
  };
  const [{ all }] = sql<{ all: number }>(`SELECT COUNT(*) AS "all" FROM requests WHERE ${until}`) as [{ all: number }];
  const tab = await Tab.open(browser, `${gateway.url}/usage?${span}`);
  for (const [group, query] of Object.entries(of)) {
    await tab.page.goto(`${gateway.url}/usage?${span}&group=${group}`);
    const table = tab.page.getByRole("region", { name: `Totals by ${group}` });
    for (const { name, n } of sql<{ name: string; n: number }>(query)) {
      const row = table.getByRole("row").filter({ has: tab.page.getByRole("link", { name, exact: true }) });
      await row.waitFor();
      const cells = await row.getByRole("cell").allInnerTexts();
      expect([name, cells[1]]).toEqual([name, number.format(n)]);
    }
    expect((await table.getByRole("row").last().getByRole("cell").allInnerTexts())[1]).toBe(number.format(all)); // also where tags overlap
  }
  await tab.page.getByText("Tags overlap").waitFor();
  await tab.accessible();

  await tab.page.goto(`${gateway.url}/usage?${span}`);
  await tab.page.getByRole("button", { name: "Break gpt-4o down by key" }).click();
  await tab.page.waitForURL(/model=gpt-4o&|model=gpt-4o$/);
  const keys = tab.page.getByRole("region", { name: "Totals by key" });
  for (const { label, n } of sql<{ label: string; n: number }>(`SELECT k.label, COUNT(*) AS n FROM requests r JOIN keys k USING (key_id) WHERE model = 'gpt-4o' AND ${until} GROUP BY 1`)) {
    const row = keys.getByRole("row").filter({ hasText: label });
    await row.waitFor();
    expect((await row.getByRole("cell").allInnerTexts())[1]).toBe(number.format(n));
  }
  await tab.page.getByRole("button", { name: "Take back the filter model" }).click();
  await tab.page.getByRole("button", { name: "Filter", exact: true }).click();
  await tab.page.getByRole("menuitem", { name: "Model" }).click();
  await tab.page.getByRole("menuitem", { name: /^o4-mini/ }).click();
  await tab.page.getByRole("button", { name: "Take back the filter model" }).getByText("Model: o4-mini").waitFor();
  await tab.close();
}, 120_000);

test("pages do not jump while they fill", async () => {
  const tab = await Tab.open(browser, gateway.url);
  for (const path of ["usage?range=30d", "usage/limits", "requests", "keys", "system", "system/checks", "system/explain"]) {
    await tab.page.goto(`${gateway.url}/${path}`);
    await tab.page.getByRole("heading", { level: 1 }).waitFor();
    await tab.page.waitForLoadState("networkidle");
    const moved = await tab.page.evaluate(
      () =>
        new Promise<number>((resolve) => {
          let sum = 0;
          const observer = new PerformanceObserver((list) => {
            for (const entry of list.getEntries() as (PerformanceEntry & { value: number })[]) sum += entry.value;
          });
          observer.observe({ type: "layout-shift", buffered: true });
          setTimeout(() => resolve(sum), 200);
        }),
    );
    expect([path, moved < 0.1]).toEqual([path, true]); // what the Web Vitals call good
  }
  await tab.close();
}, 120_000);

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
  await tab.page.getByRole("img", { name: "New requests are streamed as they end" }).waitFor();
  const asked: string[] = [];
  tab.page.on("request", (request) => asked.push(request.url()));
  await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model: "demo", messages: [{ role: "user", content: "See me?" }] }),
  });
  await rows.nth(1).getByText("demo").first().waitFor();
  expect(asked.filter((url) => /\/api\/requests\?/.test(url))).toEqual([]); // it was told, and did not ask
  await tab.page.getByRole("table", { name: "Requests" }).getByRole("link").first().click();
  await tab.page.getByText("See me?").waitFor();
  await tab.page.getByText("One attempt").waitFor();
  await tab.close();
});

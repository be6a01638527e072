import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Gateway, Provider, until } from "../gateway";
import { words } from "../scenarios";
import { launch, Tab } from "./browser";

const admin = `agw_${randomBytes(24).toString("hex")}`;
const scratch = mkdtempSync("/tmp/allow-");

let browser: Browser;
let gateway: Gateway;
let provider: Provider;
let member: { id: string; key: string };

beforeAll(async () => {
  provider = await Provider.start(scratch, [{ model: "gpt-4o-mini", pieces: words("A short answer.", 5), usage: { prompt: 1000, completion: 2000 } }]);
  const config = `
backends:
- {name: provider, kind: local, base_url: "${provider.url}/v1"}
- {name: away, kind: local, base_url: "http://127.0.0.1:9/v1"}
models:
- {name: gpt-4o-mini, backends: [provider, away], price: {input: 100, output: 200}}
limits:
  rules:
  - {by: user, tokens: 2000000, per: day}
budgets:
  rules:
  - {by: team, name: research, usd: 100, per: total}
`;
  [browser, gateway] = await Promise.all([launch(), Gateway.start({ AI_GATEWAY_ADMIN_KEY: admin }, config)]);
  const wish = { label: "Ada's laptop", owner: "ada@example.com", team: "research", budget: [{ per: "month", usd: 2 }], limits: { requests_per_day: 50 } };
  member = await gateway.post<{ id: string; key: string }>("/api/keys", wish, admin);
});
afterAll(async () => {
  await browser?.close();
  await gateway?.remove();
  await provider?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const sql = <T>(query: string): T[] => JSON.parse(execFileSync("sqlite3", ["-json", "-cmd", ".timeout 5000", gateway.database, query], { encoding: "utf8" }) || "[]") as T[];

async function signIn(tab: Tab, key: string) {
  await tab.page.getByRole("textbox", { name: "Gateway key" }).fill(key);
  await tab.page.getByRole("button", { name: "Go on" }).click();
  await tab.page.getByRole("textbox", { name: "Gateway key" }).waitFor({ state: "hidden" });
}

const ask = (content: string) =>
  fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${member.key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ model: "gpt-4o-mini", max_tokens: 100, stream: true, messages: [{ role: "user", content }] }),
  }).then((response) => response.text());

test("members see what is left of their own limits and budgets, and it falls", async () => {
  const tab = await Tab.open(browser, `${gateway.url}/usage/limits`);
  await signIn(tab, member.key);
  const { page } = tab;
  await page.getByText("What is left for “Ada's laptop”").waitFor();
  const month = page.getByRole("meter", { name: "Dollars a month of this key" });
  expect(await month.getAttribute("aria-valuetext")).toBe("$2.00 left of $2.00");
  expect(await page.getByRole("meter", { name: "Dollars in all of the team research" }).getAttribute("aria-valuetext")).toBe("$100.00 left of $100.00");
  expect(await page.getByRole("meter", { name: "Tokens a day of its owner, over all keys" }).getAttribute("aria-valuetext")).toBe("2,000,000 left of 2,000,000");
  expect(await page.getByRole("combobox", { name: "Key" }).count()).toBe(0);

  await ask("Spend something");
  await expect.poll(() => month.getAttribute("aria-valuetext"), { timeout: 30_000 }).toBe("$1.50 left of $2.00"); // 1000 · $100 + 2000 · $200 a million
  await expect.poll(() => page.getByRole("meter", { name: "Requests a day of this key" }).getAttribute("aria-valuetext"), { timeout: 30_000 }).toBe("49 left of 50");
  const [spent] = sql<{ nano: number }>("SELECT SUM(spent_nanousd) AS nano FROM spending WHERE scope = 'key'");
  expect(spent!.nano).toBe(500_000_000);
  await page.getByText("refuses first", { exact: true }).waitFor();
  await tab.accessible();

  await page.getByRole("link", { name: "Keys" }).click();
  await page.getByText("Your key").waitFor();
  expect(await page.getByRole("button", { name: "New key" }).count()).toBe(0);
  await page.getByRole("link", { name: "System" }).click();
  await page.getByText("For admins").waitFor();
  await tab.accessible();
  await tab.close();
}, 120_000);

test("admins see it for every key, explain a request, and read what the checks found", async () => {
  const tab = await Tab.open(browser, `${gateway.url}/usage/limits?key=${member.id}`);
  await signIn(tab, admin);
  const { page } = tab;
  await page.getByRole("meter", { name: "Dollars a month of this key" }).waitFor();

  await page.goto(`${gateway.url}/system/explain`);
  await page.getByRole("combobox", { name: "Key" }).selectOption(member.id);
  await page.getByRole("textbox", { name: "Max tokens" }).fill("100");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByText("A request for gpt-4o-mini would pass.").waitFor();
  await page.getByText(`${provider.url}/v1/chat/completions`).waitFor();
  await page.getByRole("textbox", { name: "Max tokens" }).fill("100000");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByText("A request for gpt-4o-mini would be refused.").waitFor();
  await page.getByText("429 insufficient_quota").first().waitFor();
  await tab.accessible();

  await page.getByRole("link", { name: "Checks" }).click();
  const finding = (about: string) => page.getByRole("listitem").filter({ hasText: about });
  await finding("backend away").getByRole("img", { name: "failed" }).waitFor({ timeout: 30_000 });
  await finding("backend away").getByText("check the address, the network and that the server runs").waitFor();
  await finding("store").getByRole("img", { name: "ok" }).waitFor();
  await tab.accessible();
  await tab.close();
}, 120_000);

test("a budget is given on the Keys page, holds, and is taken away again", async () => {
  const tab = await Tab.open(browser, `${gateway.url}/keys`);
  await signIn(tab, admin);
  const { page } = tab;
  const change = async () => {
    await page.getByRole("button", { name: "Options of Ada's laptop" }).click();
    await page.getByRole("menuitem", { name: "Change" }).click();
    return page.getByRole("group", { name: "Budget" });
  };
  const stored = () => sql<{ budget: string | null; limits: string; label: string }>(`SELECT budget, limits, label FROM gateway_keys WHERE id = '${member.id}'`)[0];
  const budget = await change();
  await budget.getByLabel("a month").fill("0.50"); // as much as is spent
  await page.getByRole("group", { name: "Limits" }).getByLabel("requests per day").fill("");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("$0.50 a month").waitFor();
  expect(JSON.parse(stored()!.budget!)).toEqual([{ per: "month", usd: 0.5 }]);
  expect(JSON.parse(stored()!.limits)).toEqual({});
  await until("the budget holds", async () => (await ask("More")).includes("insufficient_quota"));
  await page.goto(`${gateway.url}/usage/limits`);
  await page.getByRole("list", { name: "Budgets that ran low" }).getByText("Dollars a month of “Ada's laptop”").first().waitFor({ timeout: 45_000 });
  await tab.accessible();
  await page.goto(`${gateway.url}/keys`);

  await (await change()).getByLabel("a month").fill("unlimited");
  await tab.accessible();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("any sum a month").waitFor();
  await until("the budget is lifted", async () => (await ask("More")).includes("short"));

  await page.getByRole("button", { name: "Last 30 days" }).click();
  await page.waitForURL(/order=spent/);
  await tab.accessible();
  await tab.close();
}, 120_000);

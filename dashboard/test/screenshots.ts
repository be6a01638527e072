import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { afterAll, beforeAll, test } from "vitest";
import type { Browser } from "playwright-core";
import { launch, Tab } from "./browser/browser";
import { Gateway, Provider } from "./gateway";
import { conversationScenarios, fill } from "./sample";
import { mkdtempSync, rmSync } from "node:fs";

const folder = process.env.SCREENSHOTS ?? "../bin/screenshots";
const widths = { phone: 390, laptop: 1280, wide: 1680 };

let browser: Browser;
let gateway: Gateway;
let provider: Provider;
let ada: string;
const scratch = mkdtempSync("/tmp/shots-");

const admin = `agw_${randomBytes(24).toString("hex")}`;

const config = (url: string) => `
backends:
- {name: openai, kind: local, base_url: "${url}/v1"}
- {name: fallback, kind: local, base_url: "${url}/v1"}
models:
${conversationScenarios.map((s) => `- {name: ${s.model}, backends: [openai, fallback]}`).join("\n")}
default_backend: none
limits:
  requests_per_minute: 600
  rules:
  - {by: user, tokens: 4000000, per: day}
budgets:
  rules:
  - {by: team, name: research, usd: 20, per: month}
  - {by: user, usd: 2, per: week}
`;

const keys = [
  { label: "Ada's laptop", owner: "ada@example.com", team: "research", budget: [{ per: "month", usd: 15 }], limits: { requests_per_day: 2000 } },
  { label: "nightly evaluation", owner: "dana@example.com", team: "research", models: ["gpt-4o*"], tags: { feature: "evals" } },
  { label: "search service", team: "platform", networks: ["10.0.0.0/8"], expires_at: new Date(Date.now() + 90 * 86_400_000).toISOString() },
  { label: "old prototype", owner: "chi@example.com", team: "support" },
];

beforeAll(async () => {
  mkdirSync(folder, { recursive: true });
  provider = await Provider.start(scratch, conversationScenarios);
  [browser, gateway] = await Promise.all([launch(), Gateway.start({ AI_GATEWAY_ADMIN_KEY: admin, AI_GATEWAY_RETRY_ATTEMPTS: "0" }, config(provider.url))]);
  const made: { id: string; label: string }[] = [];
  for (const key of keys) made.push(await gateway.post<{ id: string; label: string }>("/api/keys", key, admin));
  ada = made[0]!.id;
  await gateway.post(`/api/keys/${made[3]!.id}/revoke`, {}, admin);
  await fill(gateway, made.slice(0, 3));
  const spent = (scope: string, name: string) =>
    `INSERT OR REPLACE INTO spending (scope, name, day, spent_nanousd) SELECT '${scope}', ${name}, substr(started_at, 1, 10), SUM(cost_nanousd) * 4 FROM requests WHERE cost_nanousd IS NOT NULL GROUP BY 2, 3;`;
  execFileSync("sqlite3", ["-cmd", ".timeout 5000", gateway.database], { input: spent("key", "key_id") + spent("user", "user_id") + spent("team", "team") });
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await gateway?.remove();
  await provider?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const pages = {
  "requests-filtered": "requests?range=30d&team=research&min_cost=0.001",
  prompts: "requests/prompts",
  usage: "usage?range=30d",
  "usage-teams": "usage?range=30d&group=team&show=requests",
  "usage-tags": "usage?range=30d&group=tag",
  latency: "usage?show=ttft",
  limits: "usage/limits?key=ada",
  keys: "keys",
  people: "people",
  system: "system",
  checks: "system/checks",
  explain: "system/explain",
};

/** Waits until a page has what it asked for. Requests come as a stream, which never ends. */
async function settle(tab: Tab) {
  if (/\/requests\?/.test(tab.page.url())) await tab.page.getByRole("table", { name: "Requests" }).getByRole("link").first().waitFor();
  else await tab.page.waitForLoadState("networkidle");
  if (/\/usage(\?|$)/.test(tab.page.url())) await tab.page.locator(".recharts-surface").first().waitFor();
  await tab.page.waitForTimeout(500); // charts measure their place
}

for (const theme of ["light", "dark"] as const) {
  for (const [name, width] of Object.entries(widths)) {
    test(`${theme}, ${name}`, async () => {
      const tab = await Tab.open(browser, gateway.url, { theme, width, height: name === "phone" ? 844 : 900 });
      const shot = (page: string) => tab.page.screenshot({ path: `${folder}/${page}-${theme}-${name}.png` });
      await tab.page.getByRole("textbox", { name: "Gateway key" }).waitFor();
      await shot("sign-in");
      await tab.page.getByRole("textbox", { name: "Gateway key" }).fill(admin);
      await tab.page.getByRole("button", { name: "Go on" }).click();
      await tab.message().waitFor();
      await settle(tab);
      await shot("welcome");
      await tab.page.evaluate(() => localStorage.setItem("model", "gpt-4o-mini"));
      await tab.page.reload();
      await tab.ask("Why is a token bucket better than a fixed window for rate limits?");
      await tab.settled();
      await tab.answer().getByRole("link", { name: "View record" }).waitFor();
      await shot("chat");
      await tab.page.evaluate(() => {
        localStorage.setItem("model", "gpt-4o");
        localStorage.setItem("compare-with", "gpt-4.1-mini");
      });
      await tab.page.goto(`${gateway.url}/`);
      await tab.ask("Name three uses of a write-ahead log.");
      await tab.settled();
      await tab.answer(0).getByRole("link", { name: "View record" }).waitFor();
      await tab.answer(1).getByRole("link", { name: "View record" }).waitFor();
      await shot("compare");
      await tab.page.goto(`${gateway.url}/requests`);
      await tab.page.getByRole("table", { name: "Requests" }).getByRole("link").first().waitFor();
      await shot("requests");
      await tab.page.getByRole("table", { name: "Requests" }).getByRole("link").first().click();
      await tab.page.getByRole("heading", { level: 2 }).first().waitFor();
      await settle(tab);
      await shot("request");
      for (const [page, path] of Object.entries(pages)) {
        await tab.page.goto(`${gateway.url}/${path.replace("key=ada", `key=${ada}`)}`);
        await settle(tab);
        await shot(page);
      }
      await tab.page.getByRole("button", { name: "Explain" }).click();
      await tab.page.getByText("would pass").waitFor();
      await shot("explain");
      await tab.page.goto(`${gateway.url}/keys`);
      await tab.page.getByRole("button", { name: "New key" }).click();
      await tab.page.getByRole("textbox", { name: "Label" }).waitFor();
      await shot("key-form");
      await tab.context.close();
    });
  }
}

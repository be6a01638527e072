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
const scratch = mkdtempSync("/tmp/shots-");

beforeAll(async () => {
  mkdirSync(folder, { recursive: true });
  provider = await Provider.start(scratch, conversationScenarios);
  const routes = conversationScenarios.map((s) => `${s.model}:${provider.url}/v1`).join(",");
  [browser, gateway] = await Promise.all([launch(), Gateway.start({ AI_GATEWAY_UPSTREAM: `${provider.url}/v1`, AI_GATEWAY_MODEL_ROUTES: routes, AI_GATEWAY_RETRY_ATTEMPTS: "0" })]);
  await fill(gateway);
});
afterAll(async () => {
  await browser?.close();
  await gateway?.remove();
  await provider?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

for (const theme of ["light", "dark"] as const) {
  for (const [name, width] of Object.entries(widths)) {
    test(`${theme}, ${name}`, async () => {
      const tab = await Tab.open(browser, gateway.url, { theme, width, height: name === "phone" ? 844 : 900 });
      const shot = (page: string) => tab.page.screenshot({ path: `${folder}/${page}-${theme}-${name}.png` });
      await tab.message().waitFor();
      await tab.page.waitForLoadState("networkidle");
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
      await tab.page.waitForLoadState("networkidle");
      await shot("request");
      for (const page of ["requests/prompts", "usage?range=30d", "keys", "system"]) {
        await tab.page.goto(`${gateway.url}/${page}`);
        await tab.page.waitForLoadState("networkidle");
        await tab.page.waitForTimeout(400); // charts measure their place
        await shot(page.split(/[?/]/).at(page.includes("/") ? -1 : 0)!);
      }
      await tab.context.close();
    });
  }
}

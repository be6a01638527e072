import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, Tab } from "./browser/browser";

let browser: Browser;
const url = process.env.GATEWAY_URL;

beforeAll(async () => {
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
});

// For a gateway that runs already, wherever that is: `make test-deploy` starts it in containers.
test("the demo model answers in the chat, and the answer has its record", async () => {
  if (!url) throw new Error("GATEWAY_URL is not set: run this with `make test-deploy`");
  const tab = await Tab.open(browser, url);
  await expect.poll(() => tab.page.getByText("You are talking to the demo model").isVisible(), { timeout: 15_000 }).toBe(true);
  await tab.ask("Hello!");
  await tab.settled();
  await expect.poll(() => tab.answer().innerText()).toContain("built-in demo model");
  await expect.poll(() => tab.answer().getByRole("link", { name: "View record" }).isVisible(), { timeout: 30_000 }).toBe(true);
  await tab.answer().getByRole("link", { name: "View record" }).click();
  await tab.page.waitForURL(/\/requests\//);
  expect(tab.faults).toEqual([]);
  await tab.close();
});

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

/** Makes a key on the page and returns its secret, which is shown once. */
async function create(tab: Tab, label: string, role: "Admin" | "Member"): Promise<string> {
  await tab.page.getByRole("button", { name: "New key" }).click();
  await tab.page.getByRole("textbox", { name: "Label" }).fill(label);
  await tab.page.getByRole("combobox", { name: "Role" }).selectOption(role.toLowerCase());
  await tab.page.getByRole("button", { name: "Create" }).click();
  const secret = await tab.page.getByRole("textbox", { name: `Secret of ${label}` }).inputValue();
  expect(await tab.page.getByRole("button", { name: "Done" }).isDisabled()).toBe(true);
  await tab.page.getByRole("checkbox", { name: "I saved it" }).check();
  await tab.page.getByRole("button", { name: "Done" }).click();
  return secret;
}

async function menu(tab: Tab, label: string, item: string) {
  await tab.page.getByRole("button", { name: `Options of ${label}` }).click();
  await tab.page.getByRole("menuitem", { name: item }).click();
}

const status = async (secret: string) =>
  (
    await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
      body: JSON.stringify({ model: "demo", messages: [{ role: "user", content: "Hi" }] }),
    })
  ).status;

test("a key's life, from the first one that closes the gateway to refusal", async () => {
  const tab = await Tab.open(browser, `${gateway.url}/keys`);
  await tab.page.getByText("This gateway is open:").waitFor();
  const admin = await create(tab, "operations", "Admin");
  await tab.page.getByText("This gateway is open:").waitFor({ state: "hidden" });
  expect(await tab.page.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]))).not.toContain(admin);
  expect(await status("")).toBe(401);

  const member = await create(tab, "batch jobs", "Member");
  expect(await status(member)).toBe(200);
  await menu(tab, "batch jobs", "Rotate");
  await tab.page.getByRole("combobox", { name: "The old secret" }).selectOption("0");
  await tab.page.getByRole("button", { name: "Rotate" }).click();
  const rotated = await tab.page.getByRole("textbox", { name: "Secret of batch jobs" }).inputValue();
  await tab.page.getByRole("checkbox", { name: "I saved it" }).check();
  await tab.page.getByRole("button", { name: "Done" }).click();
  await until("the old secret is refused", async () => (await status(member)) === 401);
  expect(await status(rotated)).toBe(200);

  await tab.accessible();
  await menu(tab, "batch jobs", "Revoke");
  await tab.page.getByRole("button", { name: "Revoke", exact: true }).click();
  await tab.page.getByText("revoked", { exact: true }).first().waitFor();
  await until("the key is refused", async () => (await status(rotated)) === 401);
  await tab.close();

  const other = await Tab.open(browser, `${gateway.url}/usage`);
  await other.accessible();
  await other.page.getByRole("textbox", { name: "Gateway key" }).fill("agw_wrong");
  await other.page.getByRole("button", { name: "Go on" }).click();
  await other.page.getByText("Incorrect API key provided.").waitFor();
  await other.page.getByRole("textbox", { name: "Gateway key" }).fill(admin);
  await other.page.getByRole("button", { name: "Go on" }).click();
  await other.page.getByRole("heading", { level: 1, name: "Usage" }).waitFor();
  await other.page.reload();
  await other.page.getByRole("heading", { level: 1, name: "Usage" }).waitFor();
  await other.page.goto(gateway.url);
  await other.ask("Hello!");
  await other.answer().getByText("built-in demo model").waitFor();
  await other.page.getByRole("button", { name: /^Leave/ }).click();
  await other.page.getByRole("textbox", { name: "Gateway key" }).waitFor();
  await other.close();
});

import { writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Dex, dexPassword } from "../dex";
import { freePort, Gateway, until } from "../gateway";
import { launch, Tab } from "./browser";

let browser: Browser;
let gateway: Gateway;
let brief: Gateway; // its sessions last for seconds
let dex: Dex;
const folder = mkdtempSync("/tmp/sign-in-");

beforeAll(async () => {
  const port = await freePort();
  const file = join(folder, "ai-gateway.yaml");
  writeFileSync(file, "sign_in: {session_idle: 4s, session_max: 4s}\n");
  [browser, gateway, brief] = await Promise.all([
    launch(),
    Gateway.start({ ...Dex.env(port), AI_GATEWAY_ENCRYPTION_KEY: "0123456789abcdef0123456789abcdef" }),
    Gateway.start({ ...Dex.env(port), AI_GATEWAY_CONFIG: file }),
  ]);
  dex = await Dex.start(port, [gateway, brief].map((g) => `${g.url}/auth/callback`));
});
afterAll(async () => {
  await browser?.close();
  await gateway?.remove();
  await brief?.remove();
  await dex?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const signInLink = (tab: Tab) => tab.page.getByRole("link", { name: "Continue with single sign-on" });

/** Signs in on Dex's own pages. */
async function signIn(tab: Tab, name: string) {
  await signInLink(tab).click();
  await tab.page.locator("input[name=login]").fill(`${name}@example.com`);
  await tab.page.locator("input[name=password]").fill(dexPassword);
  await tab.page.locator("#submit-login").click();
}

async function visit(name: string, path = "/", at = gateway): Promise<Tab> {
  const tab = await Tab.open(browser, at.url + path);
  await signIn(tab, name);
  return tab;
}

test("people sign in, are changed and blocked, and leave", async () => {
  const ada = await Tab.open(browser, `${gateway.url}/keys`);
  await signInLink(ada).waitFor();
  await ada.accessible();
  await signIn(ada, "ada");
  await ada.page.getByRole("heading", { level: 1, name: "Keys" }).waitFor(); // where she wanted to go
  expect(new URL(ada.page.url()).pathname).toBe("/keys");
  expect(await ada.page.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]))).not.toContain("ags_");

  const bob = await visit("bob");
  await bob.ask("Hello!");
  await bob.answer().getByText("built-in demo model").waitFor();
  expect(await bob.page.getByRole("link", { name: "People" }).count()).toBe(0);
  await bob.page.goto(`${gateway.url}/people`);
  await bob.page.getByText("This is for the role admin").waitFor();

  await ada.page.getByRole("link", { name: "People" }).click();
  await ada.page.getByRole("row", { name: /bob@example.com/ }).waitFor();
  await ada.accessible();
  await ada.page.getByRole("button", { name: "Invite" }).click();
  await ada.page.getByRole("textbox", { name: "E-mail address" }).fill("eve@example.com");
  await ada.page.getByRole("combobox", { name: "Role" }).selectOption("viewer");
  await ada.accessible();
  await ada.page.getByRole("button", { name: "Invite" }).last().click();
  await ada.page.getByRole("row", { name: /eve@example.com.*invited/ }).waitFor();
  await ada.page.getByRole("button", { name: "Options of ada@example.com" }).click();
  await ada.page.getByRole("menuitem", { name: "Block" }).click();
  await ada.page.getByRole("button", { name: "Block", exact: true }).click();
  await ada.page.getByText("This is the last administrator").waitFor();

  await ada.page.getByRole("button", { name: "Options of bob@example.com" }).click();
  await ada.page.getByRole("menuitem", { name: "Block" }).click();
  await ada.page.getByRole("button", { name: "Block", exact: true }).click();
  await ada.page.getByRole("row", { name: /bob@example.com.*blocked/ }).waitFor();
  await ada.page.getByText("blocked", { exact: true }).first().waitFor();
  await bob.page.goto(`${gateway.url}/usage`);
  await signIn(bob, "bob");
  await bob.page.getByRole("alert").getByText("has blocked you").waitFor();
  await bob.close();

  const eve = await visit("eve", "/usage");
  await eve.page.getByRole("heading", { level: 1, name: "Usage" }).waitFor();
  expect((await eve.page.evaluate(async () => (await fetch("/api/prompt-log")).status))).toBe(403);
  await eve.close();

  await ada.page.getByRole("button", { name: /^Leave/ }).click();
  await signInLink(ada).waitFor();
  await ada.page.goBack();
  await signInLink(ada).waitFor();
  await ada.close();
});

test("a second browser is seen and ended, and a saved key is used", async () => {
  const first = await visit("ada", "/account");
  const second = await visit("ada");
  await second.message().waitFor();
  await first.page.getByRole("heading", { level: 1, name: "Account" }).waitFor();
  await first.page.reload();
  const others = first.page.getByRole("list", { name: "Sessions" }).getByRole("button", { name: /^End the session of [^,]*$/ });
  await first.page.getByText("this browser").waitFor();
  await first.accessible();
  for (let n = await others.count(); n > 0; n = await others.count()) {
    await others.first().click();
    await until("the session is gone from the list", async () => (await others.count()) < n);
  }
  await second.page.goto(`${gateway.url}/usage`);
  await signInLink(second).waitFor();
  await second.close();

  await first.page.getByRole("textbox", { name: "Provider’s key" }).fill("sk-of-ada-0123456789");
  await first.page.getByRole("button", { name: "Save the key" }).click();
  await first.page.getByText("A key ending in …6789 is saved").waitFor();
  expect(await first.page.content()).not.toContain("sk-of-ada-0123456789");
  await first.page.getByRole("button", { name: "Theme: as the system" }).click();
  await until("the theme is saved", async () => (await first.page.evaluate(async () => (await (await fetch("/api/settings")).json()).theme)) === "light");
  await first.page.getByRole("button", { name: "Forget it" }).click();
  await first.page.getByText("None is saved").waitFor();
  await first.close();
});

test("who is denied is told why, and a session that is over asks again", async () => {
  const denied = await visit("unverified");
  await denied.page.getByRole("alert").getByText("does not say that your address is yours").waitFor();
  await denied.accessible();
  await denied.close();

  const tab = await visit("ada", "/usage", brief);
  await tab.page.getByRole("heading", { level: 1, name: "Usage" }).waitFor();
  await until("the session has expired", async () => {
    await tab.page.reload();
    return signInLink(tab).isVisible();
  });
  await tab.close();
});

test("a provider that is away is said to be", async () => {
  await dex.stop();
  await gateway.stop();
  await gateway.launch();
  const tab = await Tab.open(browser, gateway.url);
  await signInLink(tab).click();
  await tab.page.getByRole("alert").getByText("does not answer").waitFor();
  await tab.page.getByRole("button", { name: "Use a gateway key" }).click();
  await tab.page.getByRole("textbox", { name: "Gateway key" }).waitFor();
  await tab.close();
});

import { AxeBuilder } from "@axe-core/playwright";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { expect } from "vitest";

export const launch = (): Promise<Browser> => chromium.launch({ executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

/** A page of a browser of its own; what it complains of fails the test at its end. */
export class Tab {
  readonly faults: string[] = [];

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
  ) {
    page.on("pageerror", (error) => this.faults.push(`error: ${error.message}`));
    page.on("console", (message) => {
      if (/Content Security Policy|Minified React|Warning:/.test(message.text())) this.faults.push(message.text());
    });
  }

  static async open(browser: Browser, url: string, options: { theme?: "light" | "dark"; width?: number; height?: number } = {}): Promise<Tab> {
    const { theme = "light", width = 1280, height = 800 } = options;
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, locale: "en-GB", timezoneId: "Europe/Berlin", acceptDownloads: true });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    const tab = new Tab(context, page);
    await page.goto(url);
    return tab;
  }

  message = () => this.page.getByRole("textbox", { name: "Message" });
  send = () => this.page.getByRole("button", { name: "Send" });
  stop = () => this.page.getByRole("button", { name: "Stop" });
  answer = (n = 0) => this.page.getByRole("article").nth(n);

  async ask(text: string) {
    await this.message().fill(text);
    await this.send().click();
  }

  /** Waits for the end of what is being written. */
  async settled() {
    await this.send().waitFor();
  }

  async choose(model: string, label = "Model") {
    const box = this.page.getByRole("combobox", { name: label, exact: true });
    await box.click();
    await box.fill(model);
    await box.press("Enter");
  }

  /** Holds the page to WCAG 2.2 AA, as far as axe can tell. */
  async accessible() {
    const { violations } = await new AxeBuilder({ page: this.page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
    expect(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 160)).join(" | ")}`)).toEqual([]);
  }

  async close() {
    await this.context.close();
    expect(this.faults).toEqual([]);
  }
}

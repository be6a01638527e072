import "fake-indexeddb/auto";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { readLocal } from "@/lib/local";
import { Composer, sends } from "./Composer";
import { readDraft, writeDraft } from "./db";
import Markdown from "./Markdown";
import { ModelPicker } from "./ModelPicker";

beforeAll(() => {
  window.matchMedia = (query) => ({ matches: false, media: query, addEventListener() {}, removeEventListener() {} }) as unknown as MediaQueryList;
  Element.prototype.scrollIntoView = () => {};
});
beforeEach(() => localStorage.clear());
afterEach(cleanup);

describe("hostile Markdown stays dead", () => {
  const html = (text: string) => {
    const { container } = render(<Markdown text={text} growing={false} />);
    return container;
  };
  test("HTML is text", () => {
    const page = html('<img src=x onerror="alert(1)"><script>alert(1)</script>\n\n<iframe src="https://example.org"></iframe>\n\n<style>*{display:none}</style>');
    expect(page.querySelector("img, script, iframe, style, object, embed, form, [onerror]")).toBeNull();
  });
  test("links have the schemes of the web alone", () => {
    const page = html("[a](javascript:alert(1)) [b](data:text/html,x) [c](https://example.org) [d](vbscript:x) <javascript:alert(1)>");
    expect([...page.querySelectorAll("a")].map((a) => a.getAttribute("href")).filter(Boolean)).toEqual(["https://example.org"]);
    expect(page.querySelector("a[href]")?.getAttribute("rel")).toContain("noopener");
  });
  test("pictures are links that say where they lead", () => {
    const page = html("![pixel](https://example.org/p.png?secret) ![x](data:image/svg+xml,<svg>) ![bad](http://[)");
    expect(page.querySelector("img")).toBeNull();
    expect(page.textContent).toContain("Picture: pixel (example.org)");
  });
});

test("code has its language and can be copied", () => {
  render(<Markdown text={"```python\nprint(1)\n```\n\ninline `code`"} growing={false} />);
  expect(screen.getByText("python")).toBeDefined();
  expect(screen.getByRole("button", { name: "Copy the code" })).toBeDefined();
});

describe("the message box", () => {
  const show = (change: Partial<Parameters<typeof Composer>[0]> = {}) => {
    const onSend = vi.fn();
    render(<Composer draftName="draft:x" busy={false} suggestion={null} disabledBecause={null} onSend={onSend} onStop={() => {}} {...change} />);
    return { onSend, box: screen.getByRole("textbox", { name: "Message" }) };
  };
  test("Enter sends, and the draft is gone then", () => {
    const { onSend, box } = show();
    fireEvent.change(box, { target: { value: " hello " } });
    expect(readLocal("draft:x")).toBe(" hello ");
    fireEvent.keyDown(box, { key: "Enter" });
    expect(onSend).toHaveBeenCalledWith("hello", []);
    expect(readLocal("draft:x")).toBeNull();
  });
  test("Enter within a composition does not send", () => {
    expect(sends({ key: "Enter", shiftKey: false, isComposing: true, keyCode: 13 })).toBe(false);
    expect(sends({ key: "Enter", shiftKey: false, isComposing: false, keyCode: 229 })).toBe(false);
    expect(sends({ key: "Enter", shiftKey: true, isComposing: false, keyCode: 13 })).toBe(false);
    expect(sends({ key: "Enter", shiftKey: false, isComposing: false, keyCode: 13 })).toBe(true);
  });
  test("while an answer comes there is Stop and no Send", () => {
    show({ busy: true });
    expect(screen.getByRole("button", { name: "Stop" })).toBeDefined();
    expect(screen.queryByRole("button", { name: "Send" })).toBeNull();
  });
  test("the files of a draft come back, and are gone when they were sent", async () => {
    await writeDraft("draft:x", [{ id: "f", kind: "text", name: "notes.txt", size: 3, data: "abc" }]);
    const { onSend, box } = show();
    await screen.findByText("notes.txt");
    fireEvent.keyDown(box, { key: "Enter" });
    expect(onSend).toHaveBeenCalledWith("", [expect.objectContaining({ name: "notes.txt" })]);
    await vi.waitFor(async () => expect(await readDraft("draft:x")).toEqual([]));
  });
  test("a draft comes back", () => {
    localStorage.setItem("draft:x", "half a thought");
    expect((show().box as HTMLTextAreaElement).value).toBe("half a thought");
  });
});

test("the model picker is worked by keyboard", () => {
  const onChange = vi.fn();
  const models = [
    { id: "alpha", owned_by: "one" },
    { id: "beta", owned_by: "two" },
  ];
  render(<ModelPicker label="Model" value="alpha" models={models} onChange={onChange} />);
  const box = screen.getByRole("combobox", { name: "Model" });
  fireEvent.click(box);
  expect(box.getAttribute("aria-expanded")).toBe("true");
  fireEvent.keyDown(box, { key: "ArrowDown" });
  fireEvent.keyDown(box, { key: "Enter" });
  expect(onChange).toHaveBeenCalledWith("beta");
  fireEvent.change(box, { target: { value: "gamma" } });
  fireEvent.keyDown(box, { key: "Enter" });
  expect(onChange).toHaveBeenLastCalledWith("gamma");
});

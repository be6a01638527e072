import { expect, test } from "vitest";
import { browserName } from "./SessionsCard";

test("a browser is called by its name and system", () => {
  expect(browserName("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36")).toBe("Chrome on Linux");
  expect(browserName("Mozilla/5.0 (Windows NT 10.0) Chrome/141.0 Safari/537.36 Edg/141.0")).toBe("Chrome on Windows");
  expect(browserName("")).toBe("A browser");
});

import { readFileSync } from "node:fs";
import { afterEach, expect, test, vi } from "vitest";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.resetModules();
});

async function configured(url: string) {
  vi.stubEnv("GATEWAY_URL", url);
  return (await import("../../vercel")).config;
}

test("what is the gateway's is passed on to it, and the rest are pages", async () => {
  const { rewrites } = await configured("https://gateway.test/");
  const target = (path: string) => rewrites.find((r) => r.source === path)?.destination;
  for (const path of ["/v1", "/api", "/auth", "/health", "/gateway-auth-config"]) {
    expect(target(path)).toBe(`https://gateway.test${path}`);
    expect(target(`${path}/:path*`)).toBe(`https://gateway.test${path}/:path*`);
  }
  expect(rewrites.at(-1)).toEqual({ source: "/((?!assets/).*)", destination: "/index.html" });
});

test.each([
  ["", "GATEWAY_URL is not set"],
  ["http://gateway.test", "must be an https address"],
  ["https://gateway.test/v1", "without a path"],
  ["https://user@gateway.test", "must be an https address"],
  ["gateway.test", "Invalid URL"],
])("the address %j is refused", async (url, why) => {
  await expect(configured(url)).rejects.toThrow(why);
});

test("pages are as restricted as the gateway's own", async () => {
  const { headers } = await configured("https://gateway.test");
  const policy = headers[0]!.headers.find((h) => h.key === "Content-Security-Policy")!.value;
  const source = readFileSync("../dashboard-api/pages.go", "utf8");
  const own = /const pagePolicy = ((?:"[^"]*"(?: \+\s+)?)+)/.exec(source)![1]!;
  expect(policy).toBe([...own.matchAll(/"([^"]*)"/g)].map((m) => m[1]).join(""));
});

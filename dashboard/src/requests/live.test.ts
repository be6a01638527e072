import { expect, test } from "vitest";
import type { RequestRow } from "@/api/types";
import { mergeRows, queryOf } from "./filters";
import { fits, take } from "./live";

const row = (id: string, change: Partial<RequestRow> = {}) => ({ id, started_at: `2026-01-01T00:00:0${id}Z`, model: "m", backend: "b", key_id: "k", user_id: "u", request_id: "r", outcome: "ok", ...change }) as RequestRow;

test("a row is chosen by all filters", () => {
  expect(fits(row("1"), { model: "m", backend: "b", key: "k", user: "u", request_id: "r", outcome: "ok", from: "2026-01-01T00:00:00Z" })).toBe(true);
  for (const filter of [{ model: "x" }, { backend: "x" }, { key: "x" }, { user: "x" }, { request_id: "x" }, { outcome: "failed" }, { from: "2026-01-02T00:00:00Z" }]) expect(fits(row("1"), filter)).toBe(false);
  const slow = row("1", { cost_nanousd: 50_000_000, duration_ms: 1500, ttft_ms: null });
  expect(fits(slow, { min_cost: "0.05", min_duration_ms: "1500", min_ttft_ms: "0" })).toBe(true);
  for (const filter of [{ min_cost: "0.050000001" }, { min_duration_ms: "1501" }, { min_ttft_ms: "1" }]) expect(fits(slow, filter)).toBe(false);
  expect(fits(row("1", { outcome: "provider_closed" }), { outcome: "failed" })).toBe(true);
});

test("a row that is received again replaces what was known of it, where it stands", () => {
  const known = [row("3"), row("1")];
  const received = take(new Map(), [row("1", { outcome: "unknown" }), row("1", { outcome: "client_closed" }), row("2"), row("4")]);
  expect(mergeRows(known, received, new Set()).map((r) => [r.id, r.outcome])).toEqual([["3", "ok"], ["1", "client_closed"]]);
  expect(mergeRows(known, received, new Set(["2", "4"])).map((r) => r.id)).toEqual(["4", "3", "2", "1"]);
});

test("received rows are bounded", () => {
  const rows = Array.from({ length: 2500 }, (_, n) => row(String(n)));
  const received = take(new Map(), rows);
  expect(received.size).toBe(2000);
  expect(received.has("2499") && !received.has("0")).toBe(true);
});

test("figures that requests must reach go from the address to the API", () => {
  expect(queryOf({ min_cost: "0.05", min_duration_ms: "1500", min_ttft_ms: "200" }, "utc")).toMatchObject({ min_cost: "0.05", min_duration_ms: "1500", min_ttft_ms: "200" });
});

import { describe, expect, test } from "vitest";
import { readRange } from "./range";

const now = Date.parse("2026-03-29T10:20:30Z");

describe("a range in an address", () => {
  test("days are whole ones, and today is the last", () => {
    expect(readRange({ range: "7d" }, "utc", now)).toEqual({ from: new Date("2026-03-23T00:00:00Z"), to: new Date("2026-03-29T10:21:00Z"), interval: "day" });
  });
  test("nonsense is the last 24 hours", () => {
    for (const search of [{}, { range: "soon" }, { from: "x", to: "y" }, { from: "2026-02-01", to: "2026-01-01" }]) {
      expect(readRange(search, "utc", now).from).toEqual(new Date("2026-03-28T10:21:00Z"));
    }
  });
  test("two times are taken as they are", () => {
    const { from, to, interval } = readRange({ from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z" }, "utc", now);
    expect([from.toISOString(), to.toISOString(), interval]).toEqual(["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z", "hour"]);
  });
});

import { expect, test } from "vitest";
import { formatAgo, formatBytes, formatDay, formatDuration, formatMoney, formatTick, formatTime } from "./format";

test.each([
  [null, "price unknown"],
  [0, "$0.00"],
  [1_500_000_000, "$1.50"],
  [12_345_000_000_000, "$12,345.00"],
  [42_100_000, "$0.0421"],
  [420_000, "$0.00042"],
  [1_000, "$0.000001"],
  [1, "< $0.000001"],
])("%d nano-dollars", (nano, text) => expect(formatMoney(nano)).toBe(text));

test.each([
  [null, "–"],
  [0, "0 ms"],
  [840.4, "840 ms"],
  [3210, "3.21 s"],
  [125_000, "2 min 5 s"],
])("%d ms", (ms, text) => expect(formatDuration(ms)).toBe(text));

test("the figures of an axis have the same digits", () => {
  expect([0, 5_000_000, 10_000_000, 15_000_000].map((n) => formatTick(n, 5_000_000))).toEqual(["$0.000", "$0.005", "$0.010", "$0.015"]);
  expect([0, 50_000_000, 100_000_000].map((n) => formatTick(n, 50_000_000))).toEqual(["$0.00", "$0.05", "$0.10"]);
  expect(formatTick(20_000_000_000, 10_000_000_000)).toBe("$20.00");
});

test("times of another year have it", () => {
  expect(formatTime("2020-02-28T04:19:29Z", "utc")).toMatch(/2020/);
  expect(formatTime(new Date(), "utc")).not.toContain(String(new Date().getFullYear()));
  expect(formatDay("2020-02-28T04:19:29Z", "utc")).toMatch(/28.*2020/);
});

test("sizes and times", () => {
  expect(formatBytes(1536)).toBe("1.5 KiB");
  expect(formatAgo(0, 5 * 60_000)).toBe("5 minutes ago");
  expect(formatAgo(0, 10_000)).toBe("just now");
  expect(formatAgo(40_000, 0)).toBe("in 40 seconds");
  expect(formatAgo(3 * 86_400_000, 0)).toBe("in 3 days");
});

import { expect, test } from "vitest";
import { formatAgo, formatBytes, formatDuration, formatMoney } from "./format";

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

test("sizes and times", () => {
  expect(formatBytes(1536)).toBe("1.5 KiB");
  expect(formatAgo(0, 5 * 60_000)).toBe("5 minutes ago");
  expect(formatAgo(0, 10_000)).toBe("just now");
  expect(formatAgo(40_000, 0)).toBe("in 40 seconds");
  expect(formatAgo(3 * 86_400_000, 0)).toBe("in 3 days");
});

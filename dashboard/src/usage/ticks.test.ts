import { expect, test } from "vitest";
import { niceTicks } from "./ticks";

test("an axis goes by round numbers beyond the highest value, in at most five steps", () => {
  expect(niceTicks(0.137).map((n) => n.toFixed(2))).toEqual(["0.00", "0.05", "0.10", "0.15"]);
  expect(niceTicks(100)).toEqual([0, 20, 40, 60, 80, 100]);
  expect(niceTicks(101)).toEqual([0, 50, 100, 150]);
  expect(niceTicks(340_000_000).at(-1)).toBe(400_000_000);
  for (let most = 0.001; most < 1e12; most *= 1.7) {
    const ticks = niceTicks(most);
    expect(ticks.length).toBeLessThanOrEqual(6);
    expect(ticks.at(-1)).toBeGreaterThanOrEqual(most * 0.999_999);
    expect(ticks.at(-2)).toBeLessThan(most);
  }
});

test("what is counted has no halves, and nothing has a line at 0 alone", () => {
  expect(niceTicks(3, true)).toEqual([0, 1, 2, 3]);
  expect(niceTicks(1, true)).toEqual([0, 1]);
  expect(niceTicks(0)).toEqual([0]);
});

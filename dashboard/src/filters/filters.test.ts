import { expect, test } from "vitest";
import { breakdownOf, filtersOf, groupOf } from "./dimensions";
import { choicesOf } from "./useChoices";

const costs = { requests: 1, cost_nanousd: 0, cost_usd: "0", prompt_tokens: 0, completion_tokens: 0, cached_tokens: 0, total_tokens: 0, unpriced_requests: 0 };

test("the filters of an address are its dimensions alone", () => {
  expect(filtersOf({ model: "m", tag: "team=a", range: "7d", user: undefined, other: "x" })).toEqual({ model: "m", tag: "team=a" });
});

test("a group that is none is the model", () => {
  expect(groupOf({ group: "team" })).toBe("team");
  expect(groupOf({ group: "colour" })).toBe("model");
  expect(breakdownOf(groupOf({ group: "key" }))).toBe("model");
});

test("what a menu offers has the most used first, and nothing without a name", () => {
  const keys = [{ ...costs, key_id: "k_1", label: "CI" }, { ...costs, key_id: "k_2", requests: 9 }];
  expect(choicesOf({ keys, groups: null })).toEqual([
    { value: "k_2", label: "k_2", requests: 9 },
    { value: "k_1", label: "CI", requests: 1 },
  ]);
  expect(choicesOf({ keys: [], groups: [{ ...costs, group: "" }, { ...costs, group: "research" }] }).map((c) => c.value)).toEqual(["research"]);
});

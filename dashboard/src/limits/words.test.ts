import { expect, test } from "vitest";
import type { Budget, Limit } from "./types";
import { budgetWords, nearest, ruleWords, shareOfBudget, shareOfLimit } from "./words";

const limit = (max: number, remaining: number): Limit => ({ rule: "key.requests.minute", max, remaining, resets_at: "2026-01-01T00:01:00Z" });
const budget = (usd: number, left_usd: number): Budget => ({ by: "key", name: "key_1", per: "day", usd, spent_usd: usd - left_usd, held_usd: 0, left_usd, resets_at: null });

test.each([
  ["key.requests.minute", "Requests a minute", "of this key"],
  ["key.requests.in_flight", "Requests at one time", "of this key"],
  ["user.tokens.hour", "Tokens an hour", "of its owner, over all keys"],
  ["key_model.tokens.day", "Tokens a day", "of this key at the model"],
])("the rule %s in words", (rule, what, whose) => expect(ruleWords(rule)).toEqual({ what, whose }));

test("without a key a limit is of the client's address", () => expect(ruleWords("key.requests.minute", true).whose).toBe("of this address"));

test("budgets in words", () => {
  expect(budgetWords({ by: "team", name: "research", per: "month" })).toEqual({ what: "Dollars a month", whose: "of the team research" });
  expect(budgetWords({ by: "key", name: "key_1", per: "total" })).toEqual({ what: "Dollars in all", whose: "of this key" });
});

test("a limit or a budget of nothing is used up", () => {
  expect(shareOfLimit(limit(0, 0))).toBe(1);
  expect(shareOfBudget(budget(0, 0))).toBe(1);
  expect(shareOfLimit(limit(60, 45))).toBe(0.25);
  expect(shareOfBudget(budget(10, -1))).toBe(1);
});

test("the one that refuses first has the smallest part left", () => {
  const [wide, tight] = [limit(1000, 900), budget(10, 0.5)];
  expect(nearest({ limits: [wide, limit(10, 8)], budgets: [tight] })).toBe(tight);
  expect(nearest({ limits: [wide], budgets: [] })).toBe(wide);
  expect(nearest({ limits: [], budgets: [] })).toBeNull();
});

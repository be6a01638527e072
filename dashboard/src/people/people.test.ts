import { expect, test } from "vitest";
import { budgetsOf, monthly, withMonthly } from "./types";

test("a monthly budget is set and taken away, and others stay", () => {
  const day = { per: "day" as const, usd: 5 };
  expect(withMonthly([day], "12.5")).toEqual([day, { per: "month", usd: 12.5 }]);
  expect(withMonthly([day, { per: "month", usd: 1 }], "")).toEqual([day]);
  expect(withMonthly([{ per: "month", usd: 1 }], " ")).toBeNull();
  expect(monthly(budgetsOf({ budget: [day, { per: "month", usd: 3 }] }))).toBe(3);
  expect(monthly(budgetsOf({ budget: null }))).toBeNull();
});

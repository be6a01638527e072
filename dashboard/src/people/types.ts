import type { components } from "@/api/schema";

export type User = components["schemas"]["UserEntry"];
export type Team = components["schemas"]["TeamEntry"];
export type Budget = { per: "day" | "week" | "month" | "total"; usd: number | null };

/** The budgets of somebody as JSON has them. */
export const budgetsOf = (of: { budget?: unknown }): Budget[] => (Array.isArray(of.budget) ? (of.budget as Budget[]) : []);

/** A budget for a month out of a form's text; null for none. Others stay as they are. */
export function withMonthly(budgets: Budget[], text: string): Budget[] | null {
  const others = budgets.filter((b) => b.per !== "month");
  const all = text.trim() === "" ? others : [...others, { per: "month" as const, usd: Number(text) }];
  return all.length > 0 ? all : null;
}

export const monthly = (budgets: Budget[]) => budgets.find((b) => b.per === "month")?.usd ?? null;

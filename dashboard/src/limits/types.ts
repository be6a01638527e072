import type { components } from "@/api/schema";

/** What is left, as /api/limits and /api/explain show it. Money is in US dollars. */
export type Left = components["schemas"]["Allowance"];
/** Its rule is such as "key.requests.minute": by what it counts, what, and how long. */
export type Limit = components["schemas"]["LimitAllowance"];
export type Budget = components["schemas"]["BudgetAllowance"];

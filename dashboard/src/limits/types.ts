/** What is left, as /api/limits and /api/explain show it. Money is in US dollars. */

export interface Limit {
  /** "key.requests.minute": by what it counts, what, and how long. */
  rule: string;
  max: number;
  remaining: number;
  resets_at: string;
}

export interface Budget {
  by: "key" | "user" | "team";
  name: string;
  per: "day" | "week" | "month" | "total";
  usd: number;
  spent_usd: number;
  /** For requests that run. */
  held_usd: number;
  left_usd: number;
  /** Null where it never begins anew. */
  resets_at: string | null;
}

export interface Left {
  key: string;
  limits: Limit[];
  budgets: Budget[];
}

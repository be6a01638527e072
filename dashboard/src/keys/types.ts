import type { components } from "@/api/schema";

type Schemas = components["schemas"];

/** Gateway keys as /api/keys shows them. */
export type Key = Schemas["UsedKey"];
/** A key as a change of it is answered. */
export type ChangedKey = Schemas["Key"];
export type Role = Key["role"];
export type Limits = Schemas["KeyLimits"];
export type KeyBudget = Schemas["KeyBudget"];
/** A key with its secret, which is shown once. */
export type IssuedKey = Schemas["IssuedKey"];
/** What a form wants of a key. */
export type KeyInput = Required<Schemas["NewKey"]>;
export type AuditEntry = Schemas["AuditEntry"];

export const limitNames = [
  "requests_per_minute",
  "requests_per_hour",
  "requests_per_day",
  "tokens_per_minute",
  "tokens_per_hour",
  "tokens_per_day",
  "in_flight",
] as const satisfies readonly (keyof Limits)[];

export const budgetPeriods = ["day", "week", "month", "total"] as const satisfies readonly KeyBudget["per"][];

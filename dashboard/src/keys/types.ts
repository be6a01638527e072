/** Gateway keys as /api/keys shows them. */

export type Role = "member" | "admin";

export const limitNames = [
  "requests_per_minute",
  "requests_per_hour",
  "requests_per_day",
  "tokens_per_minute",
  "tokens_per_hour",
  "tokens_per_day",
  "in_flight",
] as const;

export type Limits = Partial<Record<(typeof limitNames)[number], number>>;

export const budgetPeriods = ["day", "week", "month", "total"] as const;

export interface KeyBudget {
  per: (typeof budgetPeriods)[number];
  /** Null is unlimited, whatever the configuration says. */
  usd: number | null;
}

export interface Key {
  id: string;
  prefix: string;
  label: string;
  owner: string;
  team: string;
  role: Role;
  /** Patterns; null allows every model. */
  models: string[] | null;
  networks: string[] | null;
  tags: Record<string, string>;
  limits: Limits;
  /** Null leaves what the configuration says. */
  budget: KeyBudget[] | null;
  provider_keys: boolean;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  grace_until: string | null;
  status: "active" | "expired" | "revoked";
}

/** A key with its secret, which is shown once. */
export interface IssuedKey extends Key {
  key: string;
}

export interface AuditEntry {
  id: number;
  at: string;
  actor: string;
  address: string;
  action: string;
  target: string;
  before: Partial<Key> | null;
  after: Partial<Key> | null;
}

/** What a form wants of a key. */
export interface KeyWish {
  label: string;
  role: Role;
  owner: string | null;
  team: string | null;
  models: string[] | null;
  expires_at: string | null;
  /** Those that are named are set; null takes one away. */
  limits: Partial<Record<(typeof limitNames)[number], number | null>>;
  budget: KeyBudget[] | null;
  networks: string[] | null;
  tags: Record<string, string>;
  provider_keys: boolean;
}

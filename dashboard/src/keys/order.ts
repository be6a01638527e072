import type { Costs } from "@/api/types";
import type { Key } from "./types";

/** What each key spent lately, by its id. */
export type Spending = ReadonlyMap<string, Pick<Costs, "requests" | "cost_nanousd" | "unpriced_requests">>;

export type KeyOrder = "label" | "owner" | "status" | "expires" | "used" | "spent";

type Value = string | number | null;

const values: Record<KeyOrder, (key: Key, spending: Spending) => Value> = {
  label: (k) => k.label.toLowerCase(),
  owner: (k) => (k.owner || k.team).toLowerCase() || null,
  status: (k) => k.status,
  expires: (k) => k.expires_at,
  used: (k) => k.last_used_at,
  spent: (k, spending) => spending.get(k.id)?.cost_nanousd ?? null,
};

/** Keys by one of their values. Those without it are last, whichever way. */
export function sortKeys(keys: readonly Key[], by: KeyOrder, down: boolean, spending: Spending): Key[] {
  const of = values[by];
  return [...keys].sort((x, y) => {
    const [a, b] = [of(x, spending), of(y, spending)];
    if (a === b) return 0;
    if (a === null) return 1;
    if (b === null) return -1;
    return (typeof a === "string" && typeof b === "string" ? a.localeCompare(b) : Number(a) - Number(b)) * (down ? -1 : 1);
  });
}

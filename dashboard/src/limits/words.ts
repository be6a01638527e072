import type { Budget, Left, Limit } from "./types";

const whose: Record<string, string> = {
  key: "of this key",
  user: "of its owner, over all keys",
  model: "of the model, by everybody",
  key_model: "of this key at the model",
};

/** A limit's rule in words: "requests a minute", "of this key". Without a key it is of the client's address. */
export function ruleWords(rule: string, keyless = false): { what: string; whose: string } {
  const [by = "", of = "", per = ""] = rule.split(".");
  const subject = (whose[by] ?? `by ${by}`).replace("this key", keyless ? "this address" : "this key");
  if (per === "in_flight") return { what: `${capital(of)} at one time`, whose: subject };
  return { what: `${capital(of)} ${per === "hour" ? "an" : "a"} ${per}`, whose: subject };
}

const periods: Record<Budget["per"], string> = { day: "a day", week: "a week", month: "a month", total: "in all" };

/** A budget in words: "US dollars a month", "of the team research". */
export function budgetWords({ by, name, per }: Pick<Budget, "by" | "name" | "per">): { what: string; whose: string } {
  const of = by === "key" ? (name === "anonymous" ? "of all without a key" : "of this key") : `of the ${by} ${name}`;
  return { what: `Dollars ${periods[per]}`, whose: of };
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** The part of a limit that is used up, from 0 to 1; a limit of nothing is. */
export const shareOfLimit = ({ max, remaining }: Limit) => (max === 0 ? 1 : clamp(1 - remaining / max));

/** The part of a budget that is spent or held, from 0 to 1. */
export const shareOfBudget = ({ usd, left_usd }: Budget) => (usd === 0 ? 1 : clamp(1 - left_usd / usd));

const clamp = (share: number) => Math.min(1, Math.max(0, share));

/** The limit or budget of which the smallest part is left: it is the one that refuses first. */
export function nearest({ limits, budgets }: Pick<Left, "limits" | "budgets">): Limit | Budget | null {
  const all = [...limits.map((l) => ({ of: l as Limit | Budget, used: shareOfLimit(l) })), ...budgets.map((b) => ({ of: b as Limit | Budget, used: shareOfBudget(b) }))];
  return all.reduce<(typeof all)[number] | null>((most, one) => (most === null || one.used > most.used ? one : most), null)?.of ?? null;
}

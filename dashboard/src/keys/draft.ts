import { limitNames, budgetPeriods, type Key, type KeyBudget, type KeyInput, type Role } from "./types";

/** The texts of a form. */
export interface Draft {
  label: string;
  role: Role;
  owner: string;
  team: string;
  models: string;
  expires: string; // a day
  limits: Record<string, string>;
  budget: Record<string, string>; // dollars, or "unlimited"
  networks: string;
  tags: string;
  providerKeys: boolean;
}

type NamedLimits = NonNullable<KeyInput["limits"]>;

const unlimited = "unlimited";

export function draftOf(key: Key | undefined, role: Role): Draft {
  return {
    label: key?.label ?? "",
    role: key?.role ?? role,
    owner: key?.owner ?? "",
    team: key?.team ?? "",
    models: key?.models?.join(", ") ?? "",
    expires: key?.expires_at ? localDay(key.expires_at) : "",
    limits: Object.fromEntries(Object.entries(key?.limits ?? {}).map(([name, value]) => [name, String(value ?? "")])),
    budget: Object.fromEntries((key?.budget ?? []).map(({ per, usd }) => [per, usd === null ? unlimited : String(usd)])),
    networks: key?.networks?.join(", ") ?? "",
    tags: Object.entries(key?.tags ?? {}).map(([name, value]) => `${name}=${value}`).join(", "),
    providerKeys: key?.provider_keys ?? false,
  };
}

/** The day of a time in the reader's zone, as a field for dates has it. */
function localDay(time: string): string {
  const at = new Date(time);
  return [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((n) => String(n).padStart(2, "0")).join("-");
}

/** What a draft wants. A key ends with the day that is named, in the reader's zone. */
export function wishOf(d: Draft): KeyInput & { limits: NamedLimits } {
  return {
    label: d.label.trim(),
    role: d.role,
    owner: d.owner.trim() || null,
    team: d.team.trim() || null,
    models: listOf(d.models),
    expires_at: d.expires ? new Date(`${d.expires}T23:59:59`).toISOString() : null,
    limits: limitsOf(d.limits),
    budget: budgetOf(d.budget),
    networks: listOf(d.networks),
    tags: Object.fromEntries((listOf(d.tags) ?? []).map((tag) => [tag.split("=")[0] ?? "", tag.split("=").slice(1).join("=")])),
    provider_keys: d.providerKeys,
  };
}

function listOf(text: string): string[] | null {
  const list = text.split(/[,\s]+/).filter(Boolean);
  return list.length > 0 ? list : null;
}

function limitsOf(texts: Draft["limits"]): NamedLimits {
  const limits: NamedLimits = {};
  for (const name of limitNames) {
    const text = texts[name]?.trim();
    if (text) limits[name] = Number(text);
  }
  return limits;
}

function budgetOf(texts: Draft["budget"]): KeyBudget[] | null {
  const set = budgetPeriods.flatMap((per): KeyBudget[] => {
    const text = texts[per]?.trim().toLowerCase();
    if (!text) return [];
    return [{ per, usd: text === unlimited ? null : Number(text) }];
  });
  return set.length > 0 ? set : null;
}

/** The fields in which a draft differs from what it began with: others stay as they are by now. */
export function changesOf(before: Draft, after: Draft): Partial<KeyInput> {
  const [old, now] = [wishOf(before), wishOf(after)];
  for (const name of Object.keys(old.limits)) if (!(name in now.limits)) now.limits[name] = null; // takes it away
  const names = (Object.keys(now) as (keyof KeyInput)[]).filter((name) => JSON.stringify(old[name]) !== JSON.stringify(now[name]));
  return Object.fromEntries(names.map((name) => [name, now[name]]));
}

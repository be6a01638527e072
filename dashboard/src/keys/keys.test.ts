import { expect, test } from "vitest";
import { changedFields } from "./AuditLog";
import { changesOf, draftOf, wishOf, type Draft } from "./draft";
import { sortKeys, type Spending } from "./order";
import type { Key } from "./types";

const draft: Draft = {
  label: " CI ",
  role: "member",
  owner: "",
  team: "platform",
  models: "gpt-*, demo",
  expires: "",
  limits: { requests_per_minute: "0", tokens_per_day: " " },
  budget: { month: "2.50", day: "Unlimited", week: "" },
  networks: "",
  tags: "feature=a=b",
  providerKeys: false,
};

const key = (change: Partial<Key>): Key => ({
  id: "key_1", prefix: "agw_1", label: "one", owner: "", team: "", role: "member", models: null, networks: null, tags: {}, limits: {}, budget: null, provider_keys: false,
  created_at: "2026-01-01T00:00:00Z", expires_at: null, revoked_at: null, grace_until: null, status: "active", last_used_at: null, ...change,
});

test("a form's texts become what the API takes: empty is unlimited, zero is nothing", () => {
  expect(wishOf(draft)).toEqual({
    label: "CI",
    role: "member",
    owner: null,
    team: "platform",
    models: ["gpt-*", "demo"],
    expires_at: null,
    limits: { requests_per_minute: 0 },
    budget: [
      { per: "day", usd: null },
      { per: "month", usd: 2.5 },
    ],
    networks: null,
    tags: { feature: "a=b" },
    provider_keys: false,
  });
  expect(wishOf({ ...draft, models: "  ", budget: {} })).toMatchObject({ models: null, budget: null });
  expect(wishOf({ ...draft, expires: "2027-01-31" }).expires_at).toBe(new Date("2027-01-31T23:59:59").toISOString());
});

test("only what was edited is sent, so that nothing else is set back", () => {
  const before = draftOf(key({ models: [], expires_at: "2027-01-31T08:00:00Z", budget: [{ per: "day", usd: null }] }), "member");
  expect(before.budget).toEqual({ day: "unlimited" });
  expect(changesOf(before, { ...before, label: "two" })).toEqual({ label: "two" });
  expect(changesOf(before, { ...before, budget: { day: "1" } })).toEqual({ budget: [{ per: "day", usd: 1 }] });
  expect(changesOf(before, before)).toEqual({});
  const limited = draftOf(key({ limits: { requests_per_minute: 5, tokens_per_day: 9 } }), "member");
  expect(changesOf(limited, { ...limited, limits: { requests_per_minute: "", tokens_per_day: "9" } })).toEqual({ limits: { tokens_per_day: 9, requests_per_minute: null } });
});

test("keys are in the order that is asked for, those without a value last", () => {
  const keys = [key({ id: "a", label: "beta" }), key({ id: "b", label: "Alpha", expires_at: "2027-01-01T00:00:00Z" }), key({ id: "c", label: "gamma", expires_at: "2026-06-01T00:00:00Z", last_used_at: "2026-05-01T00:00:00Z" })];
  const spending: Spending = new Map([["c", { requests: 1, cost_nanousd: 5, unpriced_requests: 0 }]]);
  const order = (by: Parameters<typeof sortKeys>[1], down = false) => sortKeys(keys, by, down, spending).map((k) => k.id).join("");
  expect(order("label")).toBe("bac");
  expect(order("expires")).toBe("cba");
  expect(order("expires", true)).toBe("bca");
  expect(order("used")).toBe("cab");
  expect(order("spent", true)).toBe("cab");
});

test("an entry of the audit log names the fields that changed", () => {
  const entry = { id: 1, at: "", actor: "", address: "", action: "key.update", target: "k", before: { label: "a", expires_at: null, models: ["x"] }, after: { label: "b", expires_at: null, models: ["x"] } };
  expect(changedFields(entry)).toEqual(["label"]);
  expect(changedFields({ ...entry, before: null })).toEqual([]);
});

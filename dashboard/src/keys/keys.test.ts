import { expect, test } from "vitest";
import { changedFields } from "./AuditLog";
import { wishOf, type Draft } from "./KeyForm";

const draft: Draft = { label: " CI ", role: "member", owner: "", team: "platform", models: "gpt-*, demo", expires: "", limits: { requests_per_minute: "0", tokens_per_day: " " } };

test("a form's texts become what the API takes: empty is unlimited, zero is nothing", () => {
  expect(wishOf(draft)).toEqual({ label: "CI", role: "member", owner: null, team: "platform", models: ["gpt-*", "demo"], expires_at: null, limits: { requests_per_minute: 0 } });
  expect(wishOf({ ...draft, models: "  " }).models).toBeNull();
  expect(wishOf({ ...draft, expires: "2027-01-31" }).expires_at).toBe(new Date("2027-01-31T23:59:59").toISOString());
});

test("an entry of the audit log names the fields that changed", () => {
  const entry = { id: 1, at: "", actor: "", address: "", action: "key.update", target: "k", before: { label: "a", expires_at: null, models: ["x"] }, after: { label: "b", expires_at: null, models: ["x"] } };
  expect(changedFields(entry)).toEqual(["label"]);
  expect(changedFields({ ...entry, before: null })).toEqual([]);
});

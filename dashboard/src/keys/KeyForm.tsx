import { useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { APIError } from "@/api/client";
import { useModels } from "@/chat/models";
import { signIn } from "@/session/useSession";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Failure } from "@/ui/feedback";
import { Field, Input, Select } from "@/ui/field";
import { limitNames, type IssuedKey, type Key, type KeyWish, type Limits, type Role } from "./types";
import { useCreate, useUpdate } from "./useKeys";

interface KeyFormProps {
  onClose: () => void;
  onIssued: (key: IssuedKey) => void;
  existing?: Key;
  firstRole?: Role;
}

export function KeyFormDialog({ open, ...props }: KeyFormProps & { open: boolean }) {
  return (
    <Dialog open={open} onClose={props.onClose} side="right" title={props.existing ? `Change “${props.existing.label}”` : "New key"}>
      <KeyForm {...props} />
    </Dialog>
  );
}

/** The texts of a form. */
export interface Draft {
  label: string;
  role: Role;
  owner: string;
  team: string;
  models: string;
  expires: string; // a day
  limits: Record<string, string>;
}

function draftOf(key: Key | undefined, role: Role): Draft {
  return {
    label: key?.label ?? "",
    role: key?.role ?? role,
    owner: key?.owner ?? "",
    team: key?.team ?? "",
    models: key?.models?.join(", ") ?? "",
    expires: key?.expires_at?.slice(0, 10) ?? "",
    limits: Object.fromEntries(Object.entries(key?.limits ?? {}).map(([name, value]) => [name, String(value ?? "")])),
  };
}

/** What a draft wants. A key ends with the day that is named, in the reader's zone. */
export function wishOf(d: Draft): KeyWish {
  const limits: Limits = {};
  for (const name of limitNames) {
    const text = d.limits[name]?.trim();
    if (text) limits[name] = Number(text);
  }
  const models = d.models.split(/[,\s]+/).filter(Boolean);
  return {
    label: d.label.trim(),
    role: d.role,
    owner: d.owner.trim() || null,
    team: d.team.trim() || null,
    models: models.length > 0 ? models : null,
    expires_at: d.expires ? new Date(`${d.expires}T23:59:59`).toISOString() : null,
    limits,
  };
}

function KeyForm({ onClose, onIssued, existing, firstRole = "member" }: KeyFormProps) {
  const [draft, setDraft] = useState(() => draftOf(existing, firstRole));
  const queries = useQueryClient();
  const create = useCreate();
  const update = useUpdate(existing?.id ?? "");
  const error = create.error ?? update.error;
  const fault = (name: string) => (error instanceof APIError && error.param?.split(".")[0] === name ? error.message : undefined);
  const set = (change: Partial<Draft>) => setDraft((before) => ({ ...before, ...change }));
  const save = (event: FormEvent) => {
    event.preventDefault();
    if (existing) return update.mutate(wishOf(draft), { onSuccess: onClose });
    create.mutate(wishOf(draft), {
      onSuccess: async (issued) => {
        if (issued.role === "admin" && firstRole === "admin") await signIn(issued.key); // it closed the gateway
        void queries.invalidateQueries();
        onClose();
        onIssued(issued);
      },
    });
  };
  return (
    <form onSubmit={save} className="space-y-4">
      <Field label="Label" hint="How people recognise it." error={fault("label")}>
        {(ids) => <Input {...ids} required autoFocus maxLength={100} value={draft.label} onChange={(event) => set({ label: event.target.value })} />}
      </Field>
      <Field label="Role" hint={draft.role === "admin" ? "Sees everything, and makes and changes keys." : "Calls models and sees its own usage."} error={fault("role")}>
        {(ids) => (
          <Select {...ids} value={draft.role} onChange={(event) => set({ role: event.target.value as Role })}>
            <option value="member">Member</option>
            <option value="admin">Admin</option>
          </Select>
        )}
      </Field>
      <div className="grid grid-cols-2 gap-3">
        <Field label="Owner" hint="Usage is booked to them." error={fault("owner")}>
          {(ids) => <Input {...ids} value={draft.owner} onChange={(event) => set({ owner: event.target.value })} />}
        </Field>
        <Field label="Team" error={fault("team")}>
          {(ids) => <Input {...ids} value={draft.team} onChange={(event) => set({ team: event.target.value })} />}
        </Field>
      </div>
      <ModelsField value={draft.models} error={fault("models")} onChange={(models) => set({ models })} />
      <Field label="Expires" hint="At the end of that day. Empty: never." error={fault("expires_at")}>
        {(ids) => <Input {...ids} type="date" value={draft.expires} onChange={(event) => set({ expires: event.target.value })} />}
      </Field>
      <LimitFields draft={draft} error={fault("limits")} onChange={(limits) => set({ limits })} />
      {error && !(error instanceof APIError && error.param) && <Failure title="The key was not saved" error={error} />}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" variant="primary" disabled={create.isPending || update.isPending}>
          {existing ? "Save" : "Create"}
        </Button>
      </div>
    </form>
  );
}

function ModelsField({ value, error, onChange }: { value: string; error?: string; onChange: (text: string) => void }) {
  const models = useModels().data ?? [];
  return (
    <Field label="Models" hint="Names with commas between them; * stands for any characters. Empty: all." error={error}>
      {(ids) => <Input {...ids} placeholder={models.slice(0, 2).map((m) => m.id).join(", ") || "all"} value={value} onChange={(event) => onChange(event.target.value)} />}
    </Field>
  );
}

function LimitFields({ draft, error, onChange }: { draft: Draft; error?: string; onChange: (limits: Draft["limits"]) => void }) {
  return (
    <fieldset>
      <legend className="mb-1.5 font-medium">Limits</legend>
      <div className="grid grid-cols-2 gap-3">
        {limitNames.map((name) => (
          <label key={name} className="block text-[0.8125rem]">
            <span className="mb-1 block text-muted">{name === "in_flight" ? "requests at one time" : name.replaceAll("_", " ")}</span>
            <Input inputMode="numeric" pattern="[0-9]*" placeholder="as configured" value={draft.limits[name] ?? ""} onChange={(event) => onChange({ ...draft.limits, [name]: event.target.value })} />
          </label>
        ))}
      </div>
      <p className={error ? "mt-1.5 text-[0.8125rem] text-danger" : "mt-1.5 text-[0.8125rem] text-muted"}>{error ?? "0 lets nothing through."}</p>
    </fieldset>
  );
}

import { useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent, type ReactNode } from "react";
import { APIError } from "@/api/client";
import { useModels } from "@/chat/models";
import { cn } from "@/lib/cn";
import { signIn } from "@/session/useSession";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Failure } from "@/ui/feedback";
import { Field, Input, Select } from "@/ui/field";
import { changesOf, draftOf, wishOf, type Draft } from "./draft";
import { budgetPeriods, limitNames, type IssuedKey, type Key, type Role } from "./types";
import { useCreate, useUpdate } from "./useKeys";

const roleHints: Record<Role, string> = { viewer: "Sees everybody’s usage without prompts, and calls no models.", member: "Calls models and sees its own usage.", admin: "Sees everything, and makes and changes keys." };

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

function KeyForm({ onClose, onIssued, existing, firstRole = "member" }: KeyFormProps) {
  const [begun] = useState(() => draftOf(existing, firstRole)); // a list that is read again does not change what is edited
  const [draft, setDraft] = useState(begun);
  const queries = useQueryClient();
  const create = useCreate();
  const update = useUpdate(existing?.id ?? "");
  const error = create.error ?? update.error;
  const fault = (name: string) => (error instanceof APIError && error.param?.split(".")[0] === name ? error.message : undefined);
  const set = (change: Partial<Draft>) => setDraft((before) => ({ ...before, ...change }));
  const save = (event: FormEvent) => {
    event.preventDefault();
    if (existing) return update.mutate(changesOf(begun, draft), { onSuccess: onClose });
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
      <Field label="Role" hint={roleHints[draft.role]} error={fault("role")}>
        {(ids) => (
          <Select {...ids} value={draft.role} onChange={(event) => set({ role: event.target.value as Role })}>
            <option value="viewer">Viewer</option>
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
      <BudgetFields draft={draft} error={fault("budget")} onChange={(budget) => set({ budget })} />
      <LimitFields draft={draft} error={fault("limits")} onChange={(limits) => set({ limits })} />
      <More draft={draft} fault={fault} set={set} />
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

interface NumberFieldsProps {
  draft: Draft;
  error?: string;
  onChange: (texts: Record<string, string>) => void;
}

function LimitFields({ draft, error, onChange }: NumberFieldsProps) {
  return (
    <NumberFields legend="Limits" hint="Empty: as configured. 0 lets nothing through." error={error}>
      {limitNames.map((name) => (
        <SmallField key={name} label={name === "in_flight" ? "requests at one time" : name.replaceAll("_", " ")}>
          <Input inputMode="numeric" pattern="[0-9]*" placeholder="as configured" value={draft.limits[name] ?? ""} onChange={(event) => onChange({ ...draft.limits, [name]: event.target.value })} />
        </SmallField>
      ))}
    </NumberFields>
  );
}

function BudgetFields({ draft, error, onChange }: NumberFieldsProps) {
  return (
    <NumberFields legend="Budget" hint="In US dollars. Empty: as configured; “unlimited” lifts what is. 0 lets nothing through." error={error}>
      {budgetPeriods.map((per) => (
        <SmallField key={per} label={per === "total" ? "in all" : `a ${per}`}>
          <Input
            inputMode="decimal"
            pattern="([0-9]+(\.[0-9]+)?|[uU]nlimited)"
            title="Dollars such as 2.50, or unlimited"
            placeholder="as configured"
            value={draft.budget[per] ?? ""}
            onChange={(event) => onChange({ ...draft.budget, [per]: event.target.value })}
          />
        </SmallField>
      ))}
    </NumberFields>
  );
}

function NumberFields({ legend, hint, error, children }: { legend: string; hint: string; error?: string; children: ReactNode }) {
  return (
    <fieldset>
      <legend className="mb-1.5 font-medium">{legend}</legend>
      <div className="grid grid-cols-2 gap-3">{children}</div>
      <p className={cn("mt-1.5 text-[0.8125rem]", error ? "text-danger" : "text-muted")}>{error ?? hint}</p>
    </fieldset>
  );
}

function SmallField({ label, children }: { label: string; children: ReactNode }) {
  return (
    <label className="block text-[0.8125rem]">
      <span className="mb-1 block text-muted">{label}</span>
      {children}
    </label>
  );
}

/** What few keys need. It is open where something in it is set or wrong. */
function More({ draft, fault, set }: { draft: Draft; fault: (name: string) => string | undefined; set: (change: Partial<Draft>) => void }) {
  const used = draft.networks || draft.tags || draft.providerKeys || fault("networks") || fault("tags");
  const [open, setOpen] = useState(!!used);
  return (
    <details open={open || !!fault("networks") || !!fault("tags")} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="w-fit rounded-md font-medium">More</summary>
      <div className="mt-3 space-y-4">
        <Field label="Networks" hint="From where it may be used, such as 10.0.0.0/8. Empty: everywhere." error={fault("networks")}>
          {(ids) => <Input {...ids} value={draft.networks} onChange={(event) => set({ networks: event.target.value })} />}
        </Field>
        <Field label="Tags" hint="Of each of its requests, as feature=search, cost-centre=42." error={fault("tags")}>
          {(ids) => <Input {...ids} value={draft.tags} onChange={(event) => set({ tags: event.target.value })} />}
        </Field>
        <label className="flex items-start gap-2.5">
          <input type="checkbox" className="mt-0.5 size-4 accent-accent" checked={draft.providerKeys} onChange={(event) => set({ providerKeys: event.target.checked })} />
          <span>
            May bring a provider’s key
            <span className="block text-[0.8125rem] text-muted">In X-Provider-Key, instead of the backend’s own.</span>
          </span>
        </label>
      </div>
    </details>
  );
}

import { useState, type FormEvent } from "react";
import { APIError } from "@/api/client";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Failure } from "@/ui/feedback";
import { Field, Input, Select } from "@/ui/field";
import { budgetsOf, monthly, withMonthly, type User } from "./types";
import { useInvite, useTeams, useUserChange } from "./usePeople";

const hints = { viewer: "Sees everybody’s usage without prompts, and calls no models.", member: "Calls models, and sees its own keys, usage and prompts.", admin: "Sees all, and changes keys and people." };

export function PersonForm({ open, onClose, existing }: { open: boolean; onClose: () => void; existing?: User }) {
  return (
    <Dialog open={open} onClose={onClose} side="right" title={existing ? `Change ${existing.user_id}` : "Invite a person"}>
      <Fields onClose={onClose} existing={existing} />
    </Dialog>
  );
}

function Fields({ onClose, existing }: { onClose: () => void; existing?: User }) {
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<User["role"]>(existing?.role ?? "member");
  const [team, setTeam] = useState(existing?.team ?? "");
  const [budget, setBudget] = useState(String(monthly(budgetsOf(existing ?? {})) ?? ""));
  const teams = useTeams().data ?? [];
  const invite = useInvite();
  const change = useUserChange(existing?.id ?? "");
  const error = invite.error ?? change.error;
  const fault = (name: string) => (error instanceof APIError && error.param?.split(".")[0] === name ? error.message : undefined);
  const save = (event: FormEvent) => {
    event.preventDefault();
    const input = { team: team.trim() || null, budget: withMonthly(budgetsOf(existing ?? {}), budget), ...(existing?.admin_by_configuration ? {} : { role }) };
    if (existing) change.mutate(input, { onSuccess: onClose });
    else invite.mutate({ ...input, email: email.trim() }, { onSuccess: onClose });
  };
  return (
    <form onSubmit={save} className="space-y-4 text-left">
      {!existing && (
        <Field label="E-mail address" hint="Who signs in with it is let in. Nothing is sent: tell them the dashboard’s address." error={fault("email")}>
          {(ids) => <Input {...ids} type="email" required autoFocus value={email} onChange={(event) => setEmail(event.target.value)} />}
        </Field>
      )}
      <Field label="Role" hint={existing?.admin_by_configuration ? "An administrator by the configuration: change it there." : hints[role]} error={fault("role")}>
        {(ids) => (
          <Select {...ids} value={role} disabled={existing?.admin_by_configuration} onChange={(event) => setRole(event.target.value as User["role"])}>
            <option value="viewer">Viewer</option>
            <option value="member">Member</option>
            <option value="admin">Admin</option>
          </Select>
        )}
      </Field>
      <Field label="Team" hint="Usage adds up by team." error={fault("team")}>
        {(ids) => <Input {...ids} list="team-names" maxLength={100} value={team} onChange={(event) => setTeam(event.target.value)} />}
      </Field>
      <datalist id="team-names">
        {teams.map((t) => (
          <option key={t.name} value={t.name} />
        ))}
      </datalist>
      <Field label="Budget a month, in dollars" hint="Of sessions and keys together. Empty: as configured." error={fault("budget")}>
        {(ids) => <Input {...ids} inputMode="decimal" pattern="[0-9]{1,7}(\.[0-9]{1,9})?" value={budget} onChange={(event) => setBudget(event.target.value)} />}
      </Field>
      {error && !(error instanceof APIError && error.param) && <Failure title="Not saved" error={error} />}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" variant="primary" disabled={invite.isPending || change.isPending}>
          {existing ? "Save" : "Invite"}
        </Button>
      </div>
    </form>
  );
}

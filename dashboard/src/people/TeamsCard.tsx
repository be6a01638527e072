import { useState, type FormEvent } from "react";
import { Button } from "@/ui/button";
import { Failure } from "@/ui/feedback";
import { Input } from "@/ui/field";
import { Card } from "@/ui/page";
import { budgetsOf, monthly, withMonthly, type Team } from "./types";
import { useTeamChange, useTeams } from "./usePeople";

/** Teams with their budgets. A team is there as soon as a person or a key names it. */
export function TeamsCard() {
  const teams = useTeams();
  if (teams.isError) return <Failure title="The teams could not be read" error={teams.error} retry={() => void teams.refetch()} />;
  return (
    <Card title="Teams">
      <ul className="divide-y px-4 pb-2">
        {teams.data?.map((team) => (
          <TeamRow key={team.name} team={team} />
        ))}
      </ul>
      <NewTeam />
    </Card>
  );
}

function TeamRow({ team }: { team: Team }) {
  const current = String(monthly(budgetsOf(team)) ?? "");
  const [budget, setBudget] = useState(current);
  const change = useTeamChange();
  const save = (event: FormEvent) => {
    event.preventDefault();
    change.mutate({ name: team.name, budget: withMonthly(budgetsOf(team), budget) });
  };
  return (
    <li className="py-2">
      <form onSubmit={save} className="flex flex-wrap items-center gap-3">
        <span className="min-w-40 flex-1">
          <span className="font-medium">{team.name}</span> <span className="text-muted">{team.members === 1 ? "1 person" : `${team.members} people`}</span>
        </span>
        <label className="flex items-center gap-2 text-muted">
          $ a month
          <Input aria-label={`Budget of ${team.name} a month, in dollars`} className="w-28" inputMode="decimal" pattern="[0-9]{1,7}(\.[0-9]{1,9})?" placeholder="none" value={budget} onChange={(event) => setBudget(event.target.value)} />
        </label>
        <Button type="submit" size="sm" disabled={change.isPending || budget === current}>
          Save
        </Button>
      </form>
      {change.isError && <Failure title="The team was not saved" error={change.error} />}
    </li>
  );
}

function NewTeam() {
  const [name, setName] = useState("");
  const change = useTeamChange();
  const save = (event: FormEvent) => {
    event.preventDefault();
    change.mutate({ name: name.trim(), budget: null }, { onSuccess: () => setName("") });
  };
  return (
    <form onSubmit={save} className="flex flex-wrap items-center gap-2 border-t px-4 py-3">
      <Input aria-label="Name of a new team" className="w-56" required maxLength={100} placeholder="New team" value={name} onChange={(event) => setName(event.target.value)} />
      <Button type="submit" size="sm" disabled={change.isPending}>
        Add
      </Button>
      {change.isError && <Failure title="The team was not made" error={change.error} />}
    </form>
  );
}

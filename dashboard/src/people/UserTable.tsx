import { Ban, Ellipsis, LogOut, Pencil, RotateCcw } from "lucide-react";
import { useState } from "react";
import { cn } from "@/lib/cn";
import { Button, IconButton } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Badge, Failure, type Tone } from "@/ui/feedback";
import { Menu, MenuItem } from "@/ui/menu";
import { Time } from "@/ui/time";
import { PersonForm } from "./PersonForm";
import { budgetsOf, monthly, type User } from "./types";
import { useEndSessions, useUserChange } from "./usePeople";

const tones: Record<User["status"], Tone> = { active: "good", invited: "neutral", blocked: "danger" };

export function UserTable({ users, own }: { users: User[]; own: string | null }) {
  return (
    <div className="scroll-thin overflow-x-auto" tabIndex={0} role="region" aria-label="People">
      <table className="figures mt-1 w-full min-w-180 text-left">
        <thead className="text-[0.8125rem] text-muted">
          <tr className="border-b">
            {["Person", "Role", "Team", "Budget a month", "Status", "Signed in"].map((h) => (
              <th key={h} className="px-3 py-2 font-medium first:pl-4">
                {h}
              </th>
            ))}
            <th>
              <span className="sr-only">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {users.map((user) => (
            <UserRow key={user.id} user={user} own={own === user.user_id} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function UserRow({ user, own }: { user: User; own: boolean }) {
  const [editing, setEditing] = useState(false);
  const [blocking, setBlocking] = useState(false);
  const change = useUserChange(user.id);
  const end = useEndSessions(user.id);
  const limit = monthly(budgetsOf(user));
  return (
    <tr className={cn("border-b align-top last:border-b-0", user.status === "blocked" && "text-muted")}>
      <td className="py-2.5 pl-4">
        <span className="font-medium">{user.name || user.email}</span> {own && <Badge>you</Badge>}
        <span className="block text-xs text-muted">{user.user_id}</span>
        {(change.error ?? end.error) && <Failure title="Not changed" error={change.error ?? end.error} />}
      </td>
      <td className="px-3 py-2.5">
        {user.role}
        {user.admin_by_configuration && <span className="block text-xs text-muted">by configuration</span>}
      </td>
      <td className="px-3 py-2.5">{user.team || "–"}</td>
      <td className="px-3 py-2.5">{limit === null ? "–" : `$${limit}`}</td>
      <td className="px-3 py-2.5">
        <Badge tone={tones[user.status]}>{user.status}</Badge>
      </td>
      <td className="px-3 py-2.5">{user.signed_in_at ? <Time at={user.signed_in_at} ago /> : "never"}</td>
      <td className="py-1.5 pr-3 text-right">
        <Menu
          trigger={
            <IconButton label={`Options of ${user.user_id}`} size="icon-sm">
              <Ellipsis />
            </IconButton>
          }
        >
          <MenuItem onSelect={() => setEditing(true)}>
            <Pencil /> Change
          </MenuItem>
          <MenuItem onSelect={() => end.mutate(undefined)}>
            <LogOut /> End sessions
          </MenuItem>
          {user.status === "blocked" ? (
            <MenuItem onSelect={() => change.mutate({ blocked: false })}>
              <RotateCcw /> Let in again
            </MenuItem>
          ) : (
            <MenuItem danger onSelect={() => setBlocking(true)}>
              <Ban /> Block
            </MenuItem>
          )}
        </Menu>
        <PersonForm open={editing} onClose={() => setEditing(false)} existing={user} />
        <Dialog open={blocking} onClose={() => setBlocking(false)} title={`Block ${user.user_id}?`} description="Sessions, keys and running answers end within a second. Usage stays.">
          <div className="flex justify-end gap-2 pt-1 text-left">
            <Button onClick={() => setBlocking(false)}>Cancel</Button>
            <Button variant="danger" disabled={change.isPending} onClick={() => change.mutate({ blocked: true }, { onSettled: () => setBlocking(false) })}>
              Block
            </Button>
          </div>
        </Dialog>
      </td>
    </tr>
  );
}

import { Failure } from "@/ui/feedback";
import { Card } from "@/ui/page";
import { Time } from "@/ui/time";
import type { AuditEntry, Key } from "./types";
import { useAudit, useKeys } from "./useKeys";

const actions: Record<string, string> = { "key.create": "made", "key.update": "changed", "key.rotate": "rotated", "key.revoke": "revoked",
  "user.invite": "invited", "user.create": "signed in for the first time", "user.sign_in": "signed in with other data", "user.update": "changed", "user.block": "blocked", "user.unblock": "let in again",
  "session.end": "ended", "team.create": "made", "team.update": "changed" };

/** The names of the fields that a change changed. */
export function changedFields({ before, after }: AuditEntry): string[] {
  if (!before || !after) return [];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name])).map((name) => name.replaceAll("_", " "));
}

const environmentKey = "key_environment"; // the id of the key that AI_GATEWAY_ADMIN_KEY holds

/** Who did something, by the label of their key. */
function actorName(actor: string, keys: readonly Key[]): string {
  if (actor === environmentKey) return "AI_GATEWAY_ADMIN_KEY";
  return keys.find((k) => k.id === actor)?.label ?? actor;
}

/** Who changed what. */
export function AuditLog() {
  const audit = useAudit(true);
  const keys = useKeys().data ?? [];
  if (audit.isError) return <Failure title="The audit log could not be read" error={audit.error} retry={() => void audit.refetch()} />;
  if (!audit.data?.length) return null;
  return (
    <Card title="Audit log">
      <ol className="scroll-thin max-h-96 divide-y overflow-y-auto px-4 pb-2" tabIndex={0} aria-label="Audit log">
        {audit.data.map((entry) => (
          <li key={entry.id} className="flex flex-wrap items-baseline gap-x-3 gap-y-0.5 py-2">
            <span className="w-36 shrink-0 text-[0.8125rem] text-muted">
              <Time at={entry.at} />
            </span>
            <span className="min-w-0 flex-1 basis-full [overflow-wrap:anywhere] sm:basis-0">
              <strong className="font-medium">{String(entry.after?.label ?? entry.before?.label ?? entry.target)}</strong> {actions[entry.action] ?? entry.action} by {actorName(entry.actor, keys)}
              {entry.address && ` from ${entry.address}`}
              {entry.action === "key.update" && <span className="text-muted">: {changedFields(entry).join(", ")}</span>}
            </span>
          </li>
        ))}
      </ol>
    </Card>
  );
}

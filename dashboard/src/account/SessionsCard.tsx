import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getJSON, sendJSON } from "@/api/client";
import type { components } from "@/api/schema";
import { Button } from "@/ui/button";
import { Badge, Failure, Skeleton } from "@/ui/feedback";
import { Card } from "@/ui/page";
import { Time } from "@/ui/time";

type SessionEntry = components["schemas"]["SessionEntry"];

/** The browsers in which one has signed in, each with its end. */
export function SessionsCard() {
  const queries = useQueryClient();
  const sessions = useQuery({ queryKey: ["sessions"], queryFn: async ({ signal }) => (await getJSON<{ data: SessionEntry[] }>("/api/sessions", {}, signal)).data });
  const end = useMutation({
    mutationFn: (id: string | null) => sendJSON("POST", id ? `/api/sessions/${encodeURIComponent(id)}/revoke` : "/api/sessions/revoke", {}),
    onSettled: () => Promise.all(["sessions", "session"].map((name) => queries.invalidateQueries({ queryKey: [name] }))),
  });
  return (
    <Card
      title="Sessions"
      actions={
        <Button size="sm" disabled={end.isPending} onClick={() => end.mutate(null)}>
          End all
        </Button>
      }
    >
      <div className="px-4 pb-3">
        {sessions.isPending && <Skeleton className="h-16" />}
        {sessions.isError && <Failure title="The sessions could not be read" error={sessions.error} retry={() => void sessions.refetch()} />}
        {end.isError && <Failure title="Not ended" error={end.error} />}
        <ul className="divide-y" aria-label="Sessions">
          {sessions.data?.map((s) => (
            <li key={s.id} className="flex flex-wrap items-center gap-3 py-2.5">
              <div className="min-w-0 flex-1">
                <span className="font-medium">{browserName(s.browser)}</span> {s.current && <Badge tone="good">this browser</Badge>}
                <span className="block text-[0.8125rem] text-muted">
                  {s.address || "unknown address"}, since <Time at={s.created_at} />, used <Time at={s.seen_at} ago />, until <Time at={s.expires_at} /> at the latest
                </span>
              </div>
              <Button size="sm" disabled={end.isPending} aria-label={`End the session of ${browserName(s.browser)}${s.current ? ", this one" : ""}`} onClick={() => end.mutate(s.id)}>
                End
              </Button>
            </li>
          ))}
        </ul>
      </div>
    </Card>
  );
}

/** A browser's name out of what it says of itself. */
export function browserName(agent: string): string {
  const name = /Edg|Firefox|Chrome|Safari/.exec(agent)?.[0];
  const system = /Windows|Mac OS|Android|iPhone|iPad|Linux/.exec(agent)?.[0];
  return [name === "Edg" ? "Edge" : (name ?? "A browser"), system].filter(Boolean).join(" on ");
}

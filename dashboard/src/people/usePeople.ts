import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getJSON, sendJSON } from "@/api/client";
import type { Budget, Team, User } from "./types";

export const useUsers = () => useQuery({ queryKey: ["users"], queryFn: async ({ signal }) => (await getJSON<{ data: User[] }>("/api/users", {}, signal)).data });

export const useTeams = () => useQuery({ queryKey: ["teams"], queryFn: async ({ signal }) => (await getJSON<{ data: Team[] }>("/api/teams", {}, signal)).data });

/** A change; what it may concern is read again after it, from the server's word. */
function useChange<V, R>(change: (value: V) => Promise<R>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSettled: () => Promise.all(["users", "teams", "audit", "session"].map((name) => queries.invalidateQueries({ queryKey: [name] }))),
  });
}

export interface UserInput {
  email?: string;
  role?: string;
  team?: string | null;
  budget?: Budget[] | null;
  blocked?: boolean;
}

export const useInvite = () => useChange((input: UserInput) => sendJSON<User>("POST", "/api/users", input));
export const useUserChange = (id: string) => useChange((input: UserInput) => sendJSON<User>("PATCH", `/api/users/${encodeURIComponent(id)}`, input));
export const useEndSessions = (id: string) => useChange(() => sendJSON<{ ended: number }>("POST", `/api/sessions/revoke?user=${encodeURIComponent(id)}`, {}));
export const useTeamChange = () => useChange(({ name, budget }: { name: string; budget: Budget[] | null }) => sendJSON<Team>("PATCH", `/api/teams/${encodeURIComponent(name)}`, { budget }));

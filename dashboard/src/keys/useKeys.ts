import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getJSON, sendJSON } from "@/api/client";
import type { CostsReport } from "@/api/types";
import type { Spending } from "./order";
import type { AuditEntry, ChangedKey, IssuedKey, Key, KeyInput } from "./types";

const most = 1000;
const month = 30 * 86_400_000;

export function useKeys() {
  return useQuery({ queryKey: ["keys"], queryFn: async ({ signal }) => (await getJSON<{ data: Key[] }>("/api/keys", { limit: most }, signal)).data });
}

export function useAudit(enabled: boolean) {
  return useQuery({
    queryKey: ["audit"],
    queryFn: async ({ signal }) => (await getJSON<{ data: AuditEntry[] }>("/api/audit", { limit: 100 }, signal)).data,
    enabled,
  });
}

/** What each key spent in the last thirty days, by its id. */
export function useSpending() {
  return useQuery({
    queryKey: ["spending"],
    staleTime: 60_000,
    queryFn: async ({ signal }): Promise<Spending> => {
      const from = new Date(Date.now() - month).toISOString();
      const costs = await getJSON<CostsReport>("/api/costs", { from }, signal);
      return new Map(costs.keys.map((k) => [k.key_id ?? "", k]));
    },
  });
}

/** A change of keys; the list is read again after it, from the server's word. */
function useChange<V, R>(change: (value: V) => Promise<R>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSettled: () => Promise.all(["keys", "audit", "left"].map((name) => queries.invalidateQueries({ queryKey: [name] }))),
  });
}

const at = (id: string, what = "") => `/api/keys/${encodeURIComponent(id)}${what}`;

export const useCreate = () => useChange((input: KeyInput) => sendJSON<IssuedKey>("POST", "/api/keys", input));
export const useUpdate = (id: string) => useChange((input: Partial<KeyInput>) => sendJSON<ChangedKey>("PATCH", at(id), input));
export const useRotate = (id: string) => useChange((grace: number) => sendJSON<IssuedKey>("POST", at(id, "/rotate"), { grace_seconds: grace }));
export const useRevoke = (id: string) => useChange(() => sendJSON<ChangedKey>("POST", at(id, "/revoke"), {}));

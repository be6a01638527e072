import { useQuery } from "@tanstack/react-query";
import { getJSON, sendJSON } from "@/api/client";
import type { components } from "@/api/schema";

/** Who this page is to the gateway. The key itself stays in a cookie that no script can read. */
export type Session = components["schemas"]["Session"];

export function useSession() {
  return useQuery({ queryKey: ["session"], queryFn: ({ signal }) => getJSON<Session>("/api/session", {}, signal), staleTime: 60_000 });
}

export const signIn = (key: string) => sendJSON<Session>("POST", "/api/session", { key });

export const signOut = () => sendJSON<Session>("DELETE", "/api/session", {});

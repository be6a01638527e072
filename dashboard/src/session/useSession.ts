import { useQuery } from "@tanstack/react-query";
import { getJSON, sendJSON } from "@/api/client";
import type { components } from "@/api/schema";

/** Who this page is to the gateway. The key itself stays in a cookie that no script can read. */
export type Session = components["schemas"]["Session"];

export function useSession() {
  return useQuery({ queryKey: ["session"], queryFn: ({ signal }) => getJSON<Session>("/api/session", {}, signal), staleTime: 60_000 });
}

/** How people get in; `setup` is for administrators alone. */
export interface AuthConfig {
  sign_in: boolean;
  provider: "google" | "oidc" | "";
  login_url: string;
  setup: {
    missing: string[];
    redirect_uri: string;
    issuer: string;
    allowed_domains: string[];
    allowed_emails: string[];
    admins: string[];
    role_claim: string;
    saves_provider_keys: boolean;
  } | null;
}

export function useAuthConfig() {
  return useQuery({ queryKey: ["auth-config"], queryFn: ({ signal }) => getJSON<AuthConfig>("/gateway-auth-config", {}, signal), staleTime: 60_000 });
}

export const signIn = (key: string) => sendJSON<Session>("POST", "/api/session", { key });

export const signOut = () => sendJSON<object>("POST", "/auth/logout", {});

/** Whether a session is nobody's, at a gateway that lets nobody in without a key. */
export const isOutside = (session: Session | undefined) => session !== undefined && !session.open && session.role === null;

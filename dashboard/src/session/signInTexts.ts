/** What the page of signing in says. */

/** Texts by the codes of the API. The code is in the address, so that nobody else's words are shown. */
const failures: Record<string, string> = {
  sign_in_off: "People cannot sign in here yet. An administrator sees under People what is missing.",
  not_invited: "Your address may not use this gateway. An administrator can invite you.",
  email_not_verified: "The sign-in provider does not say that your address is yours. Verify it there, then sign in again.",
  no_email: "The sign-in provider tells no e-mail address of yours.",
  no_role: "The sign-in provider gives you no role here. An administrator can invite you.",
  user_blocked: "An administrator of this gateway has blocked you.",
  provider_unreachable: "The sign-in provider does not answer. Try again in a moment.",
  provider_refused: "The sign-in provider refused. Try again.",
  token_refused: "The sign-in provider’s answer was not meant for this gateway. Try again.",
  sign_in_expired: "This attempt was begun in another browser, took longer than ten minutes, or is used already. Try again.",
  too_many_attempts: "Too many attempts have failed from your address. Try again in a minute.",
};

export const failureText = (code: string) => failures[code] ?? "You could not be signed in. The gateway’s log says why.";

export const providerName = (provider: string) => (provider === "google" ? "Continue with Google" : "Continue with single sign-on");

/** Where signing in begins. It goes on with the page that is shown now. */
export function loginAddress(at: Pick<Location, "pathname" | "search">): string {
  const page = at.pathname === "/sign-in" ? "/" : at.pathname + at.search;
  return `/auth/login?return_to=${encodeURIComponent(page)}`;
}

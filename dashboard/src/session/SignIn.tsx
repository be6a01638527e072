import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { CircleUser, KeyRound, LogOut } from "lucide-react";
import { useEffect, useState, type FormEvent, type ReactNode } from "react";
import { setSignedIn } from "@/chat/credentials";
import { Button, IconButton } from "@/ui/button";
import { Field, Input } from "@/ui/field";
import { SavedSettings } from "./SavedSettings";
import { failureText, loginAddress, providerName } from "./signInTexts";
import { isOutside, signIn, signOut, useAuthConfig, useSession } from "./useSession";

/** Shows a page to those who are let in, and has others sign in. What they see then, the API decides. */
export function Gate({ children }: { children: ReactNode }) {
  const session = useSession();
  useEffect(() => setSignedIn(!!session.data && !session.data.open && session.data.role !== null), [session.data]);
  if (isOutside(session.data)) return <SignIn />;
  return (
    <>
      {session.data?.user_id && <SavedSettings />}
      {children}
    </>
  );
}

/** The page that says why nobody could sign in. Whoever is let in has no need of it. */
export function SignInPage() {
  const session = useSession();
  const navigate = useNavigate();
  const code = new URLSearchParams(location.search).get("error");
  const inside = !!session.data && (session.data.open || session.data.role !== null);
  useEffect(() => {
    if (inside && !code) void navigate({ to: "/", replace: true });
  }, [inside, code, navigate]);
  return inside ? <SignIn another /> : null; // else the gate shows it
}

function SignIn({ another }: { another?: boolean }) {
  const config = useAuthConfig();
  const [withKey, setWithKey] = useState(false);
  const code = new URLSearchParams(location.search).get("error");
  const people = config.data?.sign_in === true;
  return (
    <div className="scroll-thin flex h-full items-center justify-center overflow-y-auto p-6">
      <div className="w-full max-w-sm space-y-4">
        <div>
          {people ? <CircleUser aria-hidden className="mb-3 size-6 text-accent" /> : <KeyRound aria-hidden className="mb-3 size-6 text-accent" />}
          <h1 className="text-xl font-semibold tracking-tight">{config.isPending ? "AI Gateway" : people ? "Sign in to AI Gateway" : "This gateway asks for a key"}</h1>
          {!config.isPending && !people && <p className="mt-1 text-muted">An admin’s key shows everything, a member’s its own usage. It is asked for once in this browser.</p>}
        </div>
        {code && (
          <p role="alert" className="rounded-xl border border-danger/40 bg-danger-soft p-3">
            {failureText(code)}
          </p>
        )}
        {people && (
          <a href={loginAddress(location)} className="flex h-10 w-full items-center justify-center rounded-lg bg-accent font-medium text-on-accent hover:bg-accent-strong">
            {providerName(config.data?.provider ?? "")}
          </a>
        )}
        {people && !withKey && (
          <Button variant="ghost" className="w-full" onClick={() => setWithKey(true)}>
            Use a gateway key
          </Button>
        )}
        {!config.isPending && (!people || withKey) && <KeyForm autoFocus />}
        {another && (
          <Link to="/" className="block text-center text-accent-strong underline">
            Go on as you are
          </Link>
        )}
      </div>
    </div>
  );
}

function KeyForm({ autoFocus }: { autoFocus?: boolean }) {
  const queries = useQueryClient();
  const [key, setKey] = useState("");
  const enter = useMutation({ mutationFn: signIn, onSuccess: () => queries.invalidateQueries() });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    enter.mutate(key.trim(), { onSettled: () => setKey("") });
  };
  return (
    <form onSubmit={submit} className="space-y-4">
      <Field label="Gateway key" error={enter.error?.message}>
        {(ids) => <Input {...ids} type="password" autoComplete="off" spellCheck={false} autoFocus={autoFocus} required placeholder="agw_…" value={key} onChange={(event) => setKey(event.target.value)} />}
      </Field>
      <Button type="submit" variant="primary" className="w-full" disabled={enter.isPending}>
        Go on
      </Button>
    </form>
  );
}

/** Ends the session of this browser, where there is one; people get to their account beside it. */
export function SignOutButton() {
  const queries = useQueryClient();
  const { data } = useSession();
  const leave = useMutation({ mutationFn: signOut, onSuccess: () => queries.resetQueries() });
  if (!data || data.open || isOutside(data)) return null;
  return (
    <>
      {data.user_id && (
        <Link to="/account" aria-label={`Account (${data.user_id})`} title={`Account (${data.user_id})`} className="flex size-9 items-center justify-center rounded-lg text-muted hover:bg-hover">
          <CircleUser aria-hidden className="size-4.5" />
        </Link>
      )}
      <IconButton label={`Leave (${data.label || data.key_id || data.role})`} className="text-muted" onClick={() => leave.mutate()}>
        <LogOut />
      </IconButton>
    </>
  );
}

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { KeyRound, LogOut } from "lucide-react";
import { useEffect, useState, type FormEvent, type ReactNode } from "react";
import { setSignedIn } from "@/chat/credentials";
import { Button, IconButton } from "@/ui/button";
import { Field, Input } from "@/ui/field";
import { signIn, signOut, useSession } from "./useSession";

/** Shows a page to those who are let in, and asks others for a key. What they see then, the API decides. */
export function Gate({ children }: { children: ReactNode }) {
  const session = useSession();
  useEffect(() => setSignedIn(!!session.data && !session.data.open && session.data.role !== null), [session.data]);
  if (session.data && !session.data.open && session.data.role === null) return <SignIn />;
  return children;
}

function SignIn() {
  const queries = useQueryClient();
  const [key, setKey] = useState("");
  const enter = useMutation({ mutationFn: signIn, onSuccess: () => queries.invalidateQueries() });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    enter.mutate(key.trim(), { onSettled: () => setKey("") });
  };
  return (
    <div className="flex h-full items-center justify-center p-6">
      <form onSubmit={submit} className="w-full max-w-sm space-y-4">
        <div>
          <KeyRound aria-hidden className="mb-3 size-6 text-accent" />
          <h1 className="text-xl font-semibold tracking-tight">This gateway asks for a key</h1>
          <p className="mt-1 text-muted">An admin’s key shows everything, a member’s its own usage. It is asked for once in this browser.</p>
        </div>
        <Field label="Gateway key" error={enter.error?.message}>
          {(ids) => <Input {...ids} type="password" autoComplete="off" spellCheck={false} autoFocus required placeholder="agw_…" value={key} onChange={(event) => setKey(event.target.value)} />}
        </Field>
        <Button type="submit" variant="primary" className="w-full" disabled={enter.isPending}>
          Go on
        </Button>
      </form>
    </div>
  );
}

/** Ends the session of this browser, where there is one. */
export function SignOutButton() {
  const queries = useQueryClient();
  const { data } = useSession();
  const leave = useMutation({ mutationFn: signOut, onSuccess: () => queries.invalidateQueries() });
  if (!data || data.open || data.role === null) return null;
  return (
    <IconButton label={`Leave (${data.label || data.key_id || data.role})`} className="text-muted" onClick={() => leave.mutate()}>
      <LogOut />
    </IconButton>
  );
}

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState, type FormEvent } from "react";
import { APIError, sendJSON } from "@/api/client";
import { useModels } from "@/chat/models";
import { useSaved, type Saved } from "@/session/SavedSettings";
import { Button } from "@/ui/button";
import { Failure } from "@/ui/feedback";
import { Field, Input, Select } from "@/ui/field";
import { Card } from "@/ui/page";

/** A provider's key of one's own, which the gateway keeps encrypted and uses for one backend. */
export function ProviderKeyCard() {
  const queries = useQueryClient();
  const saved = useSaved();
  const models = useModels();
  const backends = useMemo(() => [...new Set(models.data?.map((m) => m.owned_by))].sort(), [models.data]);
  const [key, setKey] = useState("");
  const [backend, setBackend] = useState("");
  const chosen = backend || saved.data?.key_provider || backends[0] || "";
  const save = useMutation({
    mutationFn: (input: object) => sendJSON<Saved>("PATCH", "/api/settings", input),
    onSuccess: (now) => {
      setKey("");
      queries.setQueryData(["settings"], now);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate({ provider_key: key.trim(), key_provider: chosen });
  };
  const fault = (name: string) => (save.error instanceof APIError && save.error.param === name ? save.error.message : undefined);
  return (
    <Card title="Your key of a provider">
      <form onSubmit={submit} className="space-y-4 px-4 pb-4">
        <p className="text-muted">
          {saved.data?.has_provider_key
            ? `A key ending in ${saved.data.key_hint} is saved for ${saved.data.key_provider}. It is used where that backend takes clients’ keys, unless a request brings another one.`
            : "None is saved: models are called with the gateway’s own keys. A key of yours is kept encrypted, never shown again, and goes to the backend that you choose alone."}
        </p>
        <div className="grid gap-3 sm:grid-cols-2">
          <Field label="Provider’s key" error={fault("provider_key")}>
            {(ids) => <Input {...ids} type="password" autoComplete="off" spellCheck={false} required placeholder="sk-…" value={key} onChange={(event) => setKey(event.target.value)} />}
          </Field>
          <Field label="For the backend" error={fault("key_provider")}>
            {(ids) => (
              <Select {...ids} value={chosen} onChange={(event) => setBackend(event.target.value)}>
                {[...new Set([chosen, ...backends])].filter(Boolean).map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </Select>
            )}
          </Field>
        </div>
        {save.isError && !(save.error instanceof APIError && save.error.param) && <Failure title="The key was not saved" error={save.error} />}
        <div className="flex justify-end gap-2">
          {saved.data?.has_provider_key && (
            <Button variant="danger" disabled={save.isPending} onClick={() => save.mutate({ provider_key: null })}>
              Forget it
            </Button>
          )}
          <Button type="submit" variant="primary" disabled={save.isPending}>
            Save the key
          </Button>
        </div>
      </form>
    </Card>
  );
}

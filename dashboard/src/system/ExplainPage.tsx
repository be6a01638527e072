import { useMutation } from "@tanstack/react-query";
import { CircleCheck, Route as RouteIcon } from "lucide-react";
import { useState, type FormEvent } from "react";
import { address, sendJSON } from "@/api/client";
import { ModelPicker } from "@/chat/ModelPicker";
import { useModels } from "@/chat/models";
import { useKeys } from "@/keys/useKeys";
import { useSession } from "@/session/useSession";
import { Button } from "@/ui/button";
import { Empty, Failure } from "@/ui/feedback";
import { Field, Input, Select, Textarea } from "@/ui/field";
import { Card, Page } from "@/ui/page";
import { bodyOf, type Explained } from "./explain";
import { PlanView } from "./PlanView";
import { SystemTabs } from "./SystemTabs";

/** What would become of a request: nobody is called, and nothing is counted. */
export function ExplainPage() {
  const explain = useMutation({ mutationFn: ({ body, key }: { body: object; key: string }) => sendJSON<Explained>("POST", address("/api/explain", { key }), body) });
  return (
    <Page title="System" actions={<SystemTabs />}>
      <div className="grid items-start gap-4 lg:grid-cols-[22rem_minmax(0,1fr)]">
        <Card title="A request">
          <Form busy={explain.isPending} onAsk={(body, key) => explain.mutate({ body, key })} />
        </Card>
        <div className="min-w-0 space-y-4" aria-live="polite">
          {explain.isError && <Failure title="The request could not be explained" error={explain.error} />}
          {explain.data && <PlanView plan={explain.data} />}
          {explain.isIdle && (
            <Card>
              <Empty icon={<RouteIcon />} title="What would become of a request?">
                Its backends in order, its price, the most it can cost, each limit and budget that is for it, and why it would be refused. Nobody is called, and nothing is counted.
              </Empty>
            </Card>
          )}
        </div>
      </div>
    </Page>
  );
}

function Form({ busy, onAsk }: { busy: boolean; onAsk: (body: object, key: string) => void }) {
  const models = useModels().data;
  const { data: session } = useSession();
  const keys = useKeys().data ?? [];
  const [model, setModel] = useState("");
  const [prompt, setPrompt] = useState("Hello!");
  const [maxTokens, setMaxTokens] = useState("");
  const [key, setKey] = useState("");
  const chosen = model || models?.[0]?.id || "";
  const ask = (event: FormEvent) => {
    event.preventDefault();
    onAsk(bodyOf(chosen, prompt, maxTokens), key);
  };
  return (
    <form onSubmit={ask} className="space-y-4 px-4 pt-1 pb-4">
      <div className="space-y-1.5">
        <span className="block font-medium">Model</span>
        <ModelPicker label="Model" value={chosen} models={models} onChange={setModel} />
      </div>
      {session?.role === "admin" && keys.length > 0 && (
        <Field label="Key">
          {(ids) => (
            <Select {...ids} value={key} onChange={(event) => setKey(event.target.value)}>
              <option value="">as I am</option>
              {keys.map((k) => (
                <option key={k.id} value={k.id}>
                  {k.label} ({k.prefix}…)
                </option>
              ))}
            </Select>
          )}
        </Field>
      )}
      <Field label="Prompt" hint="Its tokens are estimated.">
        {(ids) => <Textarea {...ids} rows={4} value={prompt} onChange={(event) => setPrompt(event.target.value)} />}
      </Field>
      <Field label="Max tokens" hint="Empty: what budgets take for requests that set none.">
        {(ids) => <Input {...ids} inputMode="numeric" pattern="[1-9][0-9]*" value={maxTokens} onChange={(event) => setMaxTokens(event.target.value)} />}
      </Field>
      <Button type="submit" variant="primary" className="w-full" disabled={busy || chosen === ""}>
        <CircleCheck /> Explain
      </Button>
    </form>
  );
}

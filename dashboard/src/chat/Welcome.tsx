import { Terminal } from "lucide-react";
import { CopyButton } from "@/ui/copy-button";
import { useModels } from "./models";

const suggestions = ["Say hello", "Explain a TCP handshake in three sentences", "Write a haiku about proxies", "Compare SQLite and PostgreSQL in a table"];

const keyLine = "export OPENAI_API_KEY=sk-…";

/** What stands where no message is yet. */
export function Welcome({ onSuggest }: { onSuggest: (text: string) => void }) {
  const models = useModels().data;
  const demoAlone = models?.length === 1 && models[0]?.id === "demo";
  return (
    <div className="scroll-thin flex min-h-0 flex-1 flex-col items-center overflow-y-auto px-4">
      <div className="my-auto w-full max-w-xl space-y-6 py-8">
        <div>
          <h2 className="text-2xl font-semibold tracking-tight">What would you like to know?</h2>
          <p className="mt-1 text-muted">Every answer shows its tokens, its cost and its speed.</p>
        </div>
        <div className="grid gap-2 sm:grid-cols-2">
          {suggestions.map((text) => (
            <button key={text} type="button" onClick={() => onSuggest(text)} className="rounded-xl border px-3.5 py-2.5 text-left text-muted transition-colors hover:border-line-strong hover:text-foreground">
              {text}
            </button>
          ))}
        </div>
        {demoAlone && <RealKey />}
      </div>
    </div>
  );
}

function RealKey() {
  return (
    <section className="rounded-xl border bg-sidebar p-4">
      <h3 className="flex items-center gap-2 font-medium">
        <Terminal aria-hidden className="size-4 text-accent" /> You are talking to the demo model
      </h3>
      <p className="mt-1 text-muted">It is built in and always says the same. For real models, set a key of OpenAI’s and start the gateway again:</p>
      <div className="mt-3 flex items-center gap-2 rounded-lg border bg-code py-1 pr-1 pl-3">
        <code className="min-w-0 flex-1 truncate font-mono text-[0.8125rem]">{keyLine}</code>
        <CopyButton text={keyLine} label="Copy the line" />
      </div>
      <p className="mt-2 text-[0.8125rem] text-muted">Other providers and your own servers stand in a file: see docs/configuration.md.</p>
    </section>
  );
}

import { Tabs } from "radix-ui";
import { CopyButton } from "@/ui/copy-button";
import { Dialog } from "@/ui/dialog";
import { useSelection } from "./models";
import { snippets } from "./snippets";

/** Base URL and key, ready to copy for the clients that people use. */
export default function ConnectPanel({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="Connect" description="Every client of OpenAI's API works, and of Anthropic's: give it this address." className="w-[min(44rem,calc(100vw-2rem))]">
      <Panel />
    </Dialog>
  );
}

function Panel() {
  const { model } = useSelection();
  const base = `${location.origin}/v1`;
  const all = snippets(base, model || "demo");
  return (
    <div className="space-y-4">
      <dl className="divide-y rounded-xl border">
        <CopyRow name="Base URL" value={base} />
        <CopyRow name="Key" value="$AI_GATEWAY_KEY" note="a key of this gateway; any text while no keys are set up" />
      </dl>
      {/* Values become part of ids, which may have no spaces. */}
      <Tabs.Root defaultValue="0">
        <Tabs.List aria-label="Clients" className="flex flex-wrap gap-1">
          {all.map(({ name }, i) => (
            <Tabs.Trigger key={name} value={`${i}`} className="rounded-lg px-2.5 py-1 text-muted hover:bg-hover data-[state=active]:bg-hover data-[state=active]:font-medium data-[state=active]:text-foreground">
              {name}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        {all.map(({ name, text, where }, i) => (
          <Tabs.Content key={name} value={`${i}`} className="mt-3 outline-offset-4">
            <p className="mb-2 text-muted">{where}</p>
            <div className="relative rounded-xl border bg-code">
              <pre tabIndex={0} aria-label={`Example for ${name}`} className="scroll-thin overflow-x-auto p-3.5 pr-12 font-mono text-[0.8125rem] leading-relaxed">
                {text}
              </pre>
              <CopyButton text={text} label={`Copy the example for ${name}`} className="absolute top-2 right-2 bg-raised" />
            </div>
          </Tabs.Content>
        ))}
      </Tabs.Root>
    </div>
  );
}

function CopyRow({ name, value, note }: { name: string; value: string; note?: string }) {
  return (
    <div className="flex min-h-11 items-center gap-3 px-3.5">
      <dt className="w-20 shrink-0 text-muted">{name}</dt>
      <dd className="flex min-w-0 flex-1 items-center gap-2">
        <code className="truncate font-mono text-[0.8125rem]">{value}</code>
        {note && <span className="truncate text-[0.8125rem] text-muted max-sm:hidden">{note}</span>}
        <CopyButton className="ml-auto" text={value} label={`Copy the ${name === "Key" ? "key's variable" : "base URL"}`} />
      </dd>
    </div>
  );
}

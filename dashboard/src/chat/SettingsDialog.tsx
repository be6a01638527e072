import { useState, type FormEvent } from "react";
import { readLocal, writeLocal } from "@/lib/local";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Input, Textarea } from "@/ui/field";
import { chats } from "./store";
import { noSettings, type Conversation, type Settings } from "./types";

const stored = "chat-settings";

/** The settings that a new conversation begins with: those that were set last. */
export function readNewSettings(): Settings {
  try {
    return { ...noSettings, ...(JSON.parse(readLocal(stored) ?? "{}") as Partial<Settings>) };
  } catch {
    return noSettings;
  }
}

interface SettingsDialogProps {
  open: boolean;
  onClose: () => void;
  conversation: Conversation | null;
}

export function SettingsDialog({ open, onClose, conversation }: SettingsDialogProps) {
  return (
    <Dialog open={open} onClose={onClose} side="right" title="Settings" description="For this chat, and for new ones.">
      <SettingsForm initial={conversation?.settings ?? readNewSettings()} conversation={conversation} onClose={onClose} />
    </Dialog>
  );
}

/** A number in a range, null for none, or what is wrong. */
export function parseSetting(text: string, min: number, max: number, whole: boolean): number | null | string {
  if (text.trim() === "") return null;
  const n = Number(text);
  if (!Number.isFinite(n) || n < min || n > max || (whole && !Number.isInteger(n))) {
    return `Must be ${whole ? "a whole number" : "a number"} from ${min} to ${max.toLocaleString()}.`;
  }
  return n;
}

function SettingsForm({ initial, conversation, onClose }: { initial: Settings; conversation: Conversation | null; onClose: () => void }) {
  const [system, setSystem] = useState(initial.system);
  const [temperature, setTemperature] = useState(String(initial.temperature ?? ""));
  const [maxTokens, setMaxTokens] = useState(String(initial.maxTokens ?? ""));
  const parsedTemperature = parseSetting(temperature, 0, 2, false);
  const parsedMax = parseSetting(maxTokens, 1, 1_000_000, true);
  const faultOf = (value: number | null | string) => (typeof value === "string" ? value : undefined);

  const save = (event: FormEvent) => {
    event.preventDefault();
    if (typeof parsedTemperature === "string" || typeof parsedMax === "string") return;
    const settings = { system, temperature: parsedTemperature, maxTokens: parsedMax };
    writeLocal(stored, JSON.stringify(settings));
    if (conversation) chats.update(conversation.id, (c) => ({ ...c, settings }));
    onClose();
  };
  return (
    <form onSubmit={save} className="space-y-5">
      <Field label="System prompt" hint="How the model should behave. Sent before every message.">
        {(ids) => <Textarea {...ids} rows={7} value={system} onChange={(event) => setSystem(event.target.value)} />}
      </Field>
      <Field label="Temperature" hint="From 0 (steady) to 2 (loose). Empty: the model's own." error={faultOf(parsedTemperature)}>
        {(ids) => <Input {...ids} inputMode="decimal" placeholder="model's own" value={temperature} onChange={(event) => setTemperature(event.target.value)} />}
      </Field>
      <Field label="Max tokens" hint="Of one answer. Empty: the model's own." error={faultOf(parsedMax)}>
        {(ids) => <Input {...ids} inputMode="numeric" placeholder="model's own" value={maxTokens} onChange={(event) => setMaxTokens(event.target.value)} />}
      </Field>
      <div className="flex justify-end">
        <Button type="submit" variant="primary">
          Save
        </Button>
      </div>
    </form>
  );
}

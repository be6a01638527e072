import { useState, type FormEvent } from "react";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Input } from "@/ui/field";
import { isRemembered, setChatKey, useChatKey } from "./credentials";

/** Asks for the key that chats send. */
export function KeyDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="Key for the chat" description="A key of this gateway, or your own key of a provider where the gateway passes it on.">
      <KeyForm onClose={onClose} />
    </Dialog>
  );
}

function KeyForm({ onClose }: { onClose: () => void }) {
  const current = useChatKey();
  const [key, setKey] = useState(current);
  const [remember, setRemember] = useState(isRemembered());
  const save = (event: FormEvent) => {
    event.preventDefault();
    setChatKey(key, remember);
    onClose();
  };
  return (
    <form onSubmit={save} className="space-y-4">
      <Field label="Key" hint="Without one, the gateway uses its own key, if it has one for the model.">
        {(ids) => <Input {...ids} type="password" autoComplete="off" spellCheck={false} placeholder="sk-…" value={key} onChange={(event) => setKey(event.target.value)} />}
      </Field>
      <label className="flex items-start gap-2.5">
        <input type="checkbox" className="mt-0.5 size-4 accent-accent" checked={remember} onChange={(event) => setRemember(event.target.checked)} />
        <span>
          Remember it in this browser
          <span className="block text-[0.8125rem] text-muted">Otherwise it is forgotten when this tab is closed or loaded again.</span>
        </span>
      </label>
      <div className="flex justify-end gap-2">
        {current && (
          <Button
            variant="ghost"
            onClick={() => {
              setChatKey("", false);
              onClose();
            }}
          >
            Forget it
          </Button>
        )}
        <Button type="submit" variant="primary">
          Save
        </Button>
      </div>
    </form>
  );
}

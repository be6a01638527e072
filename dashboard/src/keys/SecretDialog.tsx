import { useState } from "react";
import { Button } from "@/ui/button";
import { CopyButton } from "@/ui/copy-button";
import { Dialog } from "@/ui/dialog";
import { Input } from "@/ui/field";
import type { IssuedKey } from "./types";

/** Shows a secret, once. It is closed by saying that it was saved, and by nothing else. */
export function SecretDialog({ issued, onClose }: { issued: IssuedKey | null; onClose: () => void }) {
  return (
    <Dialog open={issued !== null} onClose={onClose} dismissable={false} title="Save this key now" description="It is shown this once: the gateway keeps only a hash of it.">
      {issued && <Secret key={issued.key} issued={issued} onClose={onClose} />}
    </Dialog>
  );
}

function Secret({ issued, onClose }: { issued: IssuedKey; onClose: () => void }) {
  const [saved, setSaved] = useState(false);
  return (
    <div className="space-y-4">
      <div className="flex items-center gap-2">
        <Input readOnly aria-label={`Secret of ${issued.label}`} value={issued.key} className="font-mono" onFocus={(event) => event.target.select()} autoFocus />
        <CopyButton text={issued.key} label="Copy the key" />
      </div>
      <label className="flex items-center gap-2.5">
        <input type="checkbox" className="size-4 accent-accent" checked={saved} onChange={(event) => setSaved(event.target.checked)} />I saved it
      </label>
      <div className="flex justify-end">
        <Button variant="primary" disabled={!saved} onClick={onClose}>
          Done
        </Button>
      </div>
    </div>
  );
}

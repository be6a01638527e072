import { useState } from "react";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Failure } from "@/ui/feedback";
import { Field, Select } from "@/ui/field";
import type { IssuedKey, Key } from "./types";
import { useRevoke, useRotate } from "./useKeys";

const graces = [
  { seconds: 0, label: "Ends at once" },
  { seconds: 3600, label: "Works for an hour" },
  { seconds: 86_400, label: "Works for a day" },
  { seconds: 604_800, label: "Works for a week" },
];

export function RotateDialog({ open, apiKey, onClose, onIssued }: { open: boolean; apiKey: Key; onClose: () => void; onIssued: (key: IssuedKey) => void }) {
  const [grace, setGrace] = useState(86_400);
  const rotate = useRotate(apiKey.id);
  const go = () =>
    rotate.mutate(grace, {
      onSuccess: (issued) => {
        onClose();
        onIssued(issued);
      },
    });
  return (
    <Dialog open={open} onClose={onClose} title={`Rotate “${apiKey.label}”`} description="The key gets a new secret. All else of it stays, its usage too.">
      <div className="space-y-4">
        <Field label="The old secret">
          {(ids) => (
            <Select {...ids} value={grace} onChange={(event) => setGrace(Number(event.target.value))}>
              {graces.map((g) => (
                <option key={g.seconds} value={g.seconds}>
                  {g.label}
                </option>
              ))}
            </Select>
          )}
        </Field>
        {rotate.isError && <Failure title="The key was not rotated" error={rotate.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button variant="primary" disabled={rotate.isPending} onClick={go}>
            Rotate
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

export function RevokeDialog({ open, apiKey, onClose }: { open: boolean; apiKey: Key; onClose: () => void }) {
  const revoke = useRevoke(apiKey.id);
  return (
    <Dialog open={open} onClose={onClose} title={`Revoke “${apiKey.label}”?`} description="Requests with it are refused from now on, and that cannot be undone. Its usage stays.">
      <div className="space-y-4 pt-1">
        {revoke.isError && <Failure title="The key was not revoked" error={revoke.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Keep it</Button>
          <Button variant="danger" disabled={revoke.isPending} onClick={() => revoke.mutate(undefined, { onSuccess: onClose })}>
            Revoke
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

import { keyNames, shortcuts } from "@/lib/shortcuts";
import { Dialog } from "@/ui/dialog";

const composing = [
  { keys: "enter", label: "Send the message" },
  { keys: "shift+enter", label: "New line" },
];

export function HelpSheet({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="Keyboard shortcuts">
      <dl className="divide-y">
        {[...composing, ...Object.values(shortcuts)].map(({ keys, label }) => (
          <div key={label} className="flex items-center justify-between gap-4 py-2">
            <dt>{label}</dt>
            <dd className="flex gap-1">
              {keyNames(keys).map((name) => (
                <kbd key={name} className="min-w-6 rounded-md border border-line-strong/60 bg-surface px-1.5 py-0.5 text-center font-sans text-xs">
                  {name}
                </kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}

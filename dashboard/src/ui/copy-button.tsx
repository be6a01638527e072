import { Check, Copy, X } from "lucide-react";
import { useCopy } from "@/lib/clipboard";
import { cn } from "@/lib/cn";
import { IconButton } from "./button";

/** Copies a text and says whether that worked. */
export function CopyButton({ text, label = "Copy", className }: { text: string | (() => string); label?: string; className?: string }) {
  const [state, copy] = useCopy();
  const said = { idle: label, copied: "Copied", failed: "Could not copy: select the text instead" }[state];
  return (
    <IconButton size="icon-sm" label={said} className={cn(className)} onClick={() => void copy(typeof text === "string" ? text : text())}>
      {state === "idle" ? <Copy /> : state === "copied" ? <Check className="text-good" /> : <X className="text-danger" />}
      <span role="status" className="sr-only">
        {state === "idle" ? "" : said}
      </span>
    </IconButton>
  );
}

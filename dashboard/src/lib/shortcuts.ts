import { useEffect, useRef } from "react";

/** A keyboard shortcut: "mod+k" has Ctrl, or Command on a Mac. */
export interface Shortcut {
  keys: string;
  label: string;
}

export const shortcuts = {
  help: { keys: "?", label: "Show the keyboard shortcuts" },
  newChat: { keys: "mod+shift+o", label: "New chat" },
  focusMessage: { keys: "/", label: "Write a message" },
  chooseModel: { keys: "mod+shift+m", label: "Choose a model" },
  searchChats: { keys: "mod+k", label: "Search conversations" },
  stop: { keys: "escape", label: "Stop the answer" },
  copyLast: { keys: "mod+shift+c", label: "Copy the last answer" },
} satisfies Record<string, Shortcut>;

const isMac = () => /mac|iphone|ipad/i.test(navigator.userAgent);

/** The keys of a shortcut as they stand on the keyboard. */
export function keyNames(keys: string): string[] {
  const names: Record<string, string> = isMac()
    ? { mod: "⌘", shift: "⇧", escape: "Esc", enter: "↵" }
    : { mod: "Ctrl", shift: "Shift", escape: "Esc", enter: "Enter" };
  return keys.split("+").map((k) => names[k] ?? k.toUpperCase());
}

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

/** Whether an event is a shortcut's. Those without a modifier do not work while someone types. */
export function matches(event: KeyboardEvent, keys: string): boolean {
  const parts = keys.split("+");
  const key = parts[parts.length - 1];
  const mod = parts.includes("mod");
  if (mod !== (event.ctrlKey || event.metaKey) || event.altKey) return false;
  if (mod && parts.includes("shift") !== event.shiftKey) return false;
  if (!mod && key !== "escape" && isTyping(event.target)) return false;
  return event.key.toLowerCase() === key;
}

/** Runs an action when its keys are pressed anywhere on the page but in a modal dialog. */
export function useShortcut({ keys }: Shortcut, action: () => void, enabled = true) {
  const latest = useRef(action);
  latest.current = action;
  useEffect(() => {
    if (!enabled) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || !matches(event, keys) || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      latest.current();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [keys, enabled]);
}

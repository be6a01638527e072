import { useSyncExternalStore } from "react";
import { readLocal, writeLocal } from "@/lib/local";

/**
 * The key that chats send, if any. It is kept in this page's memory alone, unless its
 * owner asks this browser to remember it.
 */
const stored = "chat-key";
let key = readLocal(stored) ?? "";
const listeners = new Set<() => void>();

export const chatKey = () => key;

export function setChatKey(next: string, remember: boolean) {
  key = next.trim();
  writeLocal(stored, remember && key ? key : null);
  listeners.forEach((tell) => tell());
}

export const isRemembered = () => readLocal(stored) !== null;

export function useChatKey(): string {
  return useSyncExternalStore(
    (tell) => {
      listeners.add(tell);
      return () => void listeners.delete(tell);
    },
    () => key,
  );
}

/** A key as it may be shown: its last characters. */
export const keyHint = (value: string) => (value.length > 8 ? `…${value.slice(-4)}` : "set");

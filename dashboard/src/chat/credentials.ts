import { useSyncExternalStore } from "react";
import { readLocal, writeLocal } from "@/lib/local";

/**
 * The key that chats send, if any. It is kept in this page's memory alone, unless its
 * owner asks this browser to remember it.
 */
const stored = "chat-key";
let key = readLocal(stored) ?? "";
const listeners = new Set<() => void>();

/** Whether the browser has signed in: its cookie identifies the caller, and an additional key is a provider's. */
let signedIn = false;
export const setSignedIn = (value: boolean) => void (signedIn = value);

const isGatewayKey = (value: string) => value.startsWith("agw_");

/** The key as the headers of a request have it. */
export function keyHeaders(): { key: string | null; headers: Record<string, string> } {
  if (!key) return { key: null, headers: {} };
  return signedIn && !isGatewayKey(key) ? { key: null, headers: { "X-Provider-Key": key } } : { key, headers: {} };
}

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

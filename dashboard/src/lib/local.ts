import { useSyncExternalStore } from "react";

/** Small settings of this browser. Where storage is refused they last as long as the page. */
const memory = new Map<string, string>();
const listeners = new Set<() => void>();

export function readLocal(name: string): string | null {
  try {
    return localStorage.getItem(name) ?? memory.get(name) ?? null;
  } catch {
    return memory.get(name) ?? null;
  }
}

export function writeLocal(name: string, value: string | null) {
  if (value === null) memory.delete(name);
  else memory.set(name, value);
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    // kept in memory
  }
  listeners.forEach((tell) => tell());
}

function subscribe(tell: () => void) {
  listeners.add(tell);
  window.addEventListener("storage", tell);
  return () => {
    listeners.delete(tell);
    window.removeEventListener("storage", tell);
  };
}

/** A setting as state; null where it was never set. */
export function useLocal(name: string): [string | null, (value: string | null) => void] {
  const value = useSyncExternalStore(subscribe, () => readLocal(name));
  return [value, (next) => writeLocal(name, next)];
}

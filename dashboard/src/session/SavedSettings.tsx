import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { getJSON, sendJSON } from "@/api/client";
import { useLocal, writeLocal } from "@/lib/local";

/** What a person has saved, as /api/settings shows it. */
export interface Saved {
  provider: string;
  model: string;
  theme: string;
  has_provider_key: boolean;
  key_hint: string;
  key_provider: string;
}

export const useSaved = () => useQuery({ queryKey: ["settings"], queryFn: ({ signal }) => getJSON<Saved>("/api/settings", {}, signal), staleTime: 300_000 });

const names = ["provider", "model", "theme"] as const;
const settle = 800; // ms after the last change

/** Takes over what the person has saved when the page opens, and saves what is changed from then on. */
export function SavedSettings() {
  const saved = useSaved();
  const [provider] = useLocal("provider");
  const [model] = useLocal("model");
  const [theme] = useLocal("theme");
  const known = useRef<Record<string, string> | null>(null);
  const save = useMutation({ mutationFn: (change: Record<string, string | null>) => sendJSON<Saved>("PATCH", "/api/settings", change) });
  const { mutate } = save;
  useEffect(() => {
    if (!saved.data || known.current) return;
    known.current = { provider: saved.data.provider, model: saved.data.model, theme: saved.data.theme };
    for (const name of names) if (saved.data[name]) writeLocal(name, saved.data[name]);
  }, [saved.data]);
  useEffect(() => {
    const timer = setTimeout(() => {
      if (!known.current) return;
      const now: Record<string, string | null> = { provider, model, theme };
      const change = Object.fromEntries(names.filter((name) => (now[name] ?? "") !== known.current![name]).map((name) => [name, now[name] ?? null]));
      if (Object.keys(change).length === 0) return;
      for (const name of Object.keys(change)) known.current[name] = change[name] ?? "";
      mutate(change);
    }, settle);
    return () => clearTimeout(timer);
  }, [provider, model, theme, mutate, saved.data]);
  return null;
}

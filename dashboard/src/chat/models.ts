import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { getJSON } from "@/api/client";
import { keyHeaders, useChatKey } from "./credentials";
import { useLocal } from "@/lib/local";

export interface Model {
  id: string;
  owned_by: string;
}

/**
 * The models that may be asked for: those with a route, and those that the backend lists which
 * serves all others. A provider lists them for a key, so the chat's own key is sent.
 */
export function useModels() {
  const key = useChatKey();
  return useQuery({
    queryKey: ["models", key.slice(-4)],
    queryFn: async ({ signal }) => (await getJSON<{ data: Model[] }>("/v1/models", {}, signal, modelHeaders())).data,
    placeholderData: keepPreviousData,
    staleTime: 30_000,
    refetchInterval: 60_000,
  });
}

function modelHeaders(): Record<string, string> {
  const { key, headers } = keyHeaders();
  return key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
}

/** The models that are chosen, in this browser: they stay so across pages and visits. */
export function useSelection() {
  const models = useModels().data;
  const [stored, setModel] = useLocal("model");
  const [compareWith, setCompareWith] = useLocal("compare-with");
  const [provider, setProvider] = useLocal("provider");
  const shown = provider ? models?.filter((m) => m.owned_by === provider) : models;
  const model = stored ?? shown?.[0]?.id ?? "";
  useEffect(() => {
    const wanted = new URLSearchParams(location.search);
    if (wanted.get("model")) setModel(wanted.get("model"));
    if (wanted.has("compare")) setCompareWith(wanted.get("compare") || null);
  }, []);
  return {
    model,
    compareWith,
    provider,
    chosen: [model, ...(compareWith === null ? [] : [compareWith])].filter(Boolean),
    setModel: (id: string) => setModel(id),
    setCompareWith,
    setProvider: (next: string | null) => {
      setProvider(next);
      const first = models?.find((m) => !next || m.owned_by === next);
      const current = models?.find((m) => m.id === model);
      if (next && first && current?.owned_by !== next) setModel(first.id);
    },
  };
}

export function useFavourites(): [ReadonlySet<string>, (id: string) => void] {
  const [stored, store] = useLocal("favourite-models");
  const favourites = new Set(parseList(stored));
  const toggle = (id: string) => {
    if (!favourites.delete(id)) favourites.add(id);
    store(JSON.stringify([...favourites]));
  };
  return [favourites, toggle];
}

function parseList(text: string | null): string[] {
  try {
    const list: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(list) ? list.filter((x) => typeof x === "string") : [];
  } catch {
    return [];
  }
}

const shownAtOnce = 100; // of the models that were found

/** The models that a search finds, favourites first; what was typed counts as one if nothing is called so. */
export function searchModels(models: readonly Model[], favourites: ReadonlySet<string>, search: string): { found: Model[]; more: number; typed: string | null } {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = models
    .filter((m) => words.every((w) => m.id.toLowerCase().includes(w) || m.owned_by.toLowerCase().includes(w)))
    .sort((a, b) => Number(favourites.has(b.id)) - Number(favourites.has(a.id)));
  const typed = search.trim();
  return { found: found.slice(0, shownAtOnce), more: Math.max(0, found.length - shownAtOnce), typed: typed && !models.some((m) => m.id === typed) ? typed : null };
}

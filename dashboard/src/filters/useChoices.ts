import { useQuery } from "@tanstack/react-query";
import { getJSON } from "@/api/client";
import type { CostsReport } from "@/api/types";
import type { Dimension } from "./dimensions";

export interface Choice {
  value: string;
  label: string;
  requests: number;
}

const most = 200; // that one menu offers

/** The values that a dimension had in a time, those with the most requests first. */
export function useChoices(dimension: Dimension, span: { from: string; to?: string }, enabled: boolean) {
  return useQuery({
    queryKey: ["choices", dimension, span],
    queryFn: async ({ signal }) => choicesOf(await getJSON<CostsReport>("/api/costs", { ...span, group: dimension }, signal)),
    enabled,
    staleTime: 60_000,
  });
}

export function choicesOf({ keys, groups }: Pick<CostsReport, "keys" | "groups">): Choice[] {
  const ofKeys = keys.map((k) => ({ value: k.key_id ?? "", label: k.label || k.key_id || "", requests: k.requests }));
  const ofGroups = (groups ?? []).map((g) => ({ value: g.group, label: g.group, requests: g.requests }));
  return [...ofKeys, ...ofGroups]
    .filter((c) => c.value !== "")
    .sort((a, b) => b.requests - a.requests)
    .slice(0, most);
}

import { useQuery } from "@tanstack/react-query";
import { getJSON } from "@/api/client";
import type { Left } from "./types";

/** What is left for a key; without one, for whoever asks. */
export function useLeft(key?: string) {
  return useQuery({
    queryKey: ["left", key],
    queryFn: ({ signal }) => getJSON<Left>("/api/limits", { key }, signal),
    refetchInterval: 5000,
  });
}

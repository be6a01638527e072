import { useNavigate, useSearch } from "@tanstack/react-router";

/** The parameters of the address, and a change of some of them. An empty one is taken out. */
export function usePageSearch(): [Record<string, string | undefined>, (change: Record<string, string | undefined>) => void] {
  const search = useSearch({ strict: false }) as Record<string, string | undefined>;
  const navigate = useNavigate();
  const set = (change: Record<string, string | undefined>) =>
    void navigate({ to: ".", search: { ...search, ...change } as never, replace: true });
  return [search, set];
}

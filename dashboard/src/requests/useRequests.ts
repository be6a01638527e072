import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { getJSON } from "@/api/client";
import type { RequestPage, RequestRow } from "@/api/types";
import { mergeRows } from "./filters";
import { useLive, type LiveState } from "./live";

const pageSize = 100;

export interface RequestList {
  rows: RequestRow[];
  loading: boolean;
  error: Error | null;
  retry: () => void;
  more: () => void;
  hasMore: boolean;
  loadingMore: boolean;
  /** New requests that wait to be shown. */
  waiting: number;
  /** Shows them. */
  showNew: () => void;
  /** How new ones come. */
  live: LiveState;
}

/** The requests that filters choose, page by page, and those that come meanwhile. */
export function useRequests(query: Record<string, string | undefined>, live: boolean): RequestList {
  const filters = useFixedStart(query);
  const list = useInfiniteQuery({
    queryKey: ["requests", filters],
    queryFn: ({ pageParam, signal }) => getJSON<RequestPage>("/api/requests", { ...filters, limit: pageSize, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    refetchOnWindowFocus: false,
    staleTime: Infinity, // what was read does not change under its reader; new rows come by themselves
  });
  const known = useMemo(() => list.data?.pages.flatMap((page) => page.data) ?? [], [list.data]);
  const { received, state } = useLive(filters, live && list.isSuccess);
  const [shown, setShown] = useState<ReadonlySet<string>>(new Set()); // ids of received ones
  useEffect(() => setShown(new Set()), [filters]);
  const rows = useMemo(() => mergeRows(known, received, shown), [known, received, shown]);
  const waiting = useMemo(() => {
    const ids = new Set(rows.map((r) => r.id));
    return [...received.keys()].filter((id) => !ids.has(id));
  }, [received, rows]);
  return {
    rows,
    loading: list.isPending,
    error: list.error,
    retry: () => void list.refetch(),
    more: () => void (list.hasNextPage && !list.isFetchingNextPage && list.fetchNextPage()),
    hasMore: list.hasNextPage,
    loadingMore: list.isFetchingNextPage,
    waiting: waiting.length,
    showNew: () => setShown((before) => new Set([...before, ...waiting])),
    live: state,
  };
}

/** Filters that stay the same while only the clock goes on: a page that is open would else load again each minute. */
function useFixedStart(query: Record<string, string | undefined>) {
  const { from, ...rest } = query;
  const key = JSON.stringify(rest);
  const span = query.to ? from : String(Math.round((Date.now() - Date.parse(from ?? "")) / 3_600_000));
  return useMemo(() => query, [key, span]);
}

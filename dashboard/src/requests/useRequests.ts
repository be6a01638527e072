import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { getJSON } from "@/api/client";
import type { RequestPage, RequestRow } from "@/api/types";
import { mergeRows } from "./filters";

const pageSize = 100;
const everyMS = 2000; // between two looks for new requests
const looked = 50; // of the newest at each of them

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
  const [shown, setShown] = useState<RequestRow[]>([]);
  useEffect(() => setShown([]), [filters]);
  const newest = useQuery({
    queryKey: ["newest requests", filters],
    queryFn: ({ signal }) => getJSON<RequestPage>("/api/requests", { ...filters, limit: looked }, signal),
    enabled: live && list.isSuccess,
    refetchInterval: everyMS,
  });
  const rows = useMemo(() => mergeRows(shown, known), [shown, known]);
  const fresh = useMemo(() => {
    const ids = new Set(rows.map((r) => r.id));
    return live ? (newest.data?.data ?? []).filter((r) => !ids.has(r.id)) : [];
  }, [newest.data, rows, live]);
  return {
    rows,
    loading: list.isPending,
    error: list.error,
    retry: () => void list.refetch(),
    more: () => void (list.hasNextPage && !list.isFetchingNextPage && list.fetchNextPage()),
    hasMore: list.hasNextPage,
    loadingMore: list.isFetchingNextPage,
    waiting: fresh.length,
    showNew: () => setShown((before) => mergeRows(fresh, before)),
  };
}

/** Filters that stay the same while only the clock goes on: a page that is open would else load again each minute. */
function useFixedStart(query: Record<string, string | undefined>) {
  const { from, ...rest } = query;
  const key = JSON.stringify(rest);
  const span = query.to ? from : String(Math.round((Date.now() - Date.parse(from ?? "")) / 3_600_000));
  return useMemo(() => query, [key, span]);
}

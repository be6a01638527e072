import { getJSON } from "@/api/client";
import type { RequestPage, RequestRow } from "@/api/types";
import { toCSV, type Separator } from "@/lib/csv";

const most = 20_000; // rows of one file
const columns = [
  "started_at", "id", "request_id", "model", "backend", "key_id", "key_label", "user_id", "status", "outcome", "attempts", "prompt_tokens",
  "cached_tokens", "completion_tokens", "reasoning_tokens", "usage_source", "cost_usd", "duration_ms", "ttft_ms", "error_code",
] as const satisfies readonly (keyof RequestRow)[];

/** All requests that the filters choose as CSV, up to a number of rows; `cut` tells that there are more. */
export async function exportRequests(query: Record<string, string | undefined>, separator: Separator, progress: (rows: number) => void): Promise<{ text: string; cut: boolean }> {
  const rows: RequestRow[] = [];
  let cursor: string | null = null;
  do {
    const page: RequestPage = await getJSON<RequestPage>("/api/requests", { ...query, limit: 500, cursor });
    rows.push(...page.data);
    cursor = page.next;
    progress(rows.length);
  } while (cursor !== null && rows.length < most);
  return { text: toCSV([columns, ...rows.map((row) => columns.map((c) => row[c]))], separator), cut: cursor !== null };
}

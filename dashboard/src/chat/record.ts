import { getJSON } from "@/api/client";
import type { Recorded } from "./types";

/** The part of a row of /api/requests that an answer shows. */
interface Row {
  id: string;
  cost_nanousd: number | null;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  reasoning_tokens: number;
  usage_source: string;
  ttft_ms: number | null;
  duration_ms: number;
  backend: string;
}

const delays = [600, 900, 1500, 2500, 4000, 8000]; // a row is written about a second after its request has ended

/** Looks up what the gateway recorded of an answer; null if it does not say in time. */
export async function findRecord(requestID: string, startedAt: number): Promise<Recorded | null> {
  for (const delay of delays) {
    await new Promise((resolve) => setTimeout(resolve, delay));
    try {
      const from = new Date(startedAt - 3_600_000).toISOString(); // clocks differ
      const found = await getJSON<{ data: Row[] }>("/api/requests", { request_id: requestID, from, limit: 1 });
      if (found.data[0]) return recorded(found.data[0]);
    } catch {
      // the gateway may be starting again
    }
  }
  return null;
}

const recorded = (row: Row): Recorded => ({
  id: row.id,
  costNano: row.cost_nanousd,
  promptTokens: row.prompt_tokens,
  cachedTokens: row.cached_tokens,
  completionTokens: row.completion_tokens,
  reasoningTokens: row.reasoning_tokens,
  usageSource: row.usage_source,
  ttftMs: row.ttft_ms,
  durationMs: row.duration_ms,
  backend: row.backend,
});

import type { Budget, Limit } from "@/limits/types";

/** What would become of a request, as /api/explain tells it. Money is in US dollars. */
export interface Explained {
  model: string;
  endpoint: string;
  stream: boolean;
  key: string;
  user: string;
  team: string;
  /** Estimated. */
  prompt_tokens: number;
  /** At most, of all answers. */
  answer_tokens: number;
  attempts: { backend: string; url: string; model: string; key: string }[];
  /** A million tokens; null where it is not known. */
  price: { version: string; input: number; cached_input: number; cache_write: number; output: number; reasoning: number } | null;
  worst_usd: number | null;
  limits: Limit[];
  budgets: Budget[];
  /** Empty if it would pass. */
  refusals: { status: number; code: string; message: string }[];
}

/** The body of a chat request. */
export function bodyOf(model: string, prompt: string, maxTokens: string) {
  return { model, messages: [{ role: "user", content: prompt }], ...(maxTokens.trim() ? { max_tokens: Number(maxTokens) } : {}) };
}

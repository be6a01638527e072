import type { components } from "@/api/schema";

/** What would become of a request. Money is in US dollars. */
export type Explained = components["schemas"]["Explanation"];

/** The body of a chat request. */
export function bodyOf(model: string, prompt: string, maxTokens: string) {
  return { model, messages: [{ role: "user", content: prompt }], ...(maxTokens.trim() ? { max_tokens: Number(maxTokens) } : {}) };
}

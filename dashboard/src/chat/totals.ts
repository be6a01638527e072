import type { Answer, Conversation } from "./types";

/** The tokens of an answer: recorded, or else as the stream reported them. */
export function tokensOf({ recorded, usage }: Answer): { prompt: number; completion: number } | null {
  if (recorded) return { prompt: recorded.promptTokens, completion: recorded.completionTokens };
  return usage && { prompt: usage.prompt, completion: usage.completion };
}

/** Sums of what is recorded. Answers without a price are counted, not taken for free. */
export function totalsOf(c: Conversation): { tokens: number; costNano: number; unpriced: number } {
  const sums = { tokens: 0, costNano: 0, unpriced: 0 };
  for (const answer of c.turns.flatMap((t) => t.answers)) {
    const tokens = tokensOf(answer);
    sums.tokens += tokens ? tokens.prompt + tokens.completion : 0;
    sums.costNano += answer.recorded?.costNano ?? 0;
    if (answer.recorded && answer.recorded.costNano === null) sums.unpriced++;
  }
  return sums;
}

/** Completion tokens a second, from the first one on; null where that says nothing. */
export function tokensPerSecond(answer: Answer): number | null {
  const tokens = tokensOf(answer)?.completion ?? 0;
  const ttft = answer.recorded?.ttftMs ?? answer.ttftMs;
  const duration = answer.recorded?.durationMs ?? answer.durationMs;
  if (ttft === null || duration === null || tokens < 2 || duration - ttft < 50) return null;
  return (tokens / (duration - ttft)) * 1000;
}

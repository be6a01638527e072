import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** How a model of the fake provider answers; see envoy/fakeprovider. */
export interface Scenario {
  model: string;
  /** What a stream says, piece by piece. */
  pieces?: { text?: string; thought?: string; wait?: number }[];
  usage?: { prompt: number; completion: number; cached?: number; reasoning?: number };
  /** How the stream ends: whole, by an error event, or by a connection that breaks. */
  end?: "done" | "error" | "reset";
  /** Replies with other statuses, before any stream. */
  refusals?: { status: number; code: string; message: string; retryAfter?: number }[];
}

export function writeScenarios(folder: string, scenarios: readonly Scenario[]) {
  mkdirSync(folder, { recursive: true });
  for (const s of scenarios) writeFileSync(join(folder, `${s.model.replace(/[^a-z0-9]/gi, "-")}.txtar`), archive(s));
}

function archive(s: Scenario): string {
  const replies = [...(s.refusals ?? []).map(refusal), ...(s.pieces ? [stream(s)] : [])];
  return `model: ${s.model}\nrepeat\n${replies.map((text, i) => `-- ${i} --\n${text}`).join("")}`;
}

function refusal(r: NonNullable<Scenario["refusals"]>[number]): string {
  const body = JSON.stringify({ error: { message: r.message, type: "server_error", param: null, code: r.code } });
  const retry = r.retryAfter === undefined ? "" : `retry-after: ${r.retryAfter}\n`;
  return `${r.status}\ncontent-type: application/json\ncontent-length: auto\n${retry}\n${body}\n`;
}

function stream(s: Scenario): string {
  const event = (data: unknown) => `data: ${JSON.stringify(data)}\n\n`;
  const chunk = (delta: unknown, finish: string | null = null) =>
    event({ id: "x", object: "chat.completion.chunk", created: 1, model: s.model, choices: [{ index: 0, delta, finish_reason: finish }] });
  let body = "";
  for (const p of s.pieces ?? []) {
    if (p.wait) body += `«wait ${p.wait}ms»`;
    body += chunk({ ...(p.text === undefined ? {} : { content: p.text }), ...(p.thought === undefined ? {} : { reasoning_content: p.thought }) });
  }
  if (s.end === "reset") return `200\ncontent-type: text/event-stream\n\n${body}«wait 300ms»«reset»\n`;
  if (s.end === "error") return `200\ncontent-type: text/event-stream\n\n${body}${event({ error: { message: "The model fell over.", type: "server_error", code: "overloaded" } })}\n`;
  body += chunk({}, "stop");
  if (s.usage) body += event({ id: "x", object: "chat.completion.chunk", created: 1, model: s.model, choices: [], usage: usage(s.usage) });
  return `200\ncontent-type: text/event-stream\n\n${body}data: [DONE]\n\n\n`;
}

const usage = (u: NonNullable<Scenario["usage"]>) => ({
  prompt_tokens: u.prompt,
  completion_tokens: u.completion,
  total_tokens: u.prompt + u.completion,
  prompt_tokens_details: { cached_tokens: u.cached ?? 0 },
  completion_tokens_details: { reasoning_tokens: u.reasoning ?? 0 },
});

/** Cuts a text into words that come one after another. */
export const words = (text: string, wait: number) => text.split(/(?<=\s)/).map((word) => ({ text: word, wait }));

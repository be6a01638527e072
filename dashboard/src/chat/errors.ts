import type { ChatError } from "./types";

/** What an error of the `openai` client has that is of use here. */
interface Failure {
  status?: number;
  code?: string | null;
  message?: string;
  error?: { message?: string; code?: string | null } | null;
  headers?: Headers | null;
}

const defaultWait = 20; // seconds after a 429 that does not say how long

/** Reads what went wrong into words that say what to do. `begun` tells that a part of the answer had come. */
export function chatError(thrown: unknown, begun = false, now = Date.now()): ChatError {
  const failure = (thrown ?? {}) as Failure;
  const status = failure.status ?? 0;
  if (status === 0 && failure.error) return { ...brokenOff, detail: failure.error.message ?? "", status, code: failure.error.code ?? null, retryAt: null };
  if (status === 0 && begun) return { ...connectionLost, detail: "", status, code: null, retryAt: null };
  const code = failure.error?.code ?? failure.code ?? null;
  const detail = failure.error?.message ?? failure.message ?? String(thrown);
  const known = byCode[code ?? ""] ?? byStatus(status);
  const retryAt = status === 429 && code !== "insufficient_quota" ? now + 1000 * waitOf(failure.headers) : null;
  return { ...known, detail: status === 0 ? "" : detail, status, code, retryAt };
}

type Words = Pick<ChatError, "title" | "advice">;

const brokenOff: Words = { title: "The provider broke off with an error", advice: "What came is kept. Try again for a whole answer." };
const connectionLost: Words = { title: "The connection was lost in the middle", advice: "What came is kept. Try again for a whole answer." };

const byCode: Record<string, Words> = {
  model_not_found: { title: "This model is not served here", advice: "Choose another model, or give it a route in the configuration." },
  insufficient_quota: { title: "The budget is used up", advice: "Wait until it starts again, or ask for a higher one. The Keys page shows what is left." },
  context_length_exceeded: { title: "The conversation is too long for this model", advice: "Start a new chat, or choose a model with a larger context." },
  upstream_unreachable: { title: "The provider could not be reached", advice: "Try again in a moment. The System page shows the backends." },
  upstream_timeout: { title: "The provider did not answer in time", advice: "Try again, or choose another model." },
  usage_store_full: { title: "The gateway cannot record requests", advice: "Its disk is full, or its tables are away: see the System page." },
};

function byStatus(status: number): Words {
  if (status === 0) return { title: "The gateway cannot be reached", advice: "Check that it runs and that you are online, then try again." };
  if (status === 401) return { title: "A key is needed", advice: "Set your key below the model, in the sidebar, and try again." };
  if (status === 403) return { title: "This key may not do that", advice: "Choose a model that the key allows, or use another key." };
  if (status === 413) return { title: "The message is too large", advice: "Attach fewer or smaller files." };
  if (status === 429) return { title: "Too many requests", advice: "The limit lets requests through again soon." };
  if (status >= 500) return { title: "The provider failed", advice: "Try again in a moment." };
  return { title: "The request was refused", advice: "Change what the message says, and send it again." };
}

/** Seconds that a refusal asks to wait. */
function waitOf(headers: Headers | null | undefined): number {
  const ms = Number(headers?.get("retry-after-ms"));
  if (ms > 0) return ms / 1000;
  const seconds = Number(headers?.get("retry-after"));
  return seconds > 0 ? seconds : defaultWait;
}

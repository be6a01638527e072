import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import { keyHeaders } from "./credentials";
import { chatError } from "./errors";
import { messagesFor } from "./history";
import { findRecord } from "./record";
import { chats } from "./store";
import type { Answer, Conversation, Usage } from "./types";

const showEvery = 33; // ms between two updates of what is shown

/** The streams that run, by the id of their answer. */
const running = new Map<string, AbortController>();

/** Stops the stream of an answer, up to the provider; what came stays. */
export const stopAnswer = (answerID: string) => running.get(answerID)?.abort();

export const isRunning = (answerID: string) => running.has(answerID);

/** Asks a model for the answer to a turn and fills it in as it comes. */
export async function streamAnswer(conversation: Conversation, turnID: string, column: number, answer: Answer): Promise<void> {
  const abort = new AbortController();
  running.set(answer.id, abort);
  const growth = new Growth(conversation.id, answer);
  try {
    await receive(parametersFor(conversation, turnID, column, answer.model), growth, abort.signal);
    growth.end({ status: growth.finishReason ? "done" : "interrupted" });
  } catch (error) {
    growth.end(abort.signal.aborted ? { status: "stopped" } : { status: "error", error: chatError(error, growth.begun) });
  } finally {
    running.delete(answer.id);
  }
  await addRecord(conversation.id, answer.id);
}

const recordsSoughtFor = 86_400_000; // ms after an answer

/** Looks up the records of answers that lost their page before they had them. */
export function findMissingRecords(c: Conversation) {
  for (const answer of c.turns.flatMap((t) => t.answers)) {
    const lost = answer.requestID && !answer.recorded && answer.status !== "streaming";
    if (lost && Date.now() - answer.startedAt < recordsSoughtFor) void addRecord(c.id, answer.id);
  }
}

async function addRecord(conversationID: string, answerID: string) {
  const answer = chats.get(conversationID)?.turns.flatMap((t) => t.answers).find((a) => a.id === answerID);
  if (!answer?.requestID) return;
  const recorded = await findRecord(answer.requestID, answer.startedAt);
  if (recorded) chats.updateAnswer(conversationID, answerID, { recorded });
}

function parametersFor(c: Conversation, turnID: string, column: number, model: string): ChatCompletionCreateParamsStreaming {
  const { temperature, maxTokens } = c.settings;
  // OpenAI's reasoning models refuse the older name; other servers know only that.
  const limit = /^(o\d|gpt-5)/.test(model) ? "max_completion_tokens" : "max_tokens";
  return {
    model,
    messages: messagesFor(c, turnID, column),
    stream: true,
    stream_options: { include_usage: true },
    ...(temperature === null ? {} : { temperature }),
    ...(maxTokens === null ? {} : { [limit]: maxTokens }),
  };
}

async function receive(parameters: ChatCompletionCreateParamsStreaming, growth: Growth, signal: AbortSignal) {
  const { default: OpenAI } = await import("openai");
  const { key, headers } = keyHeaders();
  const client = new OpenAI({
    baseURL: `${location.origin}/v1`,
    apiKey: key ?? "none",
    defaultHeaders: key ? headers : { ...headers, Authorization: null },
    dangerouslyAllowBrowser: true, // the key is the user's own, typed into this page
    maxRetries: 0, // a repetition is the user's choice
    timeout: 3_600_000,
  });
  const { data, response } = await client.chat.completions.create(parameters, { signal }).withResponse();
  growth.requestID = response.headers.get("x-request-id");
  for await (const chunk of data) growth.take(chunk);
  signal.throwIfAborted(); // an aborted stream ends without an error
}

/** An answer while it grows. */
class Growth {
  requestID: string | null = null;
  finishReason: string | null = null;
  private text = "";
  private reasoning = "";
  private usage: Usage | null = null;
  private firstAt: number | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly conversationID: string,
    private readonly answer: Answer,
  ) {}

  get begun() {
    return this.firstAt !== null;
  }

  take(chunk: ChatCompletionChunk) {
    const choice = chunk.choices[0];
    const delta = choice?.delta as (ChatCompletionChunk.Choice.Delta & { reasoning_content?: string; reasoning?: string }) | undefined;
    const thought = delta?.reasoning_content ?? delta?.reasoning ?? "";
    const said = delta?.content ?? delta?.refusal ?? "";
    if ((thought || said) && this.firstAt === null) this.firstAt = Date.now();
    this.reasoning += thought;
    this.text += said;
    this.finishReason = choice?.finish_reason ?? this.finishReason;
    if (chunk.usage) this.usage = usageOf(chunk.usage);
    this.timer ??= setTimeout(() => this.show(), showEvery);
  }

  end(change: Partial<Answer>) {
    if (this.timer !== null) clearTimeout(this.timer);
    this.show({ ...change, durationMs: Date.now() - this.answer.startedAt });
  }

  private show(change: Partial<Answer> = {}) {
    this.timer = null;
    chats.updateAnswer(this.conversationID, this.answer.id, {
      text: this.text,
      reasoning: this.reasoning,
      finishReason: this.finishReason,
      usage: this.usage,
      requestID: this.requestID,
      ttftMs: this.firstAt === null ? null : this.firstAt - this.answer.startedAt,
      ...change,
    });
  }
}

function usageOf(usage: NonNullable<ChatCompletionChunk["usage"]>): Usage {
  return {
    prompt: usage.prompt_tokens,
    cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
    completion: usage.completion_tokens,
    reasoning: usage.completion_tokens_details?.reasoning_tokens ?? 0,
  };
}

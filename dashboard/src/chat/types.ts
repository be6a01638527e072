/** A conversation as it is kept in this browser. */

export interface Attachment {
  id: string;
  kind: "image" | "text";
  name: string;
  size: number;
  /** An image's data URL, or a file's text. */
  data: string;
}

/** What an answer used, as the provider reported it in the stream. */
export interface Usage {
  prompt: number;
  cached: number;
  completion: number;
  reasoning: number;
}

/** What the gateway recorded of an answer. It replaces what the page measured itself. */
export interface Recorded {
  id: string;
  costNano: number | null;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  reasoningTokens: number;
  usageSource: string;
  ttftMs: number | null;
  durationMs: number;
  backend: string;
}

export interface ChatError {
  title: string;
  /** The message of the refusal. */
  detail: string;
  /** What to do about it. */
  advice: string;
  status: number;
  code: string | null;
  /** When to try again, in milliseconds since 1970. */
  retryAt: number | null;
}

/** "interrupted": the page or the connection went away in the middle. */
export type AnswerStatus = "streaming" | "done" | "stopped" | "interrupted" | "error";

export interface Answer {
  id: string;
  model: string;
  text: string;
  reasoning: string;
  status: AnswerStatus;
  finishReason: string | null;
  error: ChatError | null;
  startedAt: number;
  ttftMs: number | null;
  durationMs: number | null;
  usage: Usage | null;
  requestID: string | null;
  recorded: Recorded | null;
}

/** One prompt and the answers to it: one, or one of each model side by side. */
export interface Turn {
  id: string;
  text: string;
  attachments: Attachment[];
  answers: Answer[];
  at: number;
}

export interface Settings {
  system: string;
  temperature: number | null;
  maxTokens: number | null;
}

export interface Conversation {
  id: string;
  title: string;
  /** Whether a person gave the title. */
  renamed: boolean;
  models: string[];
  settings: Settings;
  turns: Turn[];
  createdAt: number;
  updatedAt: number;
}

/** What the list of conversations shows and searches. */
export interface Summary {
  id: string;
  title: string;
  updatedAt: number;
  text: string;
}

export const noSettings: Settings = { system: "", temperature: null, maxTokens: null };

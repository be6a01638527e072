import type { ChatCompletionContentPart, ChatCompletionMessageParam } from "openai/resources/chat/completions";
import { splitThinking } from "./thinking";
import type { Attachment, Conversation, Turn } from "./types";

/**
 * The messages that ask for the answer to a turn: all before it, as one column of the
 * answers saw them, and its prompt.
 */
export function messagesFor(c: Conversation, turnID: string, column: number): ChatCompletionMessageParam[] {
  const messages: ChatCompletionMessageParam[] = [];
  if (c.settings.system.trim()) messages.push({ role: "system", content: c.settings.system });
  for (const turn of c.turns) {
    messages.push(prompt(turn));
    if (turn.id === turnID) break;
    const answer = turn.answers[column] ?? turn.answers[0];
    const text = answer ? splitThinking(answer.text).text : "";
    if (text) messages.push({ role: "assistant", content: text });
  }
  return messages;
}

function prompt(turn: Turn): ChatCompletionMessageParam {
  const text = [...turn.attachments.filter((a) => a.kind === "text").map(quoted), turn.text].filter(Boolean).join("\n\n");
  const images = turn.attachments.filter((a) => a.kind === "image");
  if (images.length === 0) return { role: "user", content: text };
  const parts: ChatCompletionContentPart[] = images.map((a) => ({ type: "image_url", image_url: { url: a.data } }));
  return { role: "user", content: text ? [{ type: "text", text }, ...parts] : parts };
}

/** A text file as models read it: fenced, with its name, by a fence that is not in it. */
function quoted(file: Attachment): string {
  let fence = "```";
  while (file.data.includes(fence)) fence += "`";
  return `${file.name}:\n${fence}\n${file.data}\n${fence}`;
}

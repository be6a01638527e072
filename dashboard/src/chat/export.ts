import { splitThinking } from "./thinking";
import type { Conversation } from "./types";

/** A conversation as Markdown that people read. */
export function toMarkdown(c: Conversation): string {
  const parts = [`# ${c.title}`];
  if (c.settings.system.trim()) parts.push(`**System:** ${c.settings.system}`);
  for (const turn of c.turns) {
    const files = turn.attachments.map((a) => `*Attached: ${a.name}*`);
    parts.push(["## You", ...files, turn.text].filter(Boolean).join("\n\n"));
    for (const answer of turn.answers) {
      const note = answer.status === "done" ? "" : `\n\n*(${answer.status})*`;
      parts.push(`## ${answer.model}\n\n${splitThinking(answer.text).text}${note}`);
    }
  }
  return `${parts.join("\n\n")}\n`;
}

/** A conversation as JSON, with all that is kept of it. */
export const toJSON = (c: Conversation) => `${JSON.stringify(c, null, 2)}\n`;

/** A file name made of a title. */
export function fileName(title: string, extension: string): string {
  const plain = title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60);
  return `${plain || "conversation"}.${extension}`;
}

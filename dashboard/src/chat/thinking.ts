/** Some servers send what a model thinks within its answer, between tags. */
const open = "<think>";
const close = "</think>";

/** Splits an answer's text into what was thought and what was said. */
export function splitThinking(text: string): { thinking: string; text: string } {
  const start = text.trimStart();
  if (!start.startsWith(open)) {
    // The beginning of a tag may still be on its way.
    return open.startsWith(start) && start !== "" ? { thinking: "", text: "" } : { thinking: "", text };
  }
  const end = start.indexOf(close);
  if (end < 0) return { thinking: start.slice(open.length), text: "" };
  return { thinking: start.slice(open.length, end).trim(), text: start.slice(end + close.length).trimStart() };
}

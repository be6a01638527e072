/**
 * Splits Markdown into blocks that can be parsed by themselves, so that only the last
 * one is parsed again while an answer grows. Joined, they are the text.
 */
export function splitBlocks(text: string): string[] {
  // Definitions of links and footnotes reach across blocks.
  if (/^ {0,3}\[[^\]]+\]:/m.test(text)) return [text];
  const blocks: string[] = [];
  let block = "";
  let fence: string | null = null;
  let blank = false;
  for (const line of text.split(/(?<=\n)/)) {
    if (blank && fence === null && startsBlock(line)) {
      blocks.push(block);
      block = "";
    }
    fence = fenceAfter(line, fence);
    blank = line.trim() === "";
    block += line;
  }
  if (block) blocks.push(block);
  return blocks;
}

/** Whether a line after a blank one can only begin something new: no list item, nothing indented. */
const startsBlock = (line: string) => line.trim() !== "" && !/^(\s|[-*+](\s|$)|\d{1,9}([.)](\s|$)|$)|>|<)/.test(line);

/** The fence that is open after a line: of code, or of a formula. */
function fenceAfter(line: string, fence: string | null): string | null {
  const mark = /^\s*(`{3,}|~{3,}|\$\$)/.exec(line)?.[1];
  if (!mark) return fence;
  if (fence === null) {
    return mark === "$$" && line.trim().length > 2 && line.trim().endsWith("$$") ? null : mark;
  }
  const closes = mark[0] === fence[0] && mark.length >= fence.length && line.trim() === mark;
  return closes || (fence === "$$" && mark === "$$") ? null : fence;
}

/** How a table for spreadsheets is written: some of them want semicolons, and commas in numbers. */
export type Separator = "," | ";";

type Cell = string | number | boolean | null;

/** A table for spreadsheets: with a byte order mark, and nothing in it runs as a formula. */
export function toCSV(rows: readonly (readonly Cell[])[], separator: Separator = ","): string {
  return `\uFEFF${rows.map((row) => row.map((value) => cell(value, separator)).join(separator)).join("\r\n")}\r\n`;
}

function cell(value: Cell, separator: Separator): string {
  if (value === null || value === "") return "";
  const text = String(value);
  if (isNumber(text)) return separator === ";" ? text.replace(".", ",") : text;
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",;\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

const isNumber = (text: string) => /^-?\d+(\.\d+)?$/.test(text);

/** The cells of a table as RFC 4180 has it. */
export function parseCSV(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain, end] of text.replace(/^\uFEFF/, "").matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    if (end === "" && row.length === 0 && !quoted && !plain) break; // behind the last line
    row.push(quoted?.replaceAll('""', '"') ?? plain ?? "");
    if (end === ",") continue;
    rows.push(row);
    row = [];
    if (end === "") break;
  }
  return rows;
}

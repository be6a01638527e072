import { expect, test } from "vitest";
import { parseCSV, toCSV } from "./csv";

const rows = [
  ["model", "cost", "note"],
  ["gpt", 0.25, 'a "b", c'],
  ["=SUM(A1)", -1.5, "two\nlines"],
  ["x;y", null, ""],
];

test("formulas are texts, numbers are numbers, and what separates is quoted", () => {
  expect(toCSV(rows)).toBe('\uFEFFmodel,cost,note\r\ngpt,0.25,"a ""b"", c"\r\n\'=SUM(A1),-1.5,"two\nlines"\r\n"x;y",,\r\n');
});

test("spreadsheets that want semicolons also want commas in numbers", () => {
  expect(toCSV([["gpt", 0.25, "1.5 of it"]], ";")).toBe("\uFEFFgpt;0,25;1.5 of it\r\n");
});

test("a table is read back as it was written", () => {
  expect(parseCSV(toCSV(rows))).toEqual([
    ["model", "cost", "note"],
    ["gpt", "0.25", 'a "b", c'],
    ["'=SUM(A1)", "-1.5", "two\nlines"],
    ["x;y", "", ""],
  ]);
  expect(parseCSV("a,b\n,\n")).toEqual([["a", "b"], ["", ""]]);
  expect(parseCSV("")).toEqual([]);
});

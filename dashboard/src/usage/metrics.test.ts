import { expect, test } from "vitest";
import { changeOf } from "./metrics";

test.each([
  [118, 100, { text: "+18%", up: true }],
  [97.5, 100, { text: "-2.5%", up: false }],
  [5000, 10, { text: "500 ×", up: true }],
  [5, 0, null],
  [7, 7, null],
])("%d after %d", (now, before, want) => expect(changeOf(now, before)).toEqual(want));

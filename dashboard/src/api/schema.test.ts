// @vitest-environment node
import { readFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";
import { expect, test } from "vitest";

test("the types are those of the OpenAPI document: run `make docs`", async () => {
  const document = new URL("../../../docs/openapi.json", import.meta.url);
  const types = astToString(await openapiTS(document));
  expect(readFileSync(new URL("./schema.ts", import.meta.url), "utf8")).toContain(types);
});

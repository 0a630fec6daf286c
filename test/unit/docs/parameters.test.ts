/** docs/parameters.md is what the list of parameters makes of it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PARAMETERS_FILE, parametersMarkdown } from "../../../docs/parameters.ts";

test("docs/parameters.md is what docs/parameters.ts makes of the parameters", () => {
  assert.equal(
    readFileSync(PARAMETERS_FILE, "utf8"),
    parametersMarkdown(),
    "run: npx node docs/parameters.ts",
  );
});

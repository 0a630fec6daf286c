/** docs/errors.md is what the fault table makes of it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { FAULTS } from "../../../consensus/primitives/faults.ts";
import { ERRORS_FILE, errorsMarkdown } from "../../../docs/errors.ts";

test("docs/errors.md is what docs/errors.ts makes of the fault table", () => {
  assert.equal(readFileSync(ERRORS_FILE, "utf8"), errorsMarkdown(), "run: npx node docs/errors.ts");
});

test("every fault has a line in docs/errors.md", () => {
  const text = errorsMarkdown();
  assert.deepEqual(
    Object.keys(FAULTS).filter((code) => !text.includes(`| \`${code}\` |`)),
    [],
  );
});

test("no two faults have one number", () => {
  const numbers = Object.values(FAULTS).map(([number]) => number);
  assert.equal(new Set(numbers).size, numbers.length);
});

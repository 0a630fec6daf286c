import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const protocol = readFileSync(join(import.meta.dirname, "../../../docs/protocol.md"), "utf8");
const rules = protocol.slice(protocol.indexOf("## Entering a view"), protocol.indexOf("## Epochs"));
const titles = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".test.ts"))
  .flatMap((file) => {
    const text = readFileSync(join(import.meta.dirname, file), "utf8");
    return [...text.matchAll(/^test\("([^"]+)"/gm)].map((match) => match[1] ?? "");
  });

test("every rule of the protocol document has a test that names its label", () => {
  const letters = [...rules.matchAll(/\*\*([PNLF]\d?)\*\*/g)].map((match) => match[1] ?? "");
  const names = [...rules.matchAll(/^_([A-Z][a-z ]+)_/gm)].map((match) => match[1] ?? "");
  assert.equal(letters.length, 15);
  assert.equal(names.length, 7);
  const untested = [...letters, ...names].filter(
    (label) => !titles.some((title) => title.startsWith(`${label}: `)),
  );
  assert.deepEqual(untested, []);
});

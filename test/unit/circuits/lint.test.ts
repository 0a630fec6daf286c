/** What no circuit may contain: the constructions behind most known circom bugs. */

import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../../circuits/", import.meta.url));

/** Findings in a circuit's text, comments and strings aside. */
function lint(source: string): string[] {
  const code = source.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g, "");
  const findings: string[] = [];
  // Comparators of circomlib say nothing about operands they were not made for.
  for (const [name] of code.matchAll(/\b(LessThan|LessEqThan|GreaterThan|GreaterEqThan|Sign)\b/g)) {
    findings.push(`${name} on values without a range`);
  }
  // An assert is a note to the witness generator: a prover has its own generator.
  if (/\bassert\s*\(/.test(code)) findings.push("assert is no constraint");
  // 254 bits hold numbers above the field's order: two decompositions of one element.
  for (const [, bits = ""] of code.matchAll(/\b(?:Num2Bits|Bits2Num)\((\d+)\)/g)) {
    if (Number(bits) > 252) findings.push(`a decomposition into ${bits} bits is not unique`);
  }
  // A hint must be constrained in the same template.
  for (const template of code.split(/\btemplate\b/).slice(1)) {
    for (const [, signal = ""] of template.matchAll(/(\w+)(?:\[[^\]]*\])*\s*<--/g)) {
      const after = template.slice(template.indexOf("<--"));
      const constrained = constraintsOf(after).some((text) => new RegExp(`\\b${signal}\\b`).test(text));
      if (!constrained) findings.push(`${signal} is assigned and never constrained`);
    }
    if (/-->/.test(template)) findings.push("--> assigns without a constraint");
  }
  return findings;
}

/** The texts of constraints, with the variables that they use written out as far as they are summed up. */
function constraintsOf(code: string): string[] {
  const sums = new Map<string, string>();
  for (const [, variable = "", value = ""] of code.matchAll(/(\w+)\s*\+?=(?!=)\s*([^;]*);/g)) {
    sums.set(variable, `${sums.get(variable) ?? ""} ${value}`);
  }
  return [...code.matchAll(/[^;{}]*(?:===|<==)[^;]*;/g)].map(([text]) =>
    [text, ...[...text.matchAll(/\w+/g)].map(([word]) => sums.get(word) ?? "")].join(" "),
  );
}

test("no circuit uses what the lint forbids", () => {
  const files = globSync("**/*.circom", { cwd: folder });
  assert.ok(files.length >= 6);
  for (const file of files) assert.deepEqual(lint(readFileSync(join(folder, file), "utf8")), [], file);
});

test("every circuit file states its version, and includes only what exists beside it or in circomlib", () => {
  for (const file of globSync("**/*.circom", { cwd: folder })) {
    const text = readFileSync(join(folder, file), "utf8");
    assert.match(text, /^pragma circom 2\.2\.0;$/m, file);
    for (const [, target = ""] of text.matchAll(/^\s*include\s+"([^"]+)"/gm)) {
      assert.match(target, /^(circomlib\/circuits\/(poseidon|bitify|comparators)|[./a-z-]+)\.circom$/, file);
    }
  }
});

test("the lint finds a bare comparator, an assert, a wide decomposition and a free hint", () => {
  const bad = `template T() { signal input a; signal output b; b <-- a * 2; assert(b > a);
    component l = LessThan(8); component n = Num2Bits(254); }`;
  assert.deepEqual(lint(bad), [
    "LessThan on values without a range",
    "assert is no constraint",
    "a decomposition into 254 bits is not unique",
    "b is assigned and never constrained",
  ]);
  assert.deepEqual(lint("template T() { b <-- a * 2; b === a + a; }"), []);
  assert.deepEqual(lint("template T() { b <-- a; left += b * 2; left === a; } // assert(LessThan)"), []);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { MUTANTS, violationOf } from "./mutants.ts";

test("the unchanged engine passes where the mutants fail", async () => {
  const scenarios = new Set(MUTANTS.flatMap((it) => it.scenarios.split(",")));
  assert.equal(await violationOf(undefined, [...scenarios].join(","), 2), undefined);
});

for (const mutant of MUTANTS) {
  test(`without rule ${mutant.rule}, the simulator finds a violation`, async () => {
    assert.notEqual(await violationOf(mutant, mutant.scenarios), undefined);
  });
}

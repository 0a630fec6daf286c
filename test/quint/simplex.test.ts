import assert from "node:assert/strict";
import { test } from "node:test";
import { runModel } from "./quint.ts";
import { replay } from "./replay.ts";

test("with every rule and one Byzantine of four, whatever happens is safe, and the engine does the same", async () => {
  const { violated, traces } = await runModel({
    rules: "correct",
    step: "step",
    seed: 1,
    samples: 100,
    traces: 25,
  });
  assert.equal(violated, false);
  assert.equal(traces.length, 25);
  for (const trace of traces) replay(trace);
});

test("guided runs all reach two finalizations, are safe, and the engine does the same", async () => {
  const { violated, twoFinalPercent, traces } = await runModel({
    rules: "correct",
    step: "calm",
    seed: 1,
    samples: 60,
    traces: 25,
  });
  assert.equal(violated, false);
  assert.equal(twoFinalPercent, 100);
  for (const trace of traces) replay(trace);
});

const MUTANTS = [
  { rules: "withoutL", what: "rule L", step: "step", samples: 200 },
  { rules: "withoutF3", what: "rule F3", step: "step", samples: 100 },
  { rules: "withoutN4", what: "rule N4", step: "calm", samples: 100 },
  { rules: "twoByzantine", what: "more than two thirds honest", step: "calm", samples: 100 },
] as const;

for (const { what, ...run } of MUTANTS) {
  test(`without ${what} the model breaks`, async () => {
    assert.equal((await runModel({ ...run, seed: 1 })).violated, true);
  });
}

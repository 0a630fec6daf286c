/** A sample of seeds for each scenario; `npm run test:long` and `npm run sim` run thousands. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runScenario } from "./run.ts";
import { SCENARIOS } from "./scenarios.ts";

const { SIM_SEEDS, SIM_FIRST_SEED } = process.env;
const SEEDS = Number(SIM_SEEDS ?? 5);
const first = Number(SIM_FIRST_SEED ?? 1);

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  test(`every run of ${name} is safe and goes on`, () => {
    const seeds = scenario.slow === true ? Math.ceil(SEEDS / 5) : SEEDS;
    for (let seed = first; seed < first + seeds; seed++) {
      const { violations } = runScenario(scenario, seed);
      assert.deepEqual(violations, [], `replay: npm run sim -- --scenario ${name} --seed ${seed}`);
    }
  });
}

test("a block is final three link delays after its proposal, and the next one comes after two", () => {
  const scenario = SCENARIOS["all-online"];
  assert.ok(scenario !== undefined);
  for (const nodes of [4, 7, 31]) {
    const { finalityDelta, intervalDelta } = runScenario({ ...scenario, nodes, healMs: 1500, grows: 3 }, 1);
    assert.equal(finalityDelta, 3, `${nodes} validators`);
    assert.equal(intervalDelta, 2, `${nodes} validators`);
  }
});

test("one seed is one history", () => {
  const scenario = SCENARIOS["crash-matrix"];
  assert.ok(scenario !== undefined);
  assert.deepEqual(runScenario(scenario, 42), runScenario(scenario, 42));
});

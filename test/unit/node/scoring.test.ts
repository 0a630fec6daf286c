/** Scores made ahead: the very same as the transition's own, used only for the very same input. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { scoreInputOf } from "../../../consensus/state/settle-epoch.ts";
import { stateRoot } from "../../../consensus/state/state.ts";
import { applyBlock, type Parent } from "../../../consensus/state/transition.ts";
import { type ScoreInput, scoreRound } from "../../../consensus/work/score.ts";
import { silentLog } from "../../../node/log.ts";
import { createScoring } from "../../../node/scoring.ts";
import { createChain, EPOCH, genesisLink, type Link, playEpoch, unwrap } from "../../helpers/chain.ts";
import { until } from "./samples.ts";

const chain = createChain({ tasks: 2 });
const last = playEpoch(chain, genesisLink(chain));
const links: Link[] = [];
for (let at: Link | undefined = last; at?.block !== undefined; at = at.parent) links.unshift(at);
const before = links[EPOCH - 2];
assert.ok(
  before !== undefined && last.block !== undefined && last.receipt?.epoch?.rounds[0]?.stepped === true,
);
const parent: Parent = before;
const { block } = last;

function create(t: TestContext) {
  const scoring = createScoring({ log: silentLog });
  t.after(() => scoring.stop());
  return scoring;
}
const inputs = [0, 1].map((index): ScoreInput => {
  const input = scoreInputOf(before.state, index);
  assert.ok(input !== undefined);
  return input;
});

test("a block that settles an epoch leaves the same state with scores made ahead and without", async (t) => {
  const scoring = create(t);
  for (const { state } of links) scoring.prepare(state, chain.params);
  await until(() => scoring.known() === 2, "two rounds are scored", 20_000);
  const [ahead, alone] = [scoring.score, undefined].map((score) =>
    unwrap(applyBlock(parent, block, chain.params, score)),
  );
  assert.ok(ahead !== undefined && alone !== undefined);
  assert.deepEqual(scoring.counts(), { ahead: 2, computed: 0 });
  assert.deepEqual(stateRoot(ahead.state), stateRoot(alone.state));
  assert.deepEqual(ahead.receipt, alone.receipt);
});

test("what was not scored ahead is computed, to the same state", (t) => {
  const scoring = create(t);
  const applied = unwrap(applyBlock(parent, block, chain.params, scoring.score));
  assert.deepEqual(stateRoot(applied.state), stateRoot(last.state));
  assert.deepEqual(scoring.counts(), { ahead: 0, computed: 2 });
});

test("a score made ahead is never that of any other input", async (t) => {
  const scoring = create(t);
  for (const { state } of links) scoring.prepare(state, chain.params);
  await until(() => scoring.known() === 2, "two rounds are scored", 20_000);
  const [input] = inputs;
  assert.ok(input !== undefined);
  const { rows, gradients, model } = input;
  const [gradient = []] = gradients;
  const others: ScoreInput[] = [
    { ...input, model: model.with(0, (model[0] ?? 0) + 1) },
    { ...input, gradients: gradients.with(0, gradient.with(0, (gradient[0] ?? 0) + 1)) },
    { ...input, gradients: gradients.slice(1) },
    { ...input, gradients: gradients.toReversed() },
    { ...input, rows: { ...rows, y: rows.y.map((label) => 1 - label) } },
    { ...input, rows: { ...rows, x: rows.x.map((value) => -value) } },
    { ...input, normBound: input.normBound - 1n },
    { ...input, seed: input.seed.map((byte) => byte ^ 1) },
    { ...input, rate: { ...input.rate, shift: input.rate.shift + 1 } },
    { ...input, rate: { ...input.rate, numerator: input.rate.numerator + 1 } },
    { ...input, weight: input.weight + 1 },
    { ...input, rowsPerGradient: input.rowsPerGradient + 1 },
  ];
  for (const other of others) assert.deepEqual(scoring.score(other), scoreRound(other));
  assert.equal(scoring.counts().ahead, 0);
  assert.deepEqual(scoring.score(input), scoreRound(input));
  assert.equal(scoring.counts().ahead, 1);
});

test("nothing is begun before the slices are open, nor twice", async (t) => {
  const scoring = create(t);
  for (let i = 0; i < 3; i++) for (const { state } of links) scoring.prepare(state, chain.params);
  await until(() => scoring.known() === 2, "two rounds are scored", 20_000);
  assert.equal(scoring.begun(), 2);
});

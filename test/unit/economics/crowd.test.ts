/** An epoch of more pods than one step of the settlement takes: each is counted, drawn and paid back all the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { getDataset } from "../../../consensus/state/maps.ts";
import { ENROLLMENTS_AT_ONCE, StateType, stateRoot } from "../../../consensus/state/state.ts";
import { SELECTOR } from "../../../consensus/types/transaction.ts";
import { generatedPool, honest } from "../../simulate/populations.ts";
import { createWorld, podIdOf, rootOfPod } from "../../simulate/world.ts";

const TASKS = 2;
const NAMES = Array.from({ length: ENROLLMENTS_AT_ONCE + 6 }, (_, i) => `pod-${i}`);

function start() {
  const accounts = Object.fromEntries(NAMES.map((name) => [name, 1_000]));
  const world = createWorld({ accounts: { ...accounts, sponsor: 10_000 } });
  for (const name of NAMES) world.addPod(name, honest(), { bond: BigInt(TASKS) * world.params.bondUnit });
  for (let i = 0; i < TASKS; i++) {
    const task = world.addTask("sponsor", generatedPool(`crowd/${i}`, 32, 2), { lead: 2, rounds: 8 });
    for (const name of NAMES) assert.equal(world.enroll(name, task), undefined);
  }
  world.epoch();
  world.epoch();
  return world;
}
/** Of a state whose parts were hashed in steps, and of the same bytes read anew. */
const sameRoots = ({ state }: ReturnType<typeof start>): void =>
  assert.deepEqual(stateRoot(state), StateType.deserializeToView(state.serialize()).hashTreeRoot());

test("contributions of a crowd are counted once, for their pods and for their batches", () => {
  const world = start();
  const receipt = world.epoch();
  const all = receipt.rounds.flatMap(({ contributions }) => contributions);
  assert.equal(all.length, TASKS * Number(world.params.slotsPerTask));
  for (const name of NAMES) {
    const own = all.filter(({ podId }) => world.same(podId, podIdOf(name)));
    const { accepted, rejected, settledQuality } = world.pod(name);
    const paid = own.filter(({ fate }) => fate === "paid" || fate === "merged").length;
    assert.deepEqual([accepted, rejected], [paid, own.length - paid]);
    assert.equal(
      settledQuality,
      own.reduce((sum, { quality }) => sum + quality, 0n),
    );
    const uses = getDataset(world.state, rootOfPod(name))?.uses ?? [];
    assert.equal(
      [...uses].reduce((sum, count) => sum + count, 0),
      own.length,
    );
  }
  world.checkSupply();
  sameRoots(world);
});

test("a bond that returns ends its pod's enrollments, and the others' stay in their order", () => {
  const world = start();
  const leaving = ["pod-0", "pod-40", NAMES.at(-1) ?? ""];
  for (const name of leaving)
    world.must(name, { selector: SELECTOR.podExit, value: { podId: podIdOf(name) } });
  const staying = NAMES.filter((name) => !leaving.includes(name));
  for (let epoch = 0; epoch <= Number(world.params.podEvidenceEpochs); epoch++) {
    world.epoch();
    sameRoots(world);
  }
  assert.equal(world.state.exits.length, 0);
  for (let i = 0; i < TASKS; i++) {
    const left = world.state.tasks.getReadonly(i).enrollments.getAllReadonly();
    assert.deepEqual(
      left.map((enrollment) => world.podName(enrollment.toValue().podId)),
      staying,
    );
  }
  world.checkSupply();
});

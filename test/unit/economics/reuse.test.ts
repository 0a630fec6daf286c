/** A batch is used R times in all: what a root's privacy is worth does not grow with the number of its tasks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { zkp } from "../../../consensus/primitives/units.ts";
import { generatedPool, honest } from "../../simulate/populations.ts";
import { createWorld, podIdOf } from "../../simulate/world.ts";

test("a root in three tasks at once gives each of its batches R times and no more", () => {
  const [reuse, tasks, batches] = [4, 3, 2];
  const world = createWorld({
    params: { batchReuseMax: String(reuse) },
    accounts: { sponsor: 10_000, pod: 1_000 },
  });
  world.addPod("pod", honest(), { bond: BigInt(tasks) * world.params.bondUnit, batches });
  for (let i = 0; i < tasks; i++) {
    const pool = generatedPool(`reuse/${i}`, 32, 2);
    const task = world.addTask("sponsor", pool, { lead: 2, rounds: 12, roundPay: zkp(1) });
    assert.equal(world.enroll("pod", task), undefined);
  }
  const used = new Map<number, number>();
  for (let epoch = 0; epoch < 10; epoch++) {
    for (let i = 0; i < tasks; i++) {
      for (const { podId, batchIndex } of world.state.rounds.getReadonly(i).slots.getAllReadonly()) {
        assert.ok(world.same(podId, podIdOf("pod")));
        used.set(batchIndex, (used.get(batchIndex) ?? 0) + 1);
      }
    }
    assert.deepEqual(world.epoch().refused, []);
  }
  assert.deepEqual([...used.values()], [reuse, reuse]);
});

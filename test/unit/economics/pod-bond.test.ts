/** A pod's bond is filled up again after a penalty, and grows; the supply account adds up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Amount, zkp } from "../../../consensus/primitives/units.ts";
import { SELECTOR } from "../../../consensus/types/transaction.ts";
import { generatedPool, honest } from "../../simulate/populations.ts";
import { createWorld, podIdOf } from "../../simulate/world.ts";

function start() {
  const world = createWorld({ accounts: { sponsor: 10_000, pod: 1_000, other: 1_000 } });
  world.addPod("pod", honest(), { batches: 16 });
  world.addPod("other", honest());
  const task = world.addTask("sponsor", generatedPool("bond", 32, 2), {
    lead: 2,
    rounds: 12,
    roundPay: zkp(1),
  });
  for (const pod of ["pod", "other"]) assert.equal(world.enroll(pod, task), undefined);
  world.epoch();
  world.epoch();
  const topUp = (from: string, amount: bigint) =>
    world.send(from, {
      selector: SELECTOR.podTopUp,
      value: { podId: podIdOf("pod"), amount: Amount(amount) },
    });
  const slots = () =>
    world.state.rounds
      .getReadonly(0)
      .slots.getAllReadonly()
      .filter(({ podId }) => world.same(podId, podIdOf("pod"))).length;
  return { world, task, topUp, slots, unit: world.params.bondUnit };
}

test("a pod whose bond was cut gets no slot, and one again from the draw after a top-up", () => {
  const { world, topUp, slots, unit } = start();
  const places = world.state.rounds.getReadonly(0).slots.getAllReadonly();
  const lie = world.submissionFor(
    0,
    places.findIndex(({ podId }) => world.same(podId, podIdOf("pod"))),
  );
  assert.ok(lie !== undefined);
  world.must("other", { selector: SELECTOR.podEvidence, value: { submission: lie } });
  world.epoch();
  assert.equal(slots(), 0);
  assert.equal(topUp("pod", unit / 10n), undefined);
  assert.equal(world.pod("pod").bond, unit);
  world.checkSupply();
  assert.equal(slots(), 0, "not in a round that is drawn already");
  world.epoch();
  assert.equal(slots(), 1);
});

test("a second unit gives room for a second slot", () => {
  const { world, topUp, unit } = start();
  const second = world.addTask("sponsor", generatedPool("bond/2", 32, 2), { lead: 2 });
  assert.equal(world.enroll("pod", second)?.code, "pod/slots-exceed-bond");
  assert.equal(topUp("pod", unit), undefined);
  assert.equal(world.enroll("pod", second), undefined);
});

test("it is refused to strangers, past the largest bond, of nothing, of what there is not, and on the way out", () => {
  const { world, topUp } = start();
  assert.equal(topUp("other", 1n)?.code, "transaction/sender-not-allowed");
  assert.equal(topUp("pod", 0n)?.code, "transaction/amount-zero");
  assert.equal(topUp("pod", zkp(100_000))?.code, "transaction/balance-low");
  assert.equal(topUp("pod", world.params.bondMax)?.code, "transaction/operation-invalid");
  const nobody = { podId: podIdOf("nobody"), amount: Amount(1n) };
  assert.equal(world.send("pod", { selector: SELECTOR.podTopUp, value: nobody })?.code, "pod/unknown");
  world.must("pod", { selector: SELECTOR.podExit, value: { podId: podIdOf("pod") } });
  assert.equal(topUp("pod", 1n)?.code, "pod/exiting");
});

/** What `zkp pod explain` prints is what the chain paid, made again from its factors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "../../../consensus/primitives/bytes.ts";
import { zkp } from "../../../consensus/primitives/units.ts";
import { type RoundRewards, receiptOps, rewardOf, roundKey } from "../../../node/receipts.ts";
import { explainProof } from "../../../pod/explain.ts";
import { METHODS } from "../../../rpc/methods.ts";
import { createChain, genesisLink, playEpoch } from "../../helpers/chain.ts";
import { exactCopy, generatedPool, honest, labelFlip } from "../../simulate/populations.ts";
import { createWorld, podIdOf } from "../../simulate/world.ts";

type Epoch = ReturnType<ReturnType<typeof createWorld>["epoch"]>;

/** Every proof of the epoch, as the node tells of it: schema included. */
function explained(world: ReturnType<typeof createWorld>, epoch: Epoch) {
  const { state } = world;
  const template = genesisLink(createChain());
  const receipt = { transactions: [], submissions: [], epoch };
  const ops = receiptOps({
    hash: template.hash,
    height: state.height,
    block: undefined,
    state,
    set: template.set,
    receipt,
  });
  return epoch.rounds.flatMap(({ task, epoch: roundEpoch, contributions }) =>
    contributions.map(({ nullifier, amount, slot, podId }) => {
      const op = ops.find(
        (it) =>
          it.kind === "record" && it.namespace === "rewards" && it.key === roundKey(toHex(task), roundEpoch),
      );
      assert.ok(op?.kind === "record");
      const status = METHODS.proof_get.result.parse({
        id: toHex(nullifier),
        stage: amount > 0n ? "rewarded" : "scored",
        task: toHex(task),
        epoch: "2",
        slot,
        podId: toHex(podId),
        height: "30",
        reward: rewardOf(op.value as unknown as RoundRewards, toHex(nullifier)),
      });
      const { amount: made, lines } = explainProof(status);
      return { amount, made, text: lines.join("\n") };
    }),
  );
}

function start(publicTask: boolean) {
  const world = createWorld({ accounts: { sponsor: 1_000, a: 100, b: 100, c: 100, liar: 100 } });
  for (const pod of ["a", "b", "c"]) world.addPod(pod, honest());
  world.addPod("liar", labelFlip());
  const task = world.addTask("sponsor", generatedPool("explain", 16, 2), { lead: 2, roundPay: zkp(2) });
  if (publicTask) world.approve(task);
  for (const pod of ["a", "b", "c", "liar"]) assert.equal(world.enroll(pod, task), undefined);
  world.epoch();
  world.epoch();
  return world;
}

for (const publicTask of [true, false]) {
  test(`every amount of a ${publicTask ? "public" : "sponsored"} round follows from its factors`, () => {
    const world = start(publicTask);
    const proofs = explained(world, world.epoch());
    assert.equal(proofs.length, 4);
    assert.ok(proofs.some(({ amount }) => amount > 0n));
    for (const { amount, text, made } of proofs) {
      assert.equal(made, amount);
      assert.doesNotMatch(text, /do not agree/);
    }
    const paid = proofs.find(({ amount }) => amount > 0n)?.text ?? "";
    assert.match(paid, publicTask ? /public lane/ : /9\/10 of the 0\.6 ZKP/);
    assert.match(paid, /spendable from epoch/);
    assert.ok(proofs.some(({ text }) => /screened-out/.test(text)));
  });
}

test("so does a part of what a sponsor forfeits", () => {
  const world = start(false);
  const proofs = explained(world, world.epoch({ reveals: () => false }));
  for (const { amount, text, made } of proofs) {
    assert.equal(made, amount);
    assert.equal(amount, (zkp(2) + zkp(4) / 2n) / 4n);
    assert.match(text, /no-reveal/);
    assert.match(text, /forfeit {2}⌊/);
  }
});

test("a copy that came first is told why it was paid nothing, in a scored round and in a forfeited one", () => {
  for (const revealed of [true, false]) {
    const world = createWorld({ accounts: { sponsor: 1_000, a: 100, b: 100, copier: 100 } });
    for (const pod of ["a", "b"]) world.addPod(pod, honest(), { batches: 1 });
    world.goTo(2);
    world.addPod("copier", exactCopy("a"), { batches: 1 });
    const task = world.addTask("sponsor", generatedPool("explain", 16, 2), {
      lead: 2,
      rounds: 8,
      roundPay: zkp(2),
    });
    for (const pod of ["a", "b", "copier"]) assert.equal(world.enroll(pod, task), undefined);
    world.epoch();
    world.epoch();
    let texts: string[] = [];
    for (let i = 0; i < 6 && texts.length === 0; i++) {
      const slots = world.state.rounds.getReadonly(0).slots.getAllReadonly();
      // The order of sending is that of the slots.
      const at = (name: string) => slots.findIndex(({ podId }) => world.same(podId, podIdOf(name)));
      if (at("copier") > at("a")) {
        world.epoch();
        continue;
      }
      const proofs = explained(world, world.epoch({ reveals: () => revealed }));
      for (const { amount, made, text } of proofs) {
        assert.equal(made, amount);
        assert.doesNotMatch(text, /do not agree/);
      }
      texts = proofs.filter(({ text }) => /copy:/.test(text)).map(({ text }) => text);
    }
    assert.equal(texts.length, 1);
    assert.match(texts[0] ?? "", /whose root is older/);
  }
});

test("a proof that waits has a life and no arithmetic yet", () => {
  const chain = createChain();
  const { receipt } = playEpoch(chain, genesisLink(chain));
  const nullifier = receipt?.epoch?.rounds[0]?.contributions[0]?.nullifier ?? new Uint8Array(32);
  const id = toHex(nullifier);
  const waiting = explainProof({ id, stage: "pooled", task: id, epoch: "0", slot: 0, podId: id });
  assert.equal(waiting.amount, undefined);
  assert.match(waiting.lines.join("\n"), /pooled/);
});

/** Two pods with the same rows: the one that registered its root first is paid, whoever sends first. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ValidatorIndex, zkp } from "../../../consensus/primitives/units.ts";
import { applySubmission } from "../../../consensus/state/apply-submission.ts";
import type { ContributionReceipt } from "../../../consensus/state/settle-epoch.ts";
import { joined, split } from "../../helpers/outputs.ts";
import { exactCopy, generatedPool, honest } from "../../simulate/populations.ts";
import { createWorld, podIdOf } from "../../simulate/world.ts";

type Order = readonly string[];

/** Owner and two others; the copier registers its root at height `copiedAt`, the owner's is of height 2. */
function start(copiedAt: number) {
  const names = ["owner", "x", "y"];
  const world = createWorld({
    params: { slicesPerRound: "4" },
    accounts: { sponsor: 1_000, copier: 100, ...Object.fromEntries(names.map((name) => [name, 100])) },
  });
  const addCopier = () => world.addPod("copier", exactCopy("owner"), { batches: 1 });
  world.goTo(Math.min(2, copiedAt));
  if (copiedAt < 2) addCopier();
  world.goTo(2);
  for (const name of names) world.addPod(name, honest(), { batches: 1 });
  world.goTo(Math.max(2, copiedAt));
  if (copiedAt >= 2) addCopier();
  const task = world.addTask("sponsor", generatedPool("copies", 32, 2), {
    lead: 2,
    rounds: 8,
    roundPay: zkp(1),
  });
  for (const name of [...names, "copier"]) assert.equal(world.enroll(name, task), undefined);
  world.epoch();
  world.epoch();
  return world;
}

/** One epoch in which pods send in this order: their receipts by name, and who was refused. */
function play(world: ReturnType<typeof start>, order: Order, reveals = true) {
  const context = { params: world.params, proposer: ValidatorIndex(0), place: 1 };
  const slots = world.state.rounds.getReadonly(0).slots.getAllReadonly();
  const refused: string[] = [];
  for (const name of order) {
    const slot = slots.findIndex(({ podId }) => world.same(podId, podIdOf(name)));
    const submission = world.submissionFor(0, slot);
    assert.ok(submission !== undefined, name);
    const result = applySubmission(world.state, submission, context);
    if ("code" in result) {
      assert.equal(result.code, "submission/data-tag-seen");
      refused.push(name);
    }
  }
  world.close();
  world.goTo(Number(world.params.epochHeights) - 1);
  if (reveals) assert.equal(world.reveal(0), undefined);
  const { rounds } = world.settle();
  world.checkSupply();
  const receipts = new Map<string, ContributionReceipt>(
    rounds[0]?.contributions.map((it): [string, ContributionReceipt] => [world.podName(it.podId), it]),
  );
  return { receipts, refused };
}

const COPY_FIRST: Order = ["copier", "x", "y", "owner"];
const OWNER_FIRST: Order = ["owner", "x", "y", "copier"];

describe("a copy of a batch under a younger root", () => {
  test("is refused after its owner's, and not paid before it: both ways all others get the same", () => {
    const without = play(start(3), ["owner", "x", "y"]).receipts;
    const late = play(start(3), OWNER_FIRST);
    const early = play(start(3), COPY_FIRST);
    assert.deepEqual(late.refused, ["copier"]);
    assert.deepEqual(early.refused, []);
    assert.equal(early.receipts.get("copier")?.fate, "copy");
    assert.equal(early.receipts.get("copier")?.amount, 0n);
    for (const name of ["owner", "x", "y"]) {
      const amount = without.get(name)?.amount;
      assert.equal(late.receipts.get(name)?.amount, amount);
      assert.equal(early.receipts.get(name)?.amount, amount);
    }
    assert.ok((without.get("owner")?.amount ?? 0n) > 0n);
  });

  test("is never paid, however the nullifiers of a round are sorted", () => {
    const world = start(3);
    const first = new Set<string>();
    for (let i = 0; i < 6; i++) {
      const { receipts } = play(world, COPY_FIRST);
      assert.equal(receipts.get("copier")?.fate, "copy");
      assert.notEqual(receipts.get("owner")?.fate, "copy");
      first.add([...receipts.keys()].find((name) => name === "owner" || name === "copier") ?? "");
    }
    assert.equal(first.size, 2, "both orders were tried");
  });

  test("has no part in what a sponsor forfeits", () => {
    const { receipts } = play(start(3), COPY_FIRST, false);
    assert.equal(receipts.get("copier")?.forfeited, 0n);
    for (const name of ["owner", "x", "y"])
      assert.equal(receipts.get(name)?.forfeited, (zkp(1) + zkp(2) / 2n) / 3n);
  });

  test("counts against the copier's reputation, not the owner's", () => {
    const world = start(3);
    play(world, COPY_FIRST);
    assert.equal(world.pod("copier").rejected, 1);
    assert.equal(world.pod("owner").rejected, 0);
  });
});

test("the same rows under a root of the same height: who came first stays", () => {
  assert.deepEqual(play(start(2), OWNER_FIRST).refused, ["copier"]);
  assert.deepEqual(play(start(2), COPY_FIRST).refused, ["owner"]);
});

test("whoever registered first has the rows, be it the one that others call the copier", () => {
  const { receipts } = play(start(1), OWNER_FIRST);
  assert.equal(receipts.get("owner")?.fate, "copy");
  assert.ok((receipts.get("copier")?.amount ?? 0n) > 0n);
});

test("a slot takes one answer, also from the older root", () => {
  const world = start(3);
  const context = { params: world.params, proposer: ValidatorIndex(0), place: 1 };
  const slots = world.state.rounds.getReadonly(0).slots.getAllReadonly();
  const slot = slots.findIndex(({ podId }) => world.same(podId, podIdOf("owner")));
  const submission = world.submissionFor(0, slot);
  assert.ok(submission !== undefined);
  assert.ok(!("code" in applySubmission(world.state, submission, context)));
  const again = applySubmission(
    world.state,
    { ...submission, outputs: joined(split(submission.outputs).with(0, new Uint8Array(32))) },
    context,
  );
  assert.ok("code" in again && again.code === "submission/slot-filled");
});

/** Sponsors' tasks: what is refused, how they are funded, approved, closed, and what goes back. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Amount, zkp } from "../../../consensus/primitives/units.ts";
import { LANE } from "../../../consensus/state/state.ts";
import { type Operation, SELECTOR } from "../../../consensus/types/transaction.ts";
import { generatedPool, honest } from "../../simulate/populations.ts";
import { addressOfName, createWorld, fieldBytes, podIdOf, type TaskOptions } from "../../simulate/world.ts";

const ACCOUNTS = { sponsor: 1_000, other: 1_000, a: 100, b: 100, c: 100 };
const pool = generatedPool("tasks", 16, 2);

function start() {
  const world = createWorld({ accounts: ACCOUNTS });
  for (const pod of ["a", "b", "c"]) world.addPod(pod, honest());
  return world;
}

const create = (options: TaskOptions) => {
  const world = start();
  return world.send("sponsor", world.taskOf("sponsor", pool, options).operation)?.code;
};
const changed = (change: Record<string, unknown>) => {
  const world = start();
  const { operation } = world.taskOf("sponsor", pool);
  return world.send("sponsor", { ...operation, value: { ...operation.value, ...change } } as Operation)?.code;
};

describe("a task is refused", () => {
  test("with a bond below twice a round's pay, or a pay below the least", () => {
    assert.equal(create({ roundPay: zkp(5), bond: zkp(10) - 1n }), "task/bond-low");
    assert.equal(create({ roundPay: zkp(1) - 1n }), "task/pay-low");
    assert.equal(create({ roundPay: zkp(5), escrow: zkp(5) - 1n }), "task/pay-low");
    assert.equal(create({ roundPay: zkp(5), escrow: zkp(5) }), undefined);
  });

  test("whose sponsor cannot lay down bond and escrow, even where their sum passes 64 bits", () => {
    assert.equal(create({ roundPay: zkp(100), bond: zkp(500), escrow: zkp(501) }), "transaction/balance-low");
    const most = 2n ** 64n - 1n;
    assert.equal(create({ roundPay: zkp(1), bond: most, escrow: most }), "transaction/balance-low");
    assert.equal(create({ roundPay: most, bond: most, escrow: most }), "task/bond-low");
  });

  test("with a pool too small for its rounds, or none", () => {
    assert.equal(create({ rounds: 9 }), "task/pool-small");
    assert.equal(create({ rounds: 0 }), "transaction/operation-invalid");
    assert.equal(create({ slices: 4_097 }), "transaction/operation-invalid");
  });

  test("with a value that scoring or a reader cannot take", () => {
    const field = "transaction/operation-invalid";
    assert.equal(create({ rate: { numerator: 0, shift: 0 } }), field);
    assert.equal(create({ rate: { numerator: 1, shift: 33 } }), field);
    assert.equal(create({ normBound: 0n }), field);
    assert.equal(create({ name: "" }), field);
    assert.equal(create({ name: "tab\t" }), field);
    assert.equal(create({ lead: 0 }), field);
    assert.equal(create({ lead: 65 }), field);
    assert.equal(create({ model: [0] }), field);
    assert.equal(create({ model: [2 ** 23, 0, 0] }), field);
    assert.equal(create({ model: [2 ** 23 - 1, -(2 ** 23), 0] }), undefined);
    const nan = new Uint8Array(32);
    nan.set([0xf8, 0x7f], 6);
    assert.equal(changed({ standardisation: nan }), field);
    assert.equal(changed({ standardisation: new Uint8Array(16) }), field);
    assert.equal(changed({ shape: new TextEncoder().encode("gradient-8x4") }), "task/shape-unlisted");
    assert.equal(changed({ shape: new Uint8Array(0) }), "task/shape-unlisted");
  });

  test("with a group, until identity proofs are there", () => {
    assert.equal(create({ groupRoot: fieldBytes("group") }), "task/group-unavailable");
  });

  test("beyond sixteen open ones, and taken again when one has ended", () => {
    const world = start();
    const ids = Array.from({ length: 16 }, () => world.addTask("sponsor", pool, { rounds: 1 }));
    const more = () => world.send("sponsor", world.taskOf("sponsor", pool, { rounds: 1 }).operation)?.code;
    assert.equal(more(), "task/limit");
    const [first] = ids;
    assert.ok(first !== undefined);
    world.must("sponsor", { selector: SELECTOR.taskClose, value: { task: first } });
    assert.equal(more(), "task/limit", "it ends with its epoch");
    world.epoch();
    assert.equal(more(), undefined);
    world.checkSupply();
  });
});

describe("money of a task", () => {
  test("leaves the sponsor at once and is shown apart", () => {
    const world = start();
    const before = world.wealth("sponsor");
    world.addTask("sponsor", pool, { roundPay: zkp(5), bond: zkp(11), escrow: zkp(20) });
    // One epoch of lead and four rounds, the default of this test's tasks.
    const place = 5n * world.params.taskPlaceFee;
    assert.equal(before - world.wealth("sponsor"), zkp(31) + place + world.params.feeMin);
    assert.equal(world.state.supply.escrowed, zkp(20));
    world.checkSupply();
  });

  test("is burned for the task's place, by epochs, and does not come back when it ends early", () => {
    const world = start();
    const [burned, before] = [world.state.supply.burned, world.wealth("sponsor")];
    const task = world.addTask("sponsor", pool, { lead: 3, rounds: 7, roundPay: zkp(1) });
    const { taskPlaceFee, feeMin } = world.params;
    assert.equal(world.state.supply.burned - burned, 10n * taskPlaceFee + feeMin / 2n);
    world.must("sponsor", { selector: SELECTOR.taskClose, value: { task } });
    world.epoch();
    assert.equal(before - world.wealth("sponsor"), 10n * taskPlaceFee + 2n * feeMin);
    world.checkSupply();
    const all = before - 2n * feeMin - 10n * taskPlaceFee;
    const escrow = all - zkp(2) - feeMin;
    const short = world.taskOf("sponsor", pool, { lead: 3, rounds: 7, roundPay: zkp(1), escrow });
    assert.equal(world.send("sponsor", short.operation)?.code, "transaction/balance-low");
  });

  test("may come from anybody, and what is unpaid returns whole to the sponsor", () => {
    const world = start();
    const task = world.addTask("sponsor", pool, { rounds: 2, roundPay: zkp(5), escrow: zkp(10) });
    const fund = (amount: bigint) =>
      world.send("other", { selector: SELECTOR.taskFund, value: { task, amount: Amount(amount) } });
    assert.equal(fund(zkp(7)), undefined);
    assert.equal(fund(0n)?.code, "transaction/amount-zero");
    assert.equal(fund(zkp(10_000))?.code, "transaction/balance-low");
    assert.equal(world.task(task).escrow, zkp(17));
    const before = world.wealth("sponsor");
    for (let epoch = 0; epoch < 3; epoch++) world.epoch();
    // Nobody was enrolled: nothing was paid, so all of it and the bond is back, less two reveals' fees.
    assert.equal(world.wealth("sponsor") - before, zkp(17) + zkp(10) - 2n * world.params.feeMin);
    assert.equal(world.state.supply.escrowed, 0n);
    assert.equal(fund(zkp(1))?.code, "task/closed");
    world.checkSupply();
  });

  test("of a task that was closed before its first round goes back at the epoch's end", () => {
    const world = start();
    const task = world.addTask("sponsor", pool, { lead: 5 });
    assert.equal(
      world.send("other", { selector: SELECTOR.taskClose, value: { task } })?.code,
      "transaction/sender-not-allowed",
    );
    world.must("sponsor", { selector: SELECTOR.taskClose, value: { task } });
    assert.ok(world.task(task).escrow > 0n);
    world.epoch();
    assert.deepEqual([world.task(task).escrow, world.task(task).bond], [0n, 0n]);
    world.checkSupply();
  });

  test("that does not pay another round ends the task", () => {
    const world = start();
    const task = world.addTask("sponsor", pool, { rounds: 4, roundPay: zkp(5), escrow: zkp(9), lead: 3 });
    for (const pod of ["a", "b", "c"]) assert.equal(world.enroll(pod, task), undefined);
    for (let epoch = 0; epoch < 4; epoch++) world.epoch();
    assert.equal(world.task(task).lastRound, 3, "one round was paid, and four were asked");
    assert.equal(world.task(task).escrow, 0n);
    assert.equal(world.state.rounds.getReadonly(world.taskIndex(task)).slots.length, 0);
    world.checkSupply();
  });
});

describe("the public lane", () => {
  const lanes = (seats: number) => {
    const world = start();
    const task = world.addTask("sponsor", pool, { lead: 2 });
    world.approve(task, seats);
    assert.equal(world.task(task).lane, LANE.sponsored, "not before the epoch's end");
    world.epoch();
    world.checkSupply();
    return { world, task };
  };

  test("takes a task that more than two thirds approved in one epoch, and refunds its escrow", () => {
    const { world, task } = lanes(3);
    assert.equal(world.task(task).lane, LANE.public);
    assert.equal(world.task(task).escrow, 0n);
    assert.equal(world.task(task).bond, 2n * world.params.roundPayMin, "the bond still answers for reveals");
    const fund: Operation = { selector: SELECTOR.taskFund, value: { task, amount: Amount(1n) } };
    assert.equal(world.send("sponsor", fund)?.code, "task/lane-public");
  });

  test("takes none that two of four approved, nor by votes of two epochs or twice by one", () => {
    const { world, task } = lanes(2);
    assert.equal(world.task(task).lane, LANE.sponsored);
    assert.equal(world.task(task).approvals.length, 0);
    world.must("v2", { selector: SELECTOR.taskApprove, value: { task } });
    world.must("v2", { selector: SELECTOR.taskApprove, value: { task } });
    assert.equal(world.task(task).approvals.length, 1);
    world.epoch();
    assert.equal(world.task(task).lane, LANE.sponsored);
  });

  test("listens to seated validators only", () => {
    const world = start();
    const task = world.addTask("sponsor", pool);
    const approve: Operation = { selector: SELECTOR.taskApprove, value: { task } };
    assert.equal(world.send("sponsor", approve)?.code, "transaction/sender-not-allowed");
  });
});

describe("who may enroll", () => {
  test("is filtered by accepted work and settled quality, which multiply nothing", () => {
    const world = start();
    const first = world.addTask("sponsor", pool, { lead: 3, rounds: 2 });
    assert.equal(world.enroll("a", first), undefined);
    assert.equal(world.enroll("b", first), undefined);
    const picky = world.addTask("sponsor", pool, { lead: 6, rounds: 2, minAccepted: 1 });
    world.must("a", { selector: SELECTOR.podExit, value: { podId: podIdOf("a") } });
    world.addPod("a2", honest(), { owner: "other", bond: 2n * world.params.bondUnit });
    assert.equal(world.enroll("c", picky)?.code, "pod/reputation-low");
    world.must("b", { selector: 1, value: { podId: podIdOf("b2"), bond: Amount(world.params.bondUnit) } });
    for (let epoch = 0; epoch < 4; epoch++) world.epoch();
    assert.ok(world.pod("b").accepted >= 1);
    assert.equal(world.enroll("c", picky)?.code, "pod/reputation-low");
    assert.equal(world.enroll("a", picky)?.code, "pod/exiting");
    const quality = world.addTask("sponsor", pool, {
      lead: 3,
      rounds: 1,
      minQuality: world.pod("b").settledQuality + 1n,
    });
    assert.equal(world.enroll("b", quality)?.code, "pod/reputation-low");
  });
});

test("the sponsor's account is known before the task is, so ids never meet", () => {
  const world = start();
  const one = world.addTask("sponsor", pool);
  const two = world.addTask("sponsor", pool);
  const other = world.addTask("other", pool);
  assert.equal(new Set([one, two, other].map(String)).size, 3);
  assert.deepEqual(world.task(one).sponsor, addressOfName("sponsor"));
});

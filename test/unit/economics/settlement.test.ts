/** What a settlement pays, burns and mints in both lanes, and that nobody gains who should not. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { zkp } from "../../../consensus/primitives/units.ts";
import { splitFee } from "../../../consensus/state/issuance.ts";
import type { EpochReceipt } from "../../../consensus/state/settle-epoch.ts";
import { SELECTOR } from "../../../consensus/types/transaction.ts";
import { generated, generatedPool, honest, labelFlip, zeroGradient } from "../../simulate/populations.ts";
import { createWorld, podIdOf, type World, type WorldOptions } from "../../simulate/world.ts";

const pool = generatedPool("settlement", 64, 2);
const PODS = ["a", "b", "c"];

type Setup = WorldOptions & {
  readonly pods?: readonly string[];
  readonly roundPay?: bigint;
  readonly publicTask?: boolean;
  readonly rounds?: number;
};

/** Tasks whose pods are drawn from the next epoch on. */
function start(setup: Setup = {}) {
  const { pods = PODS, roundPay = zkp(2), publicTask = false, rounds = 4 } = setup;
  const accounts = { sponsor: 100_000, ...Object.fromEntries(pods.map((pod) => [pod, 1_000])) };
  const world = createWorld({ ...setup, accounts: { ...accounts, ...setup.accounts } });
  for (const pod of pods) world.addPod(pod, honest(), { bond: 2n * world.params.bondUnit });
  const task = world.addTask("sponsor", pool, { roundPay, rounds, lead: 2 });
  if (publicTask) world.approve(task);
  for (const pod of pods) assert.equal(world.enroll(pod, task), undefined);
  world.epoch();
  world.epoch();
  return { world, task };
}

const roundOf = (receipt: EpochReceipt, world: World, task: Uint8Array) => {
  const round = receipt.rounds.find((it) => world.same(it.task, task));
  assert.ok(round !== undefined);
  return round;
};

describe("a sponsored round", () => {
  test("burns 30 %, pays validators 5 % and pods 65 % of its pay, and mints nine tenths of the burn", () => {
    const { world, task } = start();
    const before = world.task(task).escrow;
    const { supply } = world.state;
    const [burnedBefore, mintedBefore] = [supply.burned, supply.minted];
    const receipt = world.epoch();
    const { pot, contributions, paid } = roundOf(receipt, world, task);
    assert.equal(pot.lane, "sponsored");
    assert.equal(pot.fee, zkp(2));
    assert.equal(pot.burned, (zkp(2) * 3n) / 10n);
    assert.equal(pot.podsFee, (zkp(2) * 65n) / 100n);
    assert.equal(pot.mint, (pot.burned * 9n) / 10n);
    assert.equal(pot.podsMint, (pot.mint * 72n) / 100n);
    assert.equal(receipt.burned, pot.burned);
    const fees = contributions.reduce((sum, { fee }) => sum + fee, 0n);
    assert.ok(fees <= pot.podsFee && fees > pot.podsFee - 3n);
    assert.ok(before - world.task(task).escrow <= zkp(2));
    assert.ok(before - world.task(task).escrow > zkp(2) - 10n, "all but roundings left the escrow");
    // One reveal's fee was burned by half as well.
    assert.equal(world.state.supply.burned - burnedBefore, pot.burned + world.params.feeMin / 2n);
    assert.equal(world.state.supply.minted - mintedBefore, receipt.minted);
    assert.ok(10n * receipt.minted <= 9n * receipt.burned);
    assert.equal(
      paid,
      contributions.reduce((sum, { amount }) => sum + amount, 0n),
    );
    world.checkSupply();
  });

  test("explains every amount: shares of the mint and of the fee by quality", () => {
    const { world, task } = start();
    const { pot, contributions } = roundOf(world.epoch(), world, task);
    for (const { quality, minted, fee, amount } of contributions) {
      assert.equal(minted, (pot.podsMint * quality) / pot.quality);
      assert.equal(fee, (pot.podsFee * quality) / pot.quality);
      assert.equal(amount, minted + fee);
    }
  });

  test("of no quality pays, burns and mints nothing", () => {
    const { world, task } = start();
    for (const pod of PODS) world.setWorker(pod, labelFlip());
    const before = world.task(task).escrow;
    const receipt = world.epoch();
    assert.deepEqual([receipt.minted, receipt.burned], [0n, 0n]);
    assert.equal(world.task(task).escrow, before);
    assert.deepEqual(
      PODS.map((pod) => world.pod(pod).rejected),
      [1, 1, 1],
    );
    world.checkSupply();
  });

  test("pays each task by what it burned, whatever quality others claim", () => {
    const alone = start();
    const only = roundOf(alone.world.epoch(), alone.world, alone.task);
    const { world, task } = start({ accounts: { rival: 100_000, d: 1_000 } });
    world.addPod("d", honest(), { bond: 2n * world.params.bondUnit });
    const other = world.addTask("rival", pool, { roundPay: zkp(1), rounds: 4 });
    assert.equal(world.enroll("d", other), undefined);
    const receipt = world.epoch();
    const mine = roundOf(receipt, world, task);
    assert.equal(mine.pot.mint, only.pot.mint);
    assert.equal(mine.paid, only.paid);
  });
});

describe("a round that was not revealed", () => {
  const unrevealed = (publicTask: boolean) => {
    const { world, task } = start({ publicTask });
    const { bond, escrow } = world.task(task);
    const wealth = PODS.map((pod) => world.wealth(pod));
    const burned = world.state.supply.burned;
    const receipt = world.epoch({ reveals: () => false });
    const round = roundOf(receipt, world, task);
    assert.equal(receipt.minted, 0n);
    assert.equal(round.stepped, false);
    world.checkSupply();
    const gains = PODS.map((pod, i) => world.wealth(pod) - (wealth[i] ?? 0n));
    return { world, task, bond, escrow, gains, burned: world.state.supply.burned - burned };
  };

  test("costs the sponsor its pay and its bond: half to the submissions equally, half burned", () => {
    const { world, task, bond, escrow, gains, burned } = unrevealed(false);
    const each = (zkp(2) + bond / 2n) / 3n;
    assert.deepEqual(gains, [each, each, each]);
    assert.equal(burned, zkp(2) + bond - 3n * each);
    assert.ok(escrow > zkp(2));
    assert.deepEqual([world.task(task).bond, world.task(task).escrow], [0n, 0n], "the rest went back whole");
    world.epoch();
    assert.equal(world.state.rounds.getReadonly(0).slots.length, 0, "the task has ended");
  });

  test("costs a public task's sponsor its bond", () => {
    const { bond, gains } = unrevealed(true);
    assert.deepEqual(gains, new Array(3).fill(bond / 2n / 3n));
  });

  test("costs nothing where nobody had submitted", () => {
    const { world, task } = start();
    const { bond, escrow } = world.task(task);
    for (const pod of PODS) world.setWorker(pod, () => undefined);
    world.epoch({ reveals: () => false });
    assert.deepEqual([world.task(task).bond, world.task(task).escrow], [bond, escrow]);
    world.checkSupply();
  });
});

describe("whoever owns every role", () => {
  test("loses by each paid round, for any pay, reserve and presence", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: zkp(1), max: zkp(9_000) }),
        fc.integer({ min: 1, max: 100 }),
        fc.constantFrom("40", "1", "99"),
        (roundPay, percent, publicLanePercent) => {
          const { world, task } = start({ roundPay, params: { publicLanePercent } });
          const owned = ["sponsor", ...PODS, "v0", "v1", "v2", "v3"];
          const all = () =>
            owned.reduce((sum, name) => sum + world.wealth(name), 0n) + world.task(task).escrow;
          const before = all();
          const receipt = world.epoch({ present: () => percent / 100 });
          assert.ok(10n * receipt.minted <= 9n * receipt.burned);
          const lost = before - all();
          // The burn, less what came back as mint outside the treasury; and the burned half of the reveal's fee.
          assert.ok(lost * 10n >= receipt.burned, `${lost} of ${receipt.burned}`);
          world.checkSupply();
        },
      ),
      { numRuns: 12 },
    );
  });

  test("mints 2.7 % of its pay at a burn of 30 %, so every cycle costs at least 3 %", () => {
    const fee = zkp(100);
    const { burned } = splitFee(fee);
    assert.equal(burned - (burned * 9n) / 10n, (fee * 3n) / 100n);
  });
});

describe("public pods", () => {
  test("earn the same, whatever sponsors pay or claim beside them", () => {
    const publicPay = (pay: bigint | undefined, worker = honest()): bigint[] => {
      const { world, task } = start({ publicTask: true, accounts: { rival: 100_000, d: 1_000, e: 1_000 } });
      for (const pod of ["d", "e"]) world.addPod(pod, worker);
      if (pay !== undefined) {
        const other = world.addTask("rival", pool, { roundPay: pay, rounds: 4 });
        for (const pod of ["d", "e"]) assert.equal(world.enroll(pod, other), undefined);
      }
      world.epoch();
      world.epoch();
      const receipt = world.epoch();
      world.checkSupply();
      return roundOf(receipt, world, task).contributions.map(({ amount }) => amount);
    };
    const alone = publicPay(undefined);
    assert.ok(alone.some((amount) => amount > 0n));
    for (const other of [publicPay(zkp(1)), publicPay(zkp(900)), publicPay(zkp(900), zeroGradient)]) {
      // A sponsored mint takes from the reserve, so the next budget is smaller by less than a millionth of it.
      for (const [i, amount] of other.entries()) {
        const lost = (alone[i] ?? 0n) - amount;
        assert.ok(lost >= 0n && lost * 1_000_000n <= (alone[i] ?? 0n) + 1_000_000n, `${lost}`);
      }
    }
  });
});

describe("splitting an identity", () => {
  /** What `units` of bond earn in one round, as one pod or as many, beside two others. */
  const earned = (units: number, identities: number, rows: string): { pay: bigint; slots: number } => {
    const world = createWorld({ accounts: { sponsor: 10_000, me: 10_000, x: 1_000, y: 1_000 } });
    const { bondUnit } = world.params;
    for (const pod of ["x", "y"]) world.addPod(pod, honest());
    const each = units / identities;
    const mine = Array.from({ length: identities }, (_, i) => `me-${i}`);
    // The same rows either way: batch j of the whole is one batch of one of the parts.
    for (const [i, pod] of mine.entries()) {
      const worker = honest((_, batch, slot) => generated(rows, i * each + batch, slot));
      world.addPod(pod, worker, {
        owner: "me",
        bond: BigInt(each) * bondUnit,
        batches: each,
      });
    }
    const task = world.addTask("sponsor", pool, { roundPay: zkp(10), lead: 2 });
    for (const pod of ["x", "y"]) world.enroll(pod, task);
    for (const pod of mine) assert.equal(world.enroll(pod, task, { owner: "me", slots: each }), undefined);
    world.epoch();
    world.epoch();
    const { contributions } = roundOf(world.epoch(), world, task);
    const own = contributions.filter(({ podId }) => mine.includes(world.podName(podId)));
    return { pay: own.reduce((sum, { amount }) => sum + amount, 0n), slots: own.length };
  };

  test("gives the same slots and the same pay as the bond in one", () => {
    const split = fc.constantFrom<readonly [number, number]>(
      [2, 2],
      [3, 3],
      [4, 2],
      [4, 4],
      [5, 5],
      [6, 2],
      [6, 3],
      [6, 6],
      // With the two others more than are played exactly.
      [9, 3],
      [9, 9],
    );
    fc.assert(
      fc.property(split, fc.string({ minLength: 1, maxLength: 8 }), ([units, identities], rows) => {
        const one = earned(units, 1, rows);
        const many = earned(units, identities, rows);
        assert.equal(one.slots, units);
        assert.equal(many.slots, units);
        const difference = many.pay - one.pay;
        assert.ok(difference * difference <= 64n, `${one.pay} as one, ${many.pay} as ${identities}`);
      }),
      { numRuns: 12 },
    );
  });

  test("asks a bond of its own of each, so less than a unit is no identity", () => {
    const world = createWorld({ accounts: { me: 100 } });
    const bond = (world.params.bondUnit - 1n) as typeof world.params.bondUnit;
    assert.throws(() => world.addPod("me", honest(), { bond }), /bond-low/);
  });
});

test("a pod that leaves is drawn no more, and its bond returns after the window of evidence", () => {
  const { world, task } = start();
  const before = world.wealth("a");
  const bond = world.pod("a").bond;
  world.must("a", { selector: SELECTOR.podExit, value: { podId: podIdOf("a") } });
  const again = world.send("a", { selector: SELECTOR.podExit, value: { podId: podIdOf("a") } });
  assert.equal(again?.code, "pod/exiting");
  const window = Number(world.params.podEvidenceEpochs);
  assert.equal(
    roundOf(world.epoch(), world, task).contributions.length,
    3,
    "this epoch's slots stay its own",
  );
  for (let epoch = 0; epoch < window; epoch++) {
    assert.equal(world.pod("a").bond, bond);
    const slots = world.state.rounds.getReadonly(0).slots.getAllReadonly();
    assert.ok(slots.every(({ podId }) => !world.same(podId, podIdOf("a"))));
    world.epoch();
    world.checkSupply();
  }
  assert.equal(world.pod("a").bond, 0n);
  assert.ok(world.wealth("a") - before >= bond - world.params.feeMin);
  world.checkSupply();
});

/**
 * Any history of operations, gradients and reveals, by anybody, with the largest and smallest numbers that the
 * encodings hold: every epoch settles, and the supply account adds up after every single step.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { toHex } from "../../../consensus/primitives/bytes.ts";
import { Amount, Epoch, zkp } from "../../../consensus/primitives/units.ts";
import { type Operation, SELECTOR } from "../../../consensus/types/transaction.ts";
import { gradientMax, WEIGHT_MAX, WEIGHT_MIN } from "../../../consensus/work/gradient.ts";
import { generatedPool, honest } from "../../simulate/populations.ts";
import { createWorld, podIdOf, rootOfPod, type Worker, type World } from "../../simulate/world.ts";

const ACTORS = ["a", "b", "c", "d", "v0", "v1"] as const;
const PODS = ["a", "b", "c", "d"] as const;
const U64 = 2n ** 64n - 1n;
const U128 = 2n ** 128n - 1n;

/** What a pod can publish at the ends of what the circuit can give. */
const WORKERS: Readonly<Record<string, Worker>> = {
  honest: honest(),
  nothing: () => undefined,
  zero: constant(() => 0),
  most: constant((most) => most),
  least: constant((most) => -most),
  ones: constant((_, j) => (j % 2 === 0 ? 1 : -1)),
};
function constant(entryOf: (most: number, j: number) => number): Worker {
  return ({ shape, pod, batch }) => ({
    content: `${pod}/${batch}`,
    gradient: Array.from({ length: shape.features + 1 }, (_, j) =>
      j < shape.features ? entryOf(gradientMax(shape), j) : entryOf(shape.rows * 2 ** 26, j) * 256,
    ),
  });
}

const amount = fc.constantFrom(0n, 1n, 10n ** 9n, zkp(10), zkp(100), zkp(640), U64).map(Amount);
const who = fc.constantFrom(...ACTORS);
const pod = fc.constantFrom(...PODS);
const nth = fc.nat(4);
const small = fc.constantFrom(0, 1, 2, 3, 64, 255);

type Act = { readonly from: string; readonly act: (world: World) => Operation | (() => void) };
/** Who sends a pod's operation: mostly its owner. */
const owned = ({ selector, value }: Operation, from: string): string => {
  if (
    from === "v0" ||
    (selector !== 1 && selector !== 3 && selector !== SELECTOR.podExit && selector !== SELECTOR.podTopUp)
  )
    return from;
  return PODS.find((name) => toHex(podIdOf(name)) === toHex(value.podId)) ?? from;
};
const taskAt = (world: World, at: number): Uint8Array =>
  at < world.state.tasks.length ? world.state.tasks.getReadonly(at).id : new Uint8Array(32);
const acting = <T>(value: fc.Arbitrary<T>, act: (world: World, value: T) => ReturnType<Act["act"]>) =>
  fc.record({ from: who, value }).map(({ from, value: it }): Act => ({ from, act: (w) => act(w, it) }));

const pool = generatedPool("fuzz", 32, 2);
const extremes = fc.record({
  rate: fc.constantFrom(
    { numerator: 1, shift: 0 },
    { numerator: 2 ** 16, shift: 0 },
    { numerator: 1, shift: 32 },
  ),
  normBound: fc.constantFrom(0n, 1n, 2n ** 77n, U128),
  model: fc.constantFrom<readonly number[]>(
    [],
    [WEIGHT_MAX, WEIGHT_MAX, WEIGHT_MAX],
    [WEIGHT_MIN, WEIGHT_MIN, WEIGHT_MIN],
    [1],
  ),
  roundPay: fc.constantFrom(zkp(1), zkp(1), zkp(10), 0n, U64),
  bond: fc.constantFrom(zkp(20), zkp(20), zkp(100), 0n, U64),
  escrow: fc.constantFrom(zkp(10), zkp(100), 0n, U64),
  rounds: fc.constantFrom(1, 4, 4, 16, 65_535),
  lead: fc.constantFrom(1, 1, 2, 65_535),
  minAccepted: fc.constantFrom(0, 0, 1),
  minQuality: fc.constantFrom(0n, 0n, U128),
});

const act: fc.Arbitrary<Act> = fc.oneof(
  acting(fc.tuple(pod, fc.constantFrom(...Object.keys(WORKERS))), (world, [name, worker]) => () => {
    world.setWorker(name, WORKERS[worker] ?? honest());
  }),
  acting(fc.tuple(pod, nth), (world, [name, at]) => () => {
    world.enroll(name, taskAt(world, at), { slots: 1 });
  }),
  acting(fc.tuple(pod, nth, small), (world, [name, at, slots]) => ({
    selector: 3,
    value: { podId: podIdOf(name), task: taskAt(world, at), dataRoot: rootOfPod(name), slots },
  })),
  acting(fc.tuple(pod, amount), (_, [name, bond]) => ({
    selector: 1,
    value: { podId: podIdOf(name), bond },
  })),
  acting(fc.tuple(pod, amount), (_, [name, more]) => ({
    selector: SELECTOR.podTopUp,
    value: { podId: podIdOf(name), amount: more },
  })),
  acting(pod, (_, name) => ({ selector: SELECTOR.podExit, value: { podId: podIdOf(name) } })),
  acting(extremes, (world, it) => {
    const { operation } = world.taskOf("a", pool, it);
    return operation;
  }),
  acting(fc.tuple(nth, amount), (world, [at, more]) => ({
    selector: SELECTOR.taskFund,
    value: { task: taskAt(world, at), amount: more },
  })),
  acting(nth, (world, at) => ({ selector: SELECTOR.taskApprove, value: { task: taskAt(world, at) } })),
  acting(nth, (world, at) => ({ selector: SELECTOR.taskClose, value: { task: taskAt(world, at) } })),
  acting(fc.tuple(nth, small), (world, [at, slot]) => () => {
    const { length } =
      at < world.state.rounds.length ? world.state.rounds.getReadonly(at).slots : { length: 0 };
    const submission = slot < length ? world.submissionFor(at, slot) : undefined;
    if (submission !== undefined) world.send("b", { selector: SELECTOR.podEvidence, value: { submission } });
  }),
  acting(fc.tuple(nth, fc.constantFrom(0, 1, 2 ** 40)), (world, [at, epoch]) => ({
    selector: 4,
    value: { task: taskAt(world, at), epoch: Epoch(epoch), slices: pool.slices.slice(0, 2) },
  })),
);

type EpochPlan = { readonly acts: readonly Act[]; readonly reveal: boolean; readonly present: number };
const plan: fc.Arbitrary<EpochPlan> = fc.record({
  acts: fc.array(act, { maxLength: 8 }),
  reveal: fc.boolean(),
  present: fc.constantFrom(0, 0.5, 1),
});

/** Four pods in a sponsored task and a public one. */
function start(): World {
  const world = createWorld({ accounts: { sponsor: 1_000, a: 3_000, b: 2_000, c: 2_000, d: 2_000 } });
  for (const name of PODS) world.addPod(name, honest(), { bond: 3n * world.params.bondUnit, batches: 8 });
  for (const publicTask of [false, true]) {
    const task = world.addTask("sponsor", pool, { lead: 2, rounds: 8, roundPay: zkp(3) });
    if (publicTask) world.approve(task);
    for (const name of PODS) world.enroll(name, task);
  }
  world.epoch();
  world.epoch();
  return world;
}

test("no history stops the settlement, and no step makes or loses a coin", () => {
  let [settled, paid, forfeited, taken] = [0, 0n, 0n, 0];
  fc.assert(
    fc.property(fc.array(plan, { minLength: 1, maxLength: 6 }), (plans) => {
      const world = start();
      const heights = Number(world.params.epochHeights);
      for (const { acts, reveal, present } of plans) {
        for (const { from, act: make } of acts) {
          const made = make(world);
          if (typeof made === "function") made();
          else if (world.send(owned(made, from), made) === undefined) taken++;
          world.checkSupply();
        }
        world.submitAll();
        world.close();
        world.goTo(heights - 1);
        for (let i = 0; reveal && i < world.state.tasks.length; i++) world.reveal(i);
        const { supply } = world.state;
        const [minted, burned] = [supply.minted, supply.burned];
        const receipt = world.settle({ present: () => present });
        world.checkSupply();
        assert.equal(world.state.supply.minted - minted, receipt.minted);
        assert.equal(world.state.supply.burned - burned, receipt.burned);
        for (const { pot, contributions, paid: toPods } of receipt.rounds) {
          settled++;
          paid += toPods;
          forfeited += pot.forfeit;
          if (pot.fee > 0n) assert.ok(10n * pot.mint <= 9n * pot.burned);
          assert.equal(
            contributions.reduce((sum, it) => sum + it.amount, 0n),
            toPods,
          );
        }
      }
    }),
    { numRuns: 30 },
  );
  // The histories reach what they are meant to.
  assert.ok(
    settled > 0 && paid > 0n && forfeited > 0n && taken > 0,
    `${settled} ${paid} ${forfeited} ${taken}`,
  );
});

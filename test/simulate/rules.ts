/**
 * Scenario `rules`: the failures that rules exist for, each with the rule switched off and on. The rule is taken
 * away around the real functions, never inside them: by an attacker's foresight, by a state that was changed, or
 * by paying the same values in another way.
 */

import { uint64Bytes } from "../../consensus/primitives/bytes.ts";
import { hash } from "../../consensus/primitives/hash.ts";
import { Height, zkp } from "../../consensus/primitives/units.ts";
import { closeSubmissions } from "../../consensus/state/draws.ts";
import {
  type IssuanceConstants,
  issuanceConstants,
  type PublicLane,
  settlePublicLane,
  shares,
} from "../../consensus/state/issuance.ts";
import type { EpochReceipt } from "../../consensus/state/settle-epoch.ts";
import { fork, LANE } from "../../consensus/state/state.ts";
import { decodeFeatures } from "../../consensus/types/holdout.ts";
import { gradientOf, type Rows } from "../../consensus/work/gradient.ts";
import { generated, generatedPool, honest } from "./populations.ts";
import { createWorld, type Pool, type Worker } from "./world.ts";

export type RuleRow = {
  readonly failure: string;
  readonly measure: string;
  readonly off: number;
  readonly on: number;
};

const HONEST = ["h0", "h1", "h2", "h3", "h4"];
const round2 = (value: number): number => Math.round(value * 100) / 100;

type World = ReturnType<typeof createWorld>;
type Sums = Map<string, bigint>;

function addPaid(sums: Sums, world: World, receipt: EpochReceipt): void {
  for (const { contributions } of receipt.rounds)
    for (const { podId, amount } of contributions) {
      const name = world.podName(podId);
      sums.set(name, (sums.get(name) ?? 0n) + amount);
    }
}
const sumOf = (sums: Sums, names: readonly string[]): bigint =>
  names.reduce((sum, name) => sum + (sums.get(name) ?? 0n), 0n);
const percentOf = (part: bigint, total: bigint): number =>
  total === 0n ? 0 : Number((part * 10_000n) / total) / 100;

/** Five honest pods in a public task, and accounts for whoever comes. */
function honestWorld(pool: Pool, slices: number): { world: World; task: Uint8Array } {
  const world = createWorld({
    params: { slicesPerRound: String(slices), targetMin: "1000000" },
    accounts: { sponsor: 100_000, rich: 100_000, ...Object.fromEntries(HONEST.map((name) => [name, 100])) },
  });
  for (const name of HONEST) world.addPod(name, honest());
  const task = world.addTask("sponsor", pool, { rounds: 8, lead: 2, roundPay: zkp(1) });
  world.approve(task);
  for (const name of HONEST) world.enroll(name, task);
  return { world, task };
}

/** A sponsor that mints from the public budget for quality that it grades itself, and pays no fee. */
function unfundedQuality(off: boolean): number {
  const pool = generatedPool("rules", 32, 2);
  const { world } = honestWorld(pool, 4);
  const own = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];
  for (const name of own) world.addPod(name, honest(), { owner: "rich" });
  const task = world.addTask("rich", pool, { rounds: 8, lead: 2, roundPay: zkp(1) });
  for (const name of own) world.enroll(name, task, { owner: "rich" });
  world.epoch();
  world.epoch();
  const sums: Sums = new Map();
  for (let i = 0; i < 5; i++) {
    if (off) world.state.tasks.get(world.taskIndex(task)).lane = LANE.public;
    addPaid(sums, world, world.epoch());
  }
  return Number(sumOf(sums, HONEST) / 10n ** 6n) / 1_000;
}

const rowsOf = (pool: Pool, indices: readonly number[], take: number, features: number): Rows => {
  const slices = indices.map((at) => pool.slices[at]).filter((slice) => slice !== undefined);
  const x = slices.flatMap((slice) => [...decodeFeatures(slice.features)]);
  const y = slices.flatMap((slice) => [...slice.labels]);
  const count = Math.min(take, y.length);
  return {
    features,
    x: Int16Array.from(x.slice(0, count * features)),
    y: Uint8Array.from(y.slice(0, count)),
  };
};

/** A pod that owns nothing but rows that were opened in earlier rounds. */
function freeRiding(off: boolean): number {
  const pool = generatedPool("rules", 32, 2);
  const { world, task } = honestWorld(pool, 4);
  world.epoch();
  world.epoch();
  const opened: number[] = [];
  const rider: Worker = ({ model, shape, batch }) => ({
    gradient: gradientOf(model, rowsOf(pool, opened.slice(batch % 4), shape.rows, shape.features)),
    content: `rider/${batch}`,
  });
  const sums: Sums = new Map();
  for (let i = 0; i < 8; i++) {
    world.submitAll();
    world.close();
    opened.push(...world.state.rounds.getReadonly(0).drawnSlices.getAll());
    world.goTo(Number(world.params.epochHeights) - 1);
    world.reveal(0);
    if (i === 0) world.addPod("rider", rider, { owner: "rich" });
    if (off) world.state.tasks.get(0).revealedFrom = Height(0);
    if (i === 0) world.enroll("rider", task, { owner: "rich" });
    const receipt = world.settle();
    // Its share is of rounds that it can take part in.
    if (i >= 3) addPaid(sums, world, receipt);
  }
  return percentOf(sums.get("rider") ?? 0n, sumOf(sums, [...HONEST, "rider"]));
}

/** A pod to which the sponsor leaked its pool: with the slices known before the close, or only after it. */
function leakedSlices(off: boolean): number {
  const sums: Sums = new Map();
  for (const name of ["one", "two", "three"]) {
    const pool = generatedPool(`leak/${name}`, 64, 2);
    const { world, task } = honestWorld(pool, 1);
    const leaked: Worker = ({ model, epoch, batch }) => {
      const future = fork(world.state);
      future.beacon.mix = hash("beacon", future.beacon.mix, uint64Bytes(epoch));
      closeSubmissions(future, world.params);
      const drawn = future.rounds.getReadonly(0).drawnSlices.getAll();
      const known = off ? drawn : [(batch * 7) % 64];
      // All eight rows of the slice, as a batch of four that has the same direction.
      const gradient = gradientOf(model, rowsOf(pool, known, 8, 2));
      return { gradient: gradient.map((value) => Math.trunc(value / 512) * 256), content: `leak/${batch}` };
    };
    world.addPod("leak", leaked, { owner: "rich" });
    world.enroll("leak", task, { owner: "rich" });
    world.epoch();
    world.epoch();
    for (let i = 0; i < 8; i++) addPaid(sums, world, world.epoch());
  }
  return percentOf(sums.get("leak") ?? 0n, sumOf(sums, [...HONEST, "leak"]));
}

/** Three units of bond as three identities: paid by value, or by the root of an identity's value. */
function splitIdentities(off: boolean): number {
  const pay = (identities: number): bigint => {
    const pool = generatedPool("rules", 32, 2);
    const { world, task } = honestWorld(pool, 4);
    const units = 3 / identities;
    const mine = Array.from({ length: identities }, (_, i) => `m${i}`);
    for (const [i, name] of mine.entries()) {
      const worker = honest((_, batch, slot) => generated("mine", i * units + batch, slot));
      world.addPod(name, worker, {
        owner: "rich",
        bond: BigInt(units) * world.params.bondUnit,
        batches: units,
      });
      world.enroll(name, task, { owner: "rich", slots: units });
    }
    world.epoch();
    world.epoch();
    const values = new Map<string, bigint>();
    for (const { contributions } of world.epoch().rounds)
      for (const { podId, quality } of contributions) {
        const name = world.podName(podId);
        values.set(name, (values.get(name) ?? 0n) + quality);
      }
    const names = [...values.keys()];
    const paid = shares(
      10n ** 9n,
      names.map((name) => (off ? root(values.get(name) ?? 0n) : (values.get(name) ?? 0n))),
    );
    return names.reduce((sum, name, i) => sum + (mine.includes(name) ? (paid[i] ?? 0n) : 0n), 0n);
  };
  return percentOf(pay(3) - pay(1), pay(1));
}

const root = (value: bigint): bigint => BigInt(Math.floor(Math.sqrt(Number(value))));

const YEAR = 8_760;
const hourly = issuanceConstants({
  supplyMax: 100_000_000n * 10n ** 9n,
  blockIntervalMs: 2_000,
  epochHeights: 1_800,
  laneShare: { numerator: 1n, denominator: 1n },
  targetMin: 1n,
  emaEpochs: 720n,
});

type Rule = typeof settlePublicLane;

function millionsMinted(qualityAt: (epoch: number) => bigint, rule: Rule, from: number, to: number): number {
  let lane: PublicLane = { target: 1_000_000n, floor: 0n, ema: 0n };
  let issued = 0n;
  let counted = 0n;
  for (let epoch = 0; epoch < to; epoch++) {
    const { mint, next } = rule({ ...lane, issued }, qualityAt(epoch), hourly);
    issued += mint;
    if (epoch >= from) counted += mint;
    lane = next;
  }
  return round2(Number(counted / 10n ** 9n) / 1e6);
}

const floorless: Rule = (lane, quality, constants) =>
  settlePublicLane({ ...lane, floor: 0n, ema: 0n }, quality, constants);

/** The target follows the whole of a burst, and so does the floor. */
const unwinsorised: Rule = (lane, quality, constants: IssuanceConstants) => {
  const { mint, next } = settlePublicLane(lane, quality, constants);
  const ema = lane.ema + (quality - lane.ema) / constants.emaEpochs;
  const floor = [(lane.floor * constants.floorFactor) >> 64n, ema / 2n].reduce((a, b) => (a > b ? a : b));
  const moved = lane.target + (quality - lane.target) / 64n;
  const target = [next.target, floor, moved].reduce((a, b) => (a > b ? a : b));
  return { mint, next: { target, floor, ema } };
};

export function simulateRules(years: number): RuleRow[] {
  const falling = (epoch: number): bigint => (epoch < YEAR ? 1_000_000n : 100_000n);
  const burst = (epoch: number): bigint => (epoch % 24 === 0 ? 100_000_000n : 1_000_000n);
  const end = years * YEAR;
  return [
    {
      failure: "no floor: quality falls to a tenth",
      measure: "millions minted in the second year",
      off: millionsMinted(falling, floorless, YEAR, 2 * YEAR),
      on: millionsMinted(falling, settlePublicLane, YEAR, 2 * YEAR),
    },
    {
      failure: "bursts: a hundredfold one hour a day",
      measure: `millions minted in ${years} years`,
      off: millionsMinted(burst, unwinsorised, 0, end),
      on: millionsMinted(burst, settlePublicLane, 0, end),
    },
    {
      failure: "unfunded quality: a sponsor grades itself and pays no fee",
      measure: "ZKP to five honest public pods in five rounds",
      off: round2(unfundedQuality(true)),
      on: round2(unfundedQuality(false)),
    },
    {
      failure: "free riding on opened slices",
      measure: "percent of the pay to a pod that owns nothing else",
      off: freeRiding(true),
      on: freeRiding(false),
    },
    {
      failure: "leaked slices: known before the close",
      measure: "percent of the pay to the pod that knows them",
      off: leakedSlices(true),
      on: leakedSlices(false),
    },
    {
      failure: "splitting three units into three identities",
      measure: "percent more than as one",
      off: splitIdentities(true),
      on: splitIdentities(false),
    },
  ];
}

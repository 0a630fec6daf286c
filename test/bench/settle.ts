/**
 * What settling costs: the score of one round of 64 pods, on 96 and on 256 opened rows; and the whole settlement
 * of the fullest epoch, sixteen tasks of 64 contributions each, with the new state's root.
 */
import { Amount, ValidatorIndex, zkp } from "../../consensus/primitives/units.ts";
import { settleEpoch } from "../../consensus/state/settle-epoch.ts";
import { fork, stateRoot } from "../../consensus/state/state.ts";
import { gradientOf, type Rows } from "../../consensus/work/gradient.ts";
import { scoreRound } from "../../consensus/work/score.ts";
import { deal, generatedTable } from "../../devnet/data.ts";
import { sliceRows } from "../../pod/dataset.ts";
import { standardOf, toFixed } from "../../pod/standardise.ts";
import { generatedRows, honest } from "../simulate/populations.ts";
import { commitPool, createWorld, type World } from "../simulate/world.ts";
import { type Figure, median, timed } from "./figure.ts";

const PODS = 64;
const ROWS = 32;
const FEATURES = 10;
const ROUNDS = 9;

const TASKS = 16;

/** An epoch of sixteen tasks in which all slots are used and all slices opened, before its last block. */
function fullEpoch(shape: string, slices: number): World {
  const names = Array.from({ length: PODS }, (_, i) => `pod-${i}`);
  const accounts = Object.fromEntries(names.map((name) => [name, 1_000]));
  const world = createWorld({
    shape,
    params: { slicesPerRound: String(slices) },
    accounts: { ...accounts, sponsor: 100_000 },
  });
  const { features, rows } = world.shape;
  for (const name of names) {
    const worker = honest((pod, batch) => generatedRows(`bench/${pod}/${batch}`, rows, features));
    world.addPod(name, worker, { bond: BigInt(TASKS) * world.params.bondUnit });
  }
  for (let i = 0; i < TASKS; i++) {
    const pool = commitPool(
      Array.from({ length: slices }, (_, at) => generatedRows(`bench/${i}/${at}`, 8, features)),
      `bench/${i}`,
    );
    const task = world.addTask("sponsor", pool, {
      lead: 2,
      rounds: 1,
      roundPay: zkp(1),
      bond: Amount(zkp(2)),
      rate: { numerator: 1, shift: 0 },
      normBound: 2n ** 78n,
    });
    for (const name of names) world.enroll(name, task);
  }
  world.epoch();
  world.epoch();
  world.submitAll();
  world.close();
  world.goTo(Number(world.params.epochHeights) - 1);
  for (let i = 0; i < TASKS; i++) world.reveal(i);
  world.goTo(Number(world.params.epochHeights));
  return world;
}

async function* fullest(): AsyncGenerator<Figure> {
  for (const { shape, slices } of [
    { shape: "gradient-32x10", slices: 4 },
    { shape: "gradient-32x10", slices: 32 },
    { shape: "gradient-32x30", slices: 4 },
    { shape: "gradient-32x30", slices: 32 },
  ]) {
    const world = fullEpoch(shape, slices);
    const context = { params: world.params, proposer: ValidatorIndex(0), place: 0 };
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const state = fork(world.state);
      times.push(
        await timed(() => {
          settleEpoch(state, context);
          stateRoot(state);
        }),
      );
    }
    const name = `settle: ${TASKS} tasks × ${PODS} pods, ${shape}, ${8 * slices} rows opened`;
    yield { name, value: median(times), unit: "ms" };
  }
}

export async function* bench(): AsyncGenerator<Figure> {
  const table = generatedTable({ seed: 3, rows: 4_000, features: FEATURES });
  const dealt = deal(table, { pods: PODS, batchRows: ROWS, batchesPerPod: 1, holdoutSlices: 32, seed: 3 });
  const standard = standardOf(dealt.holdout);
  const model = new Array<number>(FEATURES + 1).fill(0);
  const gradients = dealt.pods.map((rows) => gradientOf(model, sliceRows(toFixed(rows, standard), 0, ROWS)));
  const holdout = toFixed(dealt.holdout, standard);
  for (const opened of [96, 256]) {
    const rows: Rows = sliceRows(holdout, 0, opened);
    const seed = new Uint8Array(32).fill(7);
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      times.push(
        await timed(() =>
          scoreRound({
            model,
            rows,
            gradients,
            rowsPerGradient: ROWS,
            rate: { numerator: 3, shift: 1 },
            normBound: 2n ** 77n,
            weight: 1,
            seed,
          }),
        ),
      );
    }
    yield { name: `settle: ${PODS} pods, ${opened} rows opened`, value: median(times), unit: "ms" };
  }
  yield* fullest();
}

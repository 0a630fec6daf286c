/**
 * Scenario `wdbc-attacks`: five honest pods on real rows (Wisconsin breast cancer), beside pods that flip or
 * shuffle labels, make rows up, repeat one row, cancel out, or copy. Real shape, real scoring, real settlement.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { zkp } from "../../consensus/primitives/units.ts";
import { gradientOf, type Rows } from "../../consensus/work/gradient.ts";
import { type Rate, stepModel } from "../../consensus/work/step.ts";
import { deal } from "../../devnet/data.ts";
import { stepOf } from "../../devnet/options.ts";
import { sliceRows } from "../../pod/dataset.ts";
import { standardOf, toFixed } from "../../pod/standardise.ts";
import { readTable } from "../../pod/table.ts";
import {
  exactCopy,
  honest,
  labelFlip,
  nearCopy,
  randomRows,
  repeatedRow,
  type Source,
  shuffled,
  zeroGradient,
} from "./populations.ts";
import { commitPool, createWorld, type Worker } from "./world.ts";

export type WdbcRow = {
  readonly pod: string;
  readonly paid: bigint;
  /** Percent of all pay in its run. */
  readonly share: number;
  readonly rounds: number;
  readonly refused: number;
  readonly fates: string;
};

/** The data file, where it is if nothing else is said: beside the project. */
export function findWdbc(given: string | undefined): string | undefined {
  const root = join(import.meta.dirname, "..", "..");
  const candidates = given === undefined ? [join(root, "..", "shared", "data", "wdbc.data")] : [given];
  return candidates.find((file) => existsSync(file));
}

const HONEST = ["honest-0", "honest-1", "honest-2", "honest-3", "honest-4"];
const ROUNDS = 5;
/** 64 rows a round, all that the table has: 5 × 64 opened, 6 × 32 in pods. */
const SLICES_PER_ROUND = 8;

/** Each joins the five honest pods alone, with rows of its own or with a victim's. */
const OTHERS: Readonly<Record<string, (source: Source) => Worker>> = {
  "honest, a sixth": honest,
  "label-flip": labelFlip,
  shuffled,
  random: randomRows,
  "zero-gradient": () => zeroGradient,
  "repeated-row": repeatedRow,
  "exact copy": (source) => exactCopy("honest-0", source),
  "near copy": (source) => nearCopy("honest-1", source),
};

type Run = { readonly rows: ReadonlyMap<string, Omit<WdbcRow, "share" | "pod">>; readonly losses: number[] };

export type WdbcStart = "zero" | "warm";

/** A model after a few steps on the sponsor's own rows: from zero, almost any direction helps. */
function warmModel(rows: Rows, rate: Rate, steps: number): number[] {
  let model = new Array<number>(rows.features + 1).fill(0);
  for (let i = 0; i < steps; i++) model = stepModel(model, gradientOf(model, rows), rows.y.length, rate);
  return model;
}

function run(file: string, name: string, seed: number, start: WdbcStart): Run {
  const table = readTable(readFileSync(file, "utf8"), { label: 1, positive: "M", ignore: [0], name: "wdbc" });
  const pods = [...HONEST, name];
  const dealt = deal(table, {
    pods: pods.length,
    batchRows: 32,
    batchesPerPod: 1,
    holdoutSlices: ROUNDS * SLICES_PER_ROUND,
    seed,
  });
  const standard = standardOf(dealt.holdout);
  const rowsOf = new Map<string, Rows>(
    pods.map((pod, i) => [pod, toFixed(dealt.pods[i] ?? { rows: [], labels: [] }, standard)]),
  );
  const source: Source = (pod, _batch, slot) =>
    rowsOf.get(pod) ?? { features: slot.shape.features, x: new Int16Array(0), y: new Uint8Array(0) };
  const holdout = toFixed(dealt.holdout, standard);
  const pool = commitPool(
    Array.from({ length: ROUNDS * SLICES_PER_ROUND }, (_, i) => sliceRows(holdout, 8 * i, 8 * i + 8)),
    `wdbc/${seed}`,
  );
  const world = createWorld({
    shape: "gradient-32x30",
    params: { slicesPerRound: String(SLICES_PER_ROUND) },
    accounts: { sponsor: 10_000, ...Object.fromEntries(pods.map((pod) => [pod, 100])) },
  });
  for (const pod of HONEST) world.addPod(pod, honest(source), { batches: 1 });
  // Whoever copies can't have registered the rows before their owner.
  world.goTo(2);
  world.addPod(name, OTHERS[name]?.(source) ?? zeroGradient, { batches: 1 });
  const { rate, normBound } = stepOf(world.shape);
  const model = start === "warm" ? warmModel(holdout, { numerator: 1, shift: 3 }, 4) : [];
  const task = world.addTask("sponsor", pool, {
    rounds: ROUNDS,
    lead: 2,
    roundPay: zkp(1),
    rate,
    normBound,
    model,
  });
  world.approve(task);
  for (const pod of pods) world.enroll(pod, task);
  world.epoch();
  world.epoch();
  const rows = new Map<string, { paid: bigint; rounds: number; refused: number; fates: string }>();
  const of = (pod: string) => rows.get(pod) ?? { paid: 0n, rounds: 0, refused: 0, fates: "" };
  const losses: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const receipt = world.epoch();
    for (const { pod } of receipt.refused) rows.set(pod, { ...of(pod), refused: of(pod).refused + 1 });
    for (const { contributions, lossBefore, lossAfter } of receipt.rounds) {
      losses.push(lossBefore / 2 ** 24, lossAfter / 2 ** 24);
      for (const { podId, amount, fate } of contributions) {
        const pod = world.podName(podId);
        const { paid, rounds, refused, fates } = of(pod);
        rows.set(pod, {
          paid: paid + amount,
          rounds: rounds + (amount > 0n ? 1 : 0),
          refused,
          fates: `${fates} ${fate}`.trim(),
        });
      }
    }
    world.checkSupply();
  }
  return { rows, losses };
}

/** The five honest pods by themselves and a sixth, then each of the others beside the five. */
export function wdbcAttacks(file: string, seed = 3, start: WdbcStart = "zero"): WdbcRow[] {
  return Object.keys(OTHERS).flatMap((name) => {
    const { rows } = run(file, name, seed, start);
    const total = [...rows.values()].reduce((sum, { paid }) => sum + paid, 0n);
    const shown = name.startsWith("honest")
      ? [...HONEST, name]
      : name === "exact copy"
        ? ["honest-0", name]
        : name === "near copy"
          ? ["honest-1", name]
          : [name];
    return shown.map((pod): WdbcRow => {
      const row = rows.get(pod) ?? { paid: 0n, rounds: 0, refused: 0, fates: "" };
      const label = shown.length === 2 && pod !== name ? `${pod}, copied (${name})` : pod;
      return {
        ...row,
        pod: label,
        share: total === 0n ? 0 : Number((row.paid * 10_000n) / total) / 100,
      };
    });
  });
}

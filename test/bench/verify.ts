/**
 * What verifying a proof costs, from its 128 bytes: the batch verifier beside snarkjs, on one core and on all. On
 * all cores the workers stand beside processes that share nothing: what those lose is the machine's.
 */

import { availableParallelism } from "node:os";
import { buildBn128 } from "ffjavascript";
import { groth16 } from "snarkjs";
import { BATCH_MAX, createBatchVerifier } from "../../circuits/batch/verifier.ts";
import { decodeProof } from "../../circuits/proof.ts";
import { bytesToSignals } from "../../circuits/signals.ts";
import { createVerifier, type VerifyJob } from "../../circuits/verify.ts";
import { invariant } from "../../consensus/primitives/faults.ts";
import { provedJob, rerandomized, withSignals } from "../circuits/proofs.ts";
import { type Figure, inTurns, timed } from "./figure.ts";
import { startVerifyProcesses } from "./verify-processes.ts";

const ROUNDS = 15;
const SNARKJS_PROOFS = 8;
const POOL_PROOFS = 2048;
const POOL_ROUNDS = 15;

async function* batchFigures(jobs: readonly VerifyJob[]): AsyncGenerator<Figure> {
  const verifier = await createBatchVerifier();
  invariant(verifier !== undefined, "this machine has fused multiply-add");
  const plain = jobs.slice(0, SNARKJS_PROOFS).map(({ vk, publicSignals, proof }) => ({
    vk: structuredClone(vk) as Parameters<typeof groth16.verify>[0],
    signals: bytesToSignals(publicSignals).map(String),
    proof: decodeProof(proof),
  }));
  const batch = (count: number) => async (): Promise<number> => {
    const part = jobs.slice(0, count);
    const taken = await timed(() =>
      invariant(
        verifier.verify(part).every((it) => it),
        "valid proofs hold",
      ),
    );
    return taken / count;
  };
  const curves: Record<string, unknown> = { default: undefined, cached: await buildBn128(true) };
  const snarkjs = (curve: string) => async (): Promise<number> => {
    Object.assign(globalThis, { curve_bn128: curves[curve] });
    const taken = await timed(async () => {
      for (const { vk, signals, proof } of plain) {
        invariant(await groth16.verify(vk, signals, proof), "valid proofs hold");
      }
    });
    curves[curve] = (globalThis as { curve_bn128?: unknown }).curve_bn128;
    return taken / plain.length;
  };
  const wrong = jobs.map((job, i) => (i === 77 ? withSignals(job, (signals) => signals.map(() => 1n)) : job));
  for (let i = 0; i < 5; i++) await batch(BATCH_MAX)();
  const times = await inTurns(ROUNDS, {
    batch: batch(BATCH_MAX),
    default: snarkjs("default"),
    half: batch(64),
    cached: snarkjs("cached"),
    eight: batch(8),
    single: batch(1),
    culprit: async () => (await timed(() => verifier.verify(wrong))) / wrong.length,
  });
  const warm = "warm default snarkjs.groth16.verify";
  yield { name: "verify: snarkjs, as people call it", value: times.default, unit: "ms/proof" };
  yield { name: "verify: snarkjs, cached single-threaded curve", value: times.cached, unit: "ms/proof" };
  for (const [label, value] of [
    [`batch of ${BATCH_MAX}, one core`, times.batch],
    ["batch of 64, one core", times.half],
    ["batch of 8, one core", times.eight],
    ["one proof alone", times.single],
    [`batch of ${BATCH_MAX} with one culprit`, times.culprit],
  ] as const) {
    yield { name: `verify: ${label}`, value, unit: "ms/proof", ratio: times.default / value, against: warm };
  }
  yield {
    name: `verify: batch of ${BATCH_MAX}, against the cached curve`,
    value: times.batch,
    unit: "ms/proof",
    ratio: times.cached / times.batch,
    against: "snarkjs with a cached single-threaded curve",
  };
  const before = { ...verifier.phases };
  for (let i = 0; i < ROUNDS; i++) await batch(BATCH_MAX)();
  for (const [phase, total] of Object.entries(verifier.phases)) {
    const value = (total - before[phase as keyof typeof before]) / ROUNDS / BATCH_MAX;
    yield { name: `verify: of which ${phase}`, value: 1000 * value, unit: "µs/proof" };
  }
}

/** Through createVerifier, messages, threads and all; and in processes that verify at the same time. */
async function* poolFigures(jobs: readonly VerifyJob[]): AsyncGenerator<Figure> {
  const many = Array.from({ length: POOL_PROOFS }, (_, i) => jobs[i % jobs.length] as VerifyJob);
  const cores = availableParallelism();
  const [one, all] = [createVerifier({ workers: 1 }), createVerifier({ workers: cores })];
  const run = (verifier: typeof one) => (): Promise<number> => timed(() => verifier.verify(many));
  const processes = await startVerifyProcesses(cores);
  /** As many proofs in milliseconds. */
  const runApart = (count: number) => async (): Promise<number> =>
    POOL_PROOFS / (await processes.rate(count)).perMs;
  const times = await inTurns(POOL_ROUNDS, {
    one: run(one),
    all: run(all),
    alone: runApart(1),
    together: runApart(cores),
  });
  processes.stop();
  const before = process.cpuUsage();
  await run(all)();
  const { user, system } = process.cpuUsage(before);
  await Promise.all([one.stop(), all.stop()]);
  const rate = (ms: number): number => (1000 * POOL_PROOFS) / ms;
  const figure = (name: string, ms: number, against?: readonly [string, number]): Figure => ({
    name: `verify: ${name}, proofs a second`,
    value: rate(ms),
    unit: "proofs/s",
    ...(against === undefined ? {} : { against: against[0], ratio: against[1] / ms }),
  });
  yield figure("a worker", times.one);
  yield figure(`${cores} workers`, times.all, ["one worker", times.one]);
  yield figure("a process that does nothing else", times.alone);
  yield figure(`${cores} processes that share nothing`, times.together, ["one of them alone", times.alone]);
  yield figure(`${cores} workers again`, times.all, [
    `${cores} processes that share nothing`,
    times.together,
  ]);
  // Where others use the machine too, this says whether the threads stand in each other's way.
  const cpuMs = (user + system) / 1000 / POOL_PROOFS;
  yield {
    name: `verify: ${cores} workers, processor time, messages included`,
    value: cpuMs,
    unit: "ms/proof",
  };
}

export async function* bench(): AsyncGenerator<Figure> {
  const job = await provedJob("gradient-32x10");
  const jobs = rerandomized(job.vk, job.proof, BATCH_MAX).map((proof) => ({ ...job, proof }));
  yield* batchFigures(jobs);
  yield* poolFigures(jobs);
}

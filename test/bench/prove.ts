/** What a proof costs through createProver, beside raw snarkjs in a worker of the same kind; and its parts. */

import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { gradientWitness } from "../../circuits/gradient/witness.ts";
import { createGroth16, PHASES, type Phase } from "../../circuits/prove/groth16.ts";
import { createProver } from "../../circuits/prove/prover.ts";
import { createWitnessCalculator } from "../../circuits/prove/witness.ts";
import { invariant } from "../../consensus/primitives/faults.ts";
import { shapeOf } from "../../consensus/work/gradient.ts";
import { circuitFor } from "../circuits/proofs.ts";
import { randomJob } from "../circuits/witnesses.ts";
import { type Figure, inTurns, median, timed } from "./figure.ts";

const run = promisify(execFile);
const ROUNDS = 7;
const MIB = 2 ** 20;

type Keys = { readonly wasmPath: string; readonly zkeyPath: string };

export async function* bench(): AsyncGenerator<Figure> {
  for (const id of ["gradient-32x10", "gradient-32x30"]) {
    const keys = await circuitFor(id);
    const { wasmPath, zkeyPath } = keys;
    const shape = shapeOf(id);
    const inputs = gradientWitness(shape, randomJob(shape, 5));
    const prover = createProver({ wasm: wasmPath, zkey: zkeyPath });
    const worker = new Worker(new URL("./prove-worker.ts", import.meta.url));
    const ask = async (request: object): Promise<void> => {
      worker.postMessage(request);
      await once(worker, "message");
    };
    await ask({ wasmPath, zkeyPath });
    const times = await inTurns(ROUNDS, {
      ours: () => timed(() => prover.prove(inputs)),
      raw: () => timed(() => ask({ inputs })),
    });
    await Promise.all([prover.stop(), worker.terminate()]);
    yield { name: `prove: ${id}, raw snarkjs in a worker`, value: times.raw / 1000, unit: "s" };
    yield {
      name: `prove: ${id}, createProver`,
      value: times.ours / 1000,
      unit: "s",
      ratio: times.raw / times.ours,
      against: "snarkjs.groth16.fullProve, single-threaded worker",
    };
    yield* parts(id, keys, inputs);
  }
  for (const id of ["gradient-32x10", "gradient-32x30"]) yield* peaks(id, await circuitFor(id));
}

/** Where the time goes, and how long the keys take to load. */
async function* parts(
  id: string,
  { wasmPath, zkeyPath }: Keys,
  inputs: ReturnType<typeof gradientWitness>,
): AsyncGenerator<Figure> {
  const [wasm, zkey] = [new Uint8Array(await readFile(wasmPath)), new Uint8Array(await readFile(zkeyPath))];
  const loading: number[] = [];
  const load = async () => {
    const started = performance.now();
    const groth16 = await createGroth16(zkey);
    loading.push(performance.now() - started);
    invariant(groth16 !== undefined, "this machine has fused multiply-add");
    return groth16;
  };
  await load();
  const groth16 = await load();
  const calculator = await createWitnessCalculator(wasm);
  const times = new Map<Phase | "witness", number[]>();
  for (let round = -2; round < ROUNDS; round++) {
    const note = (phase: Phase | "witness", ms: number): void => {
      if (round >= 0) times.set(phase, [...(times.get(phase) ?? []), ms]);
    };
    let started = performance.now();
    const witness = await calculator.calculate(inputs);
    note("witness", performance.now() - started);
    let current: Phase | undefined;
    const begin = (phase: Phase | undefined): void => {
      if (phase === current) return;
      if (current !== undefined) note(current, performance.now() - started);
      started = performance.now();
      current = phase;
    };
    groth16.prove(witness, { r: 5n ** 80n, s: 7n ** 70n }, begin);
    begin(undefined);
  }
  for (const part of ["witness", ...PHASES] as const) {
    yield { name: `prove: ${id}, of that: ${part}`, value: median(times.get(part) ?? []), unit: "ms" };
  }
  yield { name: `prove: ${id}, reading the keys`, value: median(loading), unit: "ms" };
  yield { name: `prove: ${id}, the machine's memory`, value: groth16.bytes() / MIB, unit: "MiB" };
}

/** The most memory that a process took which made three proofs, Node itself included: ours and snarkjs'. */
async function* peaks(id: string, { wasmPath, zkeyPath }: Keys): AsyncGenerator<Figure> {
  const script = fileURLToPath(new URL("./prove-peak-worker.ts", import.meta.url));
  for (const who of ["createProver", "raw snarkjs"]) {
    const { stdout } = await run(process.execPath, [script, who, id, wasmPath, zkeyPath]);
    yield { name: `prove: ${id}, peak memory, ${who}`, value: Number(stdout) / MIB, unit: "MiB" };
  }
}

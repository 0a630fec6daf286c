/** What a proof costs through createProver, beside raw snarkjs in a worker of the same kind; and its parts. */

import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { gradientWitness } from "../../circuits/gradient/witness.ts";
import { createOwnEngine } from "../../circuits/prove/engine.ts";
import { createGroth16, type Groth16, PHASES, type Phase } from "../../circuits/prove/groth16.ts";
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
    const ask = async (request: object): Promise<number> => {
      worker.postMessage(request);
      const [answer] = await once(worker, "message");
      return Number(answer);
    };
    await ask({ wasmPath, zkeyPath });
    const [wasm, zkey] = await Promise.all([wasmPath, zkeyPath].map(async (path) => readFile(path)));
    const engine = await createOwnEngine(new Uint8Array(wasm ?? []), new Uint8Array(zkey ?? []));
    invariant(engine !== undefined, "this machine has fused multiply-add");
    const rawProcessor: number[] = [];
    const times = await inTurns(ROUNDS, {
      ours: () => timed(() => prover.prove(inputs)),
      raw: () => timed(async () => rawProcessor.push(await ask({ inputs }))),
      ourProcessor: () => processorTime(() => engine.prove(inputs, () => undefined)),
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
    const raw = median(rawProcessor);
    yield { name: `prove: ${id}, raw snarkjs, processor time`, value: raw / 1000, unit: "s" };
    yield {
      name: `prove: ${id}, our engine, processor time`,
      value: times.ourProcessor / 1000,
      unit: "s",
      ratio: raw / times.ourProcessor,
      against: "snarkjs.groth16.fullProve, processor time of its thread",
    };
    yield* parts(id, keys, inputs);
  }
  for (const id of ["gradient-32x10", "gradient-32x30"]) yield* peaks(id, await circuitFor(id));
}

/** Milliseconds of the processor in this thread, which neighbours on the machine disturb less. */
async function processorTime(run: () => unknown): Promise<number> {
  const before = process.threadCpuUsage();
  await run();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

/** Where the time goes, processor time too, and how long the keys take to load. */
async function* parts(
  id: string,
  { wasmPath, zkeyPath }: Keys,
  inputs: ReturnType<typeof gradientWitness>,
): AsyncGenerator<Figure> {
  const [wasm, zkey] = [new Uint8Array(await readFile(wasmPath)), new Uint8Array(await readFile(zkeyPath))];
  const loading: number[] = [];
  let groth16: Groth16 | undefined;
  for (let round = 0; round < 2; round++) {
    loading.push(
      await processorTime(async () => {
        groth16 = await createGroth16(zkey);
      }),
    );
  }
  invariant(groth16 !== undefined, "this machine has fused multiply-add");
  const calculator = await createWitnessCalculator(wasm);
  // Sums over all rounds: single ones are shorter than the clock is fine.
  const times = new Map<Phase | "witness", number>();
  for (let round = -2; round < ROUNDS; round++) {
    let before = process.threadCpuUsage();
    const note = (phase: Phase | "witness"): void => {
      const { user, system } = process.threadCpuUsage(before);
      before = process.threadCpuUsage();
      if (round >= 0) times.set(phase, (times.get(phase) ?? 0) + (user + system) / 1000 / ROUNDS);
    };
    const witness = await calculator.calculate(inputs);
    note("witness");
    let current: Phase | undefined;
    const begin = (phase: Phase | undefined): void => {
      if (phase === current) return;
      if (current !== undefined) note(current);
      current = phase;
    };
    groth16.prove(witness, { r: 5n ** 80n, s: 7n ** 70n }, begin);
    begin(undefined);
  }
  for (const part of ["witness", ...PHASES] as const) {
    yield { name: `prove: ${id}, of that: ${part}`, value: times.get(part) ?? 0, unit: "ms" };
  }
  yield { name: `prove: ${id}, reading the keys`, value: Math.min(...loading), unit: "ms" };
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

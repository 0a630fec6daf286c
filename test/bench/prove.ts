/** What a proof costs through createProver, beside raw snarkjs in a worker of the same kind. */

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { gradientWitness } from "../../circuits/gradient/witness.ts";
import { createProver } from "../../circuits/prove/prover.ts";
import { shapeOf } from "../../consensus/work/gradient.ts";
import { circuitFor } from "../circuits/proofs.ts";
import { randomJob } from "../circuits/witnesses.ts";
import { type Figure, inTurns, timed } from "./figure.ts";

const ROUNDS = 7;

export async function* bench(): AsyncGenerator<Figure> {
  for (const id of ["gradient-32x10", "gradient-32x30"]) {
    const { wasmPath, zkeyPath } = await circuitFor(id);
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
  }
}

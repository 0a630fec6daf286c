/** A process that makes three proofs and prints the most bytes that it took. Started by prove.ts. */

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { gradientWitness } from "../../circuits/gradient/witness.ts";
import { createProver } from "../../circuits/prove/prover.ts";
import { shapeOf } from "../../consensus/work/gradient.ts";
import { randomJob } from "../circuits/witnesses.ts";

const PROOFS = 3;
const [who = "", id = "", wasmPath = "", zkeyPath = ""] = process.argv.slice(2);
const shape = shapeOf(id);
const inputs = gradientWitness(shape, randomJob(shape, 5));

if (who === "createProver") {
  const prover = createProver({ wasm: wasmPath, zkey: zkeyPath });
  for (let i = 0; i < PROOFS; i++) await prover.prove(inputs);
  await prover.stop();
} else {
  const worker = new Worker(new URL("./prove-worker.ts", import.meta.url));
  for (const request of [{ wasmPath, zkeyPath }, ...new Array<object>(PROOFS).fill({ inputs })]) {
    worker.postMessage(request);
    await once(worker, "message");
  }
  await worker.terminate();
}
process.stdout.write(`${process.resourceUsage().maxRSS * 1024}\n`);

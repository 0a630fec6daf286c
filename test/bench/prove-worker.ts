/**
 * Raw `snarkjs.groth16.fullProve` in a worker, single-threaded, keys in memory: what the prover is held
 * against. Started by prove.ts; answers with the processor's milliseconds.
 */

import { readFile } from "node:fs/promises";
import { parentPort } from "node:worker_threads";
import { stubWebWorker } from "../../circuits/thread.ts";
import { invariant } from "../../consensus/primitives/faults.ts";

type FullProve = (inputs: object, wasm: Uint8Array, zkey: Uint8Array) => Promise<unknown>;
type Request = { readonly wasmPath: string; readonly zkeyPath: string } | { readonly inputs: object };

stubWebWorker();
const [{ groth16 }, { buildBn128 }] = await Promise.all([import("snarkjs"), import("ffjavascript")]);
Object.assign(globalThis, { curve_bn128: await buildBn128(true) });
const { fullProve } = groth16 as unknown as { readonly fullProve: FullProve };
invariant(parentPort !== null, "this file is a worker");
const port = parentPort;
let keys: { readonly wasm: Uint8Array; readonly zkey: Uint8Array } | undefined;

async function answer(request: Request): Promise<void> {
  if ("wasmPath" in request) {
    const [wasm, zkey] = await Promise.all([readFile(request.wasmPath), readFile(request.zkeyPath)]);
    keys = { wasm: new Uint8Array(wasm), zkey: new Uint8Array(zkey) };
    port.postMessage("loaded");
    return;
  }
  invariant(keys !== undefined, "keys are loaded first");
  const before = process.threadCpuUsage();
  await fullProve(request.inputs, keys.wasm, keys.zkey);
  const { user, system } = process.threadCpuUsage(before);
  port.postMessage((user + system) / 1000);
}

port.on("message", (request: Request) => void answer(request));

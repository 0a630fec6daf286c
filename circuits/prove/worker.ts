/**
 * The prover's thread: snarkjs, single-threaded, with one circuit's keys in memory. Started by prover.ts.
 * Witness and private inputs stay in this thread; only proof, public signals and progress leave it.
 */

import { readFile } from "node:fs/promises";
import { FaultError, invariant } from "../../consensus/primitives/faults.ts";
import type { CircuitInputs } from "../gradient/witness.ts";
import { encodeProof } from "../proof.ts";
import { serveThread, stubWebWorker } from "../thread.ts";

/** A file's path or its bytes. */
export type KeyFile = string | Uint8Array;

export type ProverRequest =
  | { readonly kind: "load"; readonly wasm: KeyFile; readonly zkey: KeyFile }
  | { readonly kind: "prove"; readonly inputs: CircuitInputs };

export type ProverReply = { readonly proof: Uint8Array; readonly publicSignals: bigint[] } | undefined;

/** snarkjs' debug messages in their order, and how far a proof is when each appears, in percent. */
const MILESTONES: readonly (readonly [message: string, percent: number])[] = [
  ["Reading Wtns", 8],
  ["Building ABC", 10],
  ["QAP AB", 12],
  ["IFFT_A", 18],
  ["FFT_A", 21],
  ["IFFT_B", 24],
  ["FFT_B", 27],
  ["IFFT_C", 30],
  ["FFT_C", 33],
  ["Join ABC", 36],
  ["Reading A Points", 38],
  ["Reading B1 Points", 48],
  ["Reading B2 Points", 58],
  ["Reading C Points", 74],
  ["Reading H Points", 84],
];

stubWebWorker();
const [{ groth16, wtns }, { buildBn128 }] = await Promise.all([import("snarkjs"), import("ffjavascript")]);
// snarkjs looks here first; given an option instead, it would build the curve again for every proof.
Object.assign(globalThis, { curve_bn128: await buildBn128(true) });

// circom's runtime prints failed lines and a circuit's log() to the console; nothing of a witness goes there.
for (const method of ["log", "info", "warn", "error"] as const) console[method] = () => undefined;

let keys: { readonly wasm: Uint8Array; readonly zkey: Uint8Array } | undefined;

const load = async (file: KeyFile): Promise<Uint8Array> =>
  typeof file === "string" ? new Uint8Array(await readFile(file)) : file;

async function witnessOf(wasm: Uint8Array, inputs: CircuitInputs): Promise<Uint8Array> {
  const witness: { type: "mem"; data?: Uint8Array } = { type: "mem" };
  try {
    await wtns.calculate({ ...inputs }, wasm, witness);
  } catch (error) {
    // The message names template and line of the first broken constraint, and may go on: keep only these.
    const text = error instanceof Error ? error.message : "";
    const [, template = "", line = ""] = /template (\w+?)(?:_\d+)? line: (\d+)/.exec(text) ?? [];
    throw new FaultError("circuit/witness-failed", { template, line });
  }
  invariant(witness.data !== undefined, "snarkjs wrote the witness");
  return witness.data;
}

serveThread<ProverRequest, ProverReply>(async (request, progress) => {
  if (request.kind === "load") {
    keys = { wasm: await load(request.wasm), zkey: await load(request.zkey) };
    return undefined;
  }
  invariant(keys !== undefined, "keys are loaded before a proof");
  progress(1);
  const data = await witnessOf(keys.wasm, request.inputs);
  const report = (message: string): void => {
    // Every message is a sign of life; those in the table move the percentage.
    progress(MILESTONES.find(([start]) => message.startsWith(start))?.[1]);
  };
  const logger = { debug: report, info: report, warn: report, error: report };
  const { proof, publicSignals } = await groth16.prove(keys.zkey, { type: "mem", data }, logger);
  return { proof: encodeProof(proof), publicSignals: publicSignals.map(BigInt) };
});

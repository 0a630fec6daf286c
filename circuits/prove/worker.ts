/**
 * The prover's thread: one circuit's keys, read once, and what makes proofs of them. Started by prover.ts.
 * Witness and private inputs stay in this thread; only proof, public signals and progress leave it.
 */

import { readFile } from "node:fs/promises";
import { invariant } from "../../consensus/primitives/faults.ts";
import type { CircuitInputs } from "../gradient/witness.ts";
import { serveThread } from "../thread.ts";
import { createOwnEngine, type Engine, FELL_BACK, type Proved, withFallback } from "./engine.ts";
import { createSnarkjsEngine } from "./snarkjs.ts";

/** A file's path or its bytes. */
export type KeyFile = string | Uint8Array;

export type ProverRequest =
  | { readonly kind: "load"; readonly wasm: KeyFile; readonly zkey: KeyFile }
  | { readonly kind: "prove"; readonly inputs: CircuitInputs };

export type ProverReply = Proved | undefined;

// Libraries print failed lines and a circuit's log() to the console; nothing of a witness goes there.
for (const method of ["log", "info", "warn", "error"] as const) console[method] = () => undefined;

let engine: Engine | undefined;
let tell: (progress: unknown) => void = () => undefined;

const load = async (file: KeyFile): Promise<Uint8Array> =>
  typeof file === "string" ? new Uint8Array(await readFile(file)) : file;

serveThread<ProverRequest, ProverReply>(async (request, progress) => {
  tell = progress;
  if (request.kind === "load") {
    const { wasm, zkey } = request;
    const slow = async (): Promise<Engine> => createSnarkjsEngine(await load(wasm), await load(zkey));
    const own = await createOwnEngine(await load(wasm), await load(zkey));
    engine = own === undefined ? await slow() : withFallback(own, slow, () => tell(FELL_BACK));
    return undefined;
  }
  invariant(engine !== undefined, "keys are loaded before a proof");
  return await engine.prove(request.inputs, progress);
});

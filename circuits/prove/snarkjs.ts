/**
 * snarkjs as the prover: for machines that our own does not run on, and should it fail. Called by worker.ts, in
 * a worker thread; Node only.
 */

import { FaultError, invariant } from "../../consensus/primitives/faults.ts";
import { encodeProof } from "../proof.ts";
import { stubWebWorker } from "../thread.ts";
import { keyFromPoints, snarkjsKey } from "../verification-key.ts";
import type { Engine } from "./engine.ts";
import { placeOf } from "./witness.ts";
import { readZkey } from "./zkey.ts";

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

export async function createSnarkjsEngine(wasm: Uint8Array, zkey: Uint8Array): Promise<Engine> {
  stubWebWorker();
  const [{ groth16, wtns }, { buildBn128 }] = await Promise.all([import("snarkjs"), import("ffjavascript")]);
  // snarkjs looks here first; given an option instead, it would build the curve again for every proof.
  Object.assign(globalThis, { curve_bn128: await buildBn128(true) });

  const vk = keyFromPoints(readZkey(zkey));

  return {
    prove: async (inputs, progress) => {
      progress(1);
      const witness: { type: "mem"; data?: Uint8Array } = { type: "mem" };
      try {
        await wtns.calculate({ ...inputs }, wasm, witness);
      } catch (error) {
        throw new FaultError("circuit/witness-failed", placeOf(error instanceof Error ? error.message : ""));
      }
      const { data } = witness;
      invariant(data !== undefined, "snarkjs wrote the witness");
      let highest = 1;
      const report = (message: string): void => {
        // Every message is a sign of life; those in the table move the percentage.
        highest = MILESTONES.find(([start]) => message.startsWith(start))?.[1] ?? highest;
        progress(highest);
      };
      const logger = { debug: report, info: report, warn: report, error: report };
      const { proof, publicSignals } = await groth16.prove(zkey, { type: "mem", data }, logger);
      invariant(
        await groth16.verify(snarkjsKey(vk), publicSignals, proof),
        "a proof verifies before it leaves",
      );
      return { proof: encodeProof(proof), publicSignals: publicSignals.map(BigInt) };
    },
  };
}

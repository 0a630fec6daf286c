/**
 * What makes a proof in the worker, behind one interface: our own prover where it runs, else snarkjs. Called by
 * worker.ts; browser safe.
 *
 * No proof of ours leaves unverified. Should one fail, or our prover break, snarkjs makes that proof and all
 * later ones, and the worker says so: a machine that computes wrongly once is not asked again.
 */

import { FaultError } from "../../consensus/primitives/faults.ts";
import { createBatchVerifier } from "../batch/verifier.ts";
import type { CircuitInputs } from "../gradient/witness.ts";
import { encodeProofPoints } from "../proof.ts";
import { signalsToBytes } from "../signals.ts";
import { createGroth16, type Phase } from "./groth16.ts";
import { createWitnessCalculator } from "./witness.ts";
import { SCALARS } from "./zkey.ts";

export type Proved = { readonly proof: Uint8Array; readonly publicSignals: bigint[] };

export type Engine = {
  /** `progress` takes percent. @throws `circuit/witness-failed` */
  prove(inputs: CircuitInputs, progress: (percent: number) => void): Promise<Proved>;
};

/** What the worker says, beside percent, when our own prover failed and snarkjs goes on in its place. */
export const FELL_BACK = "fell back";

/** Where a phase begins and ends, in percent of the time of a proof. */
const SHARES: Readonly<Record<Phase, readonly [from: number, to: number]>> = {
  "witness in": [10, 11],
  constraints: [11, 13],
  transforms: [13, 23],
  A: [23, 34],
  B1: [34, 42],
  B2: [42, 58],
  "C and H": [58, 96],
};
const VERIFYING = 97;

/** A number below r from the system's randomness, all equally likely. */
export function randomScalar(): bigint {
  const bytes = new Uint8Array(32);
  for (;;) {
    crypto.getRandomValues(bytes);
    bytes[0] = (bytes[0] ?? 0) & 0x3f; // r has 254 bits
    const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    bytes.fill(0);
    if (value < SCALARS.order) return value;
  }
}

/** Our own prover; `undefined` on machines without fused multiply-add. */
export async function createOwnEngine(wasm: Uint8Array, zkey: Uint8Array): Promise<Engine | undefined> {
  const groth16 = await createGroth16(zkey);
  const verifier = await createBatchVerifier();
  if (groth16 === undefined || verifier === undefined) return undefined;
  const calculator = await createWitnessCalculator(wasm);
  const vk = groth16.verificationKey;
  return {
    prove: async (inputs, progress) => {
      progress(1);
      const witness = await calculator.calculate(inputs);
      try {
        progress(9);
        const publicSignals = groth16.publicSignals(witness);
        const blinding = { r: randomScalar(), s: randomScalar() };
        const points = groth16.prove(witness, blinding, (phase, done) => {
          const [from, to] = SHARES[phase];
          progress(Math.floor(from + (to - from) * done));
        });
        const proof = encodeProofPoints(points);
        progress(VERIFYING);
        const [valid] = verifier.verify([{ vk, publicSignals: signalsToBytes(publicSignals), proof }]);
        if (valid !== true) throw new Error("the proof does not verify");
        return { proof, publicSignals };
      } finally {
        witness.fill(0);
      }
    },
  };
}

/**
 * `first` as long as it works, then what `second` makes, for good; `report` is told once. A witness that does
 * not fit is no failure of the prover's.
 */
export function withFallback(first: Engine, second: () => Promise<Engine>, report: () => void): Engine {
  let fallback: Promise<Engine> | undefined;
  return {
    prove: async (inputs, progress) => {
      if (fallback === undefined) {
        try {
          return await first.prove(inputs, progress);
        } catch (error) {
          if (error instanceof FaultError && error.code === "circuit/witness-failed") throw error;
          // The error itself stays here: nobody knows what is in its message.
          report();
          fallback = second();
        }
      }
      return await (await fallback).prove(inputs, progress);
    },
  };
}

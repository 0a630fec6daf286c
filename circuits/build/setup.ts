/**
 * The development set-up: proving and verification keys of a circuit from a trapdoor that everybody can
 * compute, byte-identical on every machine, in seconds. Called by build.ts. For chains whose id begins with
 * `dev-` only: such keys prove nothing to anyone, since anyone can forge; genesis refuses them elsewhere.
 */

import { sha512 } from "@noble/hashes/sha2.js";
import { invariant } from "../../consensus/primitives/faults.ts";
import { keyFromPoints, type VerificationKey } from "../verification-key.ts";
import { developmentTrapdoor, keyScalars } from "./qap.ts";
import { readR1cs } from "./r1cs.ts";
import { elementsBytes, type Group, type KeyPoints, writeZkey } from "./zkey.ts";

/** Multiples of a group's generator, as FixedBase gives them; build.ts spreads the work over threads. */
export type Multiply = (group: Group, scalars: Uint8Array) => Promise<Uint8Array>;

export type Keys = { readonly zkey: Uint8Array; readonly verificationKey: VerificationKey };

/** @param onProgress percent done, 0 to 100 */
export async function developmentSetup(
  r1csBytes: Uint8Array,
  multiply: Multiply,
  onProgress: (percent: number) => void,
): Promise<Keys> {
  const r1cs = readR1cs(r1csBytes);
  const trapdoor = developmentTrapdoor(r1csBytes);
  const { alpha, beta, delta } = trapdoor;
  // The key's own points first: threads start and build their tables while this one evaluates the QAP.
  const own1 = multiply("g1", elementsBytes([alpha, beta, delta]));
  const own2 = multiply("g2", elementsBytes([beta, 1n, delta]));
  const scalars = keyScalars(r1cs, trapdoor);
  onProgress(10);

  let done = 0;
  const total = 3 * r1cs.variables + 3 * r1cs.variables + scalars.h.length;
  const part = async (group: Group, values: readonly bigint[]): Promise<Uint8Array> => {
    const points = await multiply(group, elementsBytes(values));
    done += (group === "g2" ? 3 : 1) * values.length;
    onProgress(10 + Math.floor((89 * done) / total));
    return points;
  };
  const [keyPoints1, keyPoints2, b2, a, b1, ic, c, h] = await Promise.all([
    own1,
    own2,
    part("g2", scalars.b),
    part("g1", scalars.a),
    part("g1", scalars.b),
    part("g1", scalars.ic),
    part("g1", scalars.c),
    part("g1", scalars.h),
  ]);
  invariant(keyPoints1.length === 3 * 64 && keyPoints2.length === 3 * 128, "three points a group");
  const points: KeyPoints = {
    alpha1: keyPoints1.subarray(0, 64),
    beta1: keyPoints1.subarray(64, 128),
    delta1: keyPoints1.subarray(128, 192),
    beta2: keyPoints2.subarray(0, 128),
    gamma2: keyPoints2.subarray(128, 256),
    delta2: keyPoints2.subarray(256, 384),
    ic,
    a,
    b1,
    b2,
    c,
    h,
  };
  const zkey = writeZkey(r1cs, 2 ** scalars.power, points, sha512(r1csBytes));
  onProgress(100);
  return { zkey, verificationKey: keyFromPoints(points) };
}

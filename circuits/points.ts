/**
 * BN254 points as bytes: the strict, compressed form that proofs and verification keys have on the wire and
 * under hashes. Called by proof.ts and verification-key.ts; browser safe.
 *
 * gnark's form. G1: x, 32 bytes big-endian. G2: x = c0 + c1·i as c1 ‖ c0, 64 bytes. The top two bits of the
 * first byte, free because p < 2^254, say which y: `10` the smaller, `11` the larger of ±y, where "larger"
 * is y > (p−1)/2, in Fp2 by c1 and, if that is 0, by c0. `01` (infinity) and `00` (uncompressed) are refused.
 *
 * Decoding is canonical: one encoding a point. It refuses coordinates ≥ p, points off the curve, infinity,
 * and G2 points outside the subgroup of order r (G1 has cofactor 1). snarkjs checks none but the second.
 */

import { bn254 } from "@noble/curves/bn254.js";
import { bytesToNumberBE, numberToBytesBE } from "@noble/curves/utils.js";

export type G1Point = { readonly x: bigint; readonly y: bigint };
/** An element c0 + c1·i of Fp2. */
export type Fp2 = { readonly c0: bigint; readonly c1: bigint };
export type G2Point = { readonly x: Fp2; readonly y: Fp2 };

export const G1_BYTES = 32;
export const G2_BYTES = 64;

const { Fp, Fp2: Quadratic } = bn254.fields;
const P = Fp.ORDER;
const HALF = (P - 1n) / 2n;
const SMALLER = 0b10;
const LARGER = 0b11;
const G1_B = 3n;
const G2_B = bn254.G2.Point.CURVE().b;

const larger = (y: bigint): boolean => y > HALF;
const larger2 = ({ c0, c1 }: Fp2): boolean => (c1 === 0n ? c0 > HALF : c1 > HALF);

/** The two flag bits, and the number left when they are taken out of the first byte. */
function splitFlags(bytes: Uint8Array): { flags: number; first: bigint } {
  const copy = Uint8Array.from(bytes.subarray(0, 32));
  const flags = (copy[0] ?? 0) >> 6;
  copy[0] = (copy[0] ?? 0) & 0x3f;
  return { flags, first: bytesToNumberBE(copy) };
}

function joinFlags(bytes: Uint8Array, isLarger: boolean): Uint8Array {
  bytes[0] = (bytes[0] ?? 0) | ((isLarger ? LARGER : SMALLER) << 6);
  return bytes;
}

export function encodeG1({ x, y }: G1Point): Uint8Array {
  return joinFlags(numberToBytesBE(x, 32), larger(y));
}

export function encodeG2({ x, y }: G2Point): Uint8Array {
  const bytes = new Uint8Array(G2_BYTES);
  bytes.set(numberToBytesBE(x.c1, 32), 0);
  bytes.set(numberToBytesBE(x.c0, 32), 32);
  return joinFlags(bytes, larger2(y));
}

/** Whether bytes look like a point of G1: flags and a coordinate below p. Cheap, and says nothing about curves. */
export function isG1Shaped(bytes: Uint8Array): boolean {
  const { flags, first } = splitFlags(bytes);
  return bytes.length === G1_BYTES && (flags === SMALLER || flags === LARGER) && first < P;
}

/** As {@link isG1Shaped}, for G2. */
export function isG2Shaped(bytes: Uint8Array): boolean {
  return (
    bytes.length === G2_BYTES && isG1Shaped(bytes.subarray(0, 32)) && bytesToNumberBE(bytes.subarray(32)) < P
  );
}

/** The point, or `undefined` for any bytes that are not its one encoding. */
export function decodeG1(bytes: Uint8Array): G1Point | undefined {
  if (bytes.length !== G1_BYTES) return undefined;
  const { flags, first: x } = splitFlags(bytes);
  if ((flags !== SMALLER && flags !== LARGER) || x >= P) return undefined;
  const root = squareRoot(() => Fp.sqrt(Fp.add(Fp.mul(Fp.sqr(x), x), G1_B)));
  if (root === undefined) return undefined;
  const y = larger(root) === (flags === LARGER) ? root : Fp.neg(root);
  return g1Valid({ x, y }) ? { x, y } : undefined;
}

/** As {@link decodeG1}, in G2, subgroup included. */
export function decodeG2(bytes: Uint8Array): G2Point | undefined {
  if (bytes.length !== G2_BYTES) return undefined;
  const { flags, first: c1 } = splitFlags(bytes);
  const c0 = bytesToNumberBE(bytes.subarray(32));
  if ((flags !== SMALLER && flags !== LARGER) || c0 >= P || c1 >= P) return undefined;
  const x = { c0, c1 };
  const root = squareRoot(() => Quadratic.sqrt(Quadratic.add(Quadratic.mul(Quadratic.sqr(x), x), G2_B)));
  if (root === undefined) return undefined;
  const y = larger2(root) === (flags === LARGER) ? root : Quadratic.neg(root);
  return g2Valid({ x, y }) ? { x, y: { c0: y.c0, c1: y.c1 } } : undefined;
}

/** noble throws where there is no root. */
function squareRoot<T>(root: () => T): T | undefined {
  try {
    return root();
  } catch {
    return undefined;
  }
}

const inField = (value: bigint): boolean => value >= 0n && value < P;

/** Whether an affine point is in the group; infinity has no affine form. y = 0 is no point of odd order. */
export function g1Valid({ x, y }: G1Point): boolean {
  return inField(x) && inField(y) && Fp.eql(Fp.sqr(y), Fp.add(Fp.mul(Fp.sqr(x), x), G1_B));
}

export function g2Valid({ x, y }: G2Point): boolean {
  if (![x.c0, x.c1, y.c0, y.c1].every(inField)) return false;
  const right = Quadratic.add(Quadratic.mul(Quadratic.sqr(x), x), G2_B);
  if (!Quadratic.eql(Quadratic.sqr(y), right)) return false;
  return bn254.G2.Point.fromAffine({ x, y }).isTorsionFree();
}

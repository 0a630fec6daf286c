/**
 * Proofs from bytes into registers, many at a time: as strict as proof.ts and points.ts, but for the subgroup
 * of B, which miller.ts checks. Called by verifier.ts; points.ts has the format.
 *
 * Roots: p ≡ 3 mod 4, so v·s with s = v^((p−3)/4) is a root of v or of −v, and s its inverse up to the sign. In
 * Fp2, for a = a₀ + a₁i with n² = a₀² + a₁² and t = (a₀ + n)/2: r = t·s is a root of t, and r + (a₁s/2)·i one
 * of a; or r is a root of −t, and −a₁s/2 + r·i one of a. Two powers in either case.
 */

import { decodeG2 } from "../points.ts";
import { PROOF_BYTES } from "../proof.ts";
import { G1_B, G2_B } from "./curve.ts";
import type { Field, Register } from "./field.ts";
import type { Affine } from "./g1.ts";
import { LIMB_BITS, LIMBS, P, valueOfLimbs } from "./limbs.ts";
import type { TwistPoint } from "./miller.ts";
import { createPower } from "./powers.ts";

export type ProofRegisters = { readonly a: Affine; readonly b: TwistPoint; readonly c: Affine };

const WORDS_OF_P = Uint32Array.from({ length: 8 }, (_, i) => Number((P >> BigInt(32 * i)) & 0xffffffffn));
const HALF = (P - 1n) / 2n;
const [SMALLER, LARGER] = [0b10, 0b11];
/** Top limbs within these say the sign, and that the number is below p/2, without a look at the others. */
const TOP_OF_HALF = Number(HALF >> BigInt(LIMB_BITS * (LIMBS - 1)));

/** A coordinate: its flags and its limbs, or undefined if it is not below p. */
function readCoordinate(
  view: DataView,
  offset: number,
  limbs: Float64Array,
  hasFlags: boolean,
): number | undefined {
  const top = view.getUint32(offset);
  const flags = hasFlags ? top >>> 30 : 0;
  const w7 = hasFlags ? top & 0x3fffffff : top;
  const w6 = view.getUint32(offset + 4);
  const w5 = view.getUint32(offset + 8);
  const w4 = view.getUint32(offset + 12);
  const w3 = view.getUint32(offset + 16);
  const w2 = view.getUint32(offset + 20);
  const w1 = view.getUint32(offset + 24);
  const w0 = view.getUint32(offset + 28);
  for (let i = 7; ; i--) {
    if (i < 0) return undefined; // p itself
    const word = i === 7 ? w7 : view.getUint32(offset + 28 - 4 * i);
    const bound = WORDS_OF_P[i] ?? 0;
    if (word > bound) return undefined;
    if (word < bound) break;
  }
  limbs[0] = w0 + (w1 & 0x7ffff) * 2 ** 32;
  limbs[1] = (w1 >>> 19) + w2 * 2 ** 13 + (w3 & 0x3f) * 2 ** 45;
  limbs[2] = (w3 >>> 6) + (w4 & 0x1ffffff) * 2 ** 26;
  limbs[3] = (w4 >>> 25) + w5 * 2 ** 7 + (w6 & 0xfff) * 2 ** 39;
  limbs[4] = (w6 >>> 12) + w7 * 2 ** 20;
  return flags;
}

export function createDecoder(field: Field) {
  const { mul, add, sub, normal } = field;
  const rootPower = createPower(field, (P - 3n) / 4n);
  const three = field.constant(G1_B);
  const twistB = field.constant2(G2_B);
  const half = field.constant((P + 1n) / 2n);
  const [value, root, power, check] = [field.fp(), field.fp(), field.fp(), field.fp()];
  const [right, found, square, plain] = [field.fp2(), field.fp2(), field.fp2(), field.fp2()];
  const [t, h] = [field.fp(), field.fp()];

  const equal = (d: Register, a: Register, b: Register, n: number): void => {
    sub(d, a, b, n);
    normal(d, d, n);
  };
  /** Of numbers out of Montgomery form, normal: 1 above p/2, −1 below, 0 for 0. */
  const sideOf = (register: Register, element: number): number => {
    const limbs = field.readLimbs(register, element);
    const top = limbs[LIMBS - 1] ?? 0;
    if (top > 0 && top < TOP_OF_HALF - 1) return -1;
    if (top < -1 && top > 1 - TOP_OF_HALF) return 1;
    const number = valueOfLimbs(limbs);
    const canonical = ((number % P) + P) % P;
    if (canonical === 0n) return 0;
    return canonical > HALF ? 1 : -1;
  };

  const liftG1 = ({ x, y }: Affine, flags: Uint8Array, valid: Uint8Array, count: number): void => {
    const n = Math.ceil(count / 2);
    mul(value, x, x, n);
    mul(value, value, x, n);
    add(value, value, three, n);
    normal(value, value, n);
    rootPower(power, value, n);
    mul(root, power, value, n);
    mul(check, root, root, n);
    equal(check, check, value, n);
    field.leaveForm(plain, root, n);
    for (let i = 0; i < count; i++) {
      if (!field.isZero(check, i)) valid[i] = 0;
      const larger = sideOf(plain, i) > 0;
      field.move(y, i, root, i, larger !== (flags[i] === LARGER));
    }
  };

  const liftG2 = (
    { x, y }: TwistPoint,
    flags: Uint8Array,
    valid: Uint8Array,
    proofs: readonly Uint8Array[],
  ): void => {
    const count = proofs.length;
    const n = Math.ceil(count / 2);
    field.sqr2(right, x, n);
    field.mul2(right, right, x, n);
    field.add2(right, right, twistB, n);
    field.normal2(right, right, n);
    field.norm2(value, right, n);
    rootPower(power, value, n);
    mul(root, power, value, n); // where this is no root, the last check fails
    add(t, right, root, n);
    mul(t, t, half, n);
    rootPower(power, t, n);
    mul(root, power, t, n);
    mul(h, field.part1(right), half, n);
    mul(h, h, power, n);
    mul(check, root, root, n);
    equal(check, check, t, n);
    for (let i = 0; i < count; i++) {
      const isRoot = field.isZero(check, i);
      field.move(found, i, isRoot ? root : h, i, !isRoot);
      field.move(field.part1(found), i, isRoot ? h : root, i);
    }
    field.sqr2(square, found, n);
    field.sub2(square, square, right, n);
    field.normal2(square, square, n);
    field.leaveForm(plain, found, n);
    field.leaveForm(field.part1(plain), field.part1(found), n);
    for (let i = 0; i < count; i++) {
      if (field.isZero(t, i)) {
        // a₁ = 0, or n = −a₀: the formulas above do not tell these apart.
        const point = decodeG2(proofs[i]?.subarray(32, 96) ?? new Uint8Array());
        if (point === undefined) valid[i] = 0;
        field.write(y, i, point?.y.c0 ?? 0n);
        field.write(field.part1(y), i, point?.y.c1 ?? 0n);
        continue;
      }
      if (!field.isZero(square, i) || !field.isZero(field.part1(square), i)) valid[i] = 0;
      const larger = (sideOf(field.part1(plain), i) || sideOf(plain, i)) > 0;
      const negative = larger !== (flags[i] === LARGER);
      field.move(y, i, found, i, negative);
      field.move(field.part1(y), i, field.part1(found), i, negative);
    }
  };

  /** Points into the registers; 1 for each proof whose bytes are canonical and whose points are on curve. */
  return ({ a, b, c }: ProofRegisters, proofs: readonly Uint8Array[]): Uint8Array => {
    const count = proofs.length;
    const n = Math.ceil(count / 2);
    const valid = new Uint8Array(count).fill(1);
    const flags = { a: new Uint8Array(count), b: new Uint8Array(count), c: new Uint8Array(count) };
    const limbs = new Float64Array(LIMBS);
    for (const [i, bytes] of proofs.entries()) {
      if (bytes.length !== PROOF_BYTES) {
        valid[i] = 0;
        continue;
      }
      const view = new DataView(bytes.buffer, bytes.byteOffset, PROOF_BYTES);
      const read = (register: Register, offset: number, hasFlags: boolean): number => {
        const found = readCoordinate(view, offset, limbs, hasFlags);
        if (found === undefined || (hasFlags && found !== SMALLER && found !== LARGER)) valid[i] = 0;
        else field.writeLimbs(register, i, limbs);
        return found ?? 0;
      };
      flags.a[i] = read(a.x, 0, true);
      flags.b[i] = read(field.part1(b.x), 32, true);
      read(b.x, 64, false);
      flags.c[i] = read(c.x, 96, true);
    }
    for (const x of [a.x, b.x, field.part1(b.x), c.x]) field.enterForm(x, x, n);
    liftG1(a, flags.a, valid, count);
    liftG1(c, flags.c, valid, count);
    liftG2(b, flags.b, valid, proofs);
    return valid;
  };
}

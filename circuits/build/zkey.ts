/**
 * Writes a `.zkey`, snarkjs' Groth16 proving key, byte by byte. Called by the development set-up.
 *
 * Layout: "zkey", u32 version 1, u32 10 sections, each {u32 id, u64 length}; all little-endian.
 *
 * 1 protocol · 2 header and the key's own points · 3 IC · 4 coefficients of A and B · 5 A · 6 B in G1 ·
 * 7 B in G2 · 8 C, private signals only · 9 H · 10 hash of the circuit, contributions (none).
 *
 * Points are affine and in Montgomery form, infinity all zeros. Coefficients are value·2^512 mod r: the
 * prover multiplies them with plain witness values and takes out 2^256 once.
 */

import { FIELD_ORDER } from "../../consensus/work/gradient.ts";
import type { R1cs, SparseMatrix } from "./r1cs.ts";

const BASE_ORDER = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;
const GROTH16 = 1;
const ELEMENT = 32;
export const SCALAR_BYTES = ELEMENT;

export type Group = "g1" | "g2";

/** Bytes of an affine point in a key. */
export const POINT_BYTES: Readonly<Record<Group, number>> = { g1: 64, g2: 128 };
const COEFFICIENT = 12 + ELEMENT;

/** Affine points in the key's byte form. */
export type KeyPoints = {
  readonly alpha1: Uint8Array;
  readonly beta1: Uint8Array;
  readonly beta2: Uint8Array;
  readonly gamma2: Uint8Array;
  readonly delta1: Uint8Array;
  readonly delta2: Uint8Array;
  readonly ic: Uint8Array;
  readonly a: Uint8Array;
  readonly b1: Uint8Array;
  readonly b2: Uint8Array;
  readonly c: Uint8Array;
  readonly h: Uint8Array;
};

/** 32 little-endian bytes. */
function writeElement(view: DataView, at: number, value: bigint): void {
  for (let limb = 0; limb < 4; limb++) {
    view.setBigUint64(at + 8 * limb, BigInt.asUintN(64, value >> BigInt(64 * limb)), true);
  }
}

/** Numbers as 32 little-endian bytes each. */
export function elementsBytes(values: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(ELEMENT * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) writeElement(view, ELEMENT * i, value);
  return bytes;
}

function u32(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint32(4 * i, value, true);
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A's and B's entries, and A's extra rows for 1 and the public signals. */
function coefficients({ a, b, constraints, publics }: R1cs): Uint8Array {
  const count = a.rows.length + b.rows.length + publics + 1;
  const bytes = new Uint8Array(4 + count * COEFFICIENT);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, count, true);
  let at = 4;
  const put = (matrix: number, row: number, column: number, value: bigint): void => {
    view.setUint32(at, matrix, true);
    view.setUint32(at + 4, row, true);
    view.setUint32(at + 8, column, true);
    writeElement(view, at + 12, (value << 512n) % FIELD_ORDER);
    at += COEFFICIENT;
  };
  const putMatrix = (index: number, { rows, columns, values }: SparseMatrix): void => {
    for (let t = 0; t < rows.length; t++) put(index, rows[t] ?? 0, columns[t] ?? 0, values[t] ?? 0n);
  };
  putMatrix(0, a);
  putMatrix(1, b);
  for (let s = 0; s <= publics; s++) put(0, constraints + s, s, 1n);
  return bytes;
}

/** `circuitHash`: 64 bytes that name the circuit. */
export function writeZkey(
  r1cs: R1cs,
  domainSize: number,
  points: KeyPoints,
  circuitHash: Uint8Array,
): Uint8Array {
  const header = concat([
    u32(ELEMENT),
    elementsBytes([BASE_ORDER]),
    u32(ELEMENT),
    elementsBytes([FIELD_ORDER]),
    u32(r1cs.variables, r1cs.publics, domainSize),
    points.alpha1,
    points.beta1,
    points.beta2,
    points.gamma2,
    points.delta1,
    points.delta2,
  ]);
  const sections = [
    u32(GROTH16),
    header,
    points.ic,
    coefficients(r1cs),
    points.a,
    points.b1,
    points.b2,
    points.c,
    points.h,
    concat([circuitHash, u32(0)]),
  ];
  const parts = [new TextEncoder().encode("zkey"), u32(1, sections.length)];
  for (const [i, section] of sections.entries()) parts.push(u32(i + 1, section.length, 0), section);
  return concat(parts);
}

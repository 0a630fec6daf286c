/**
 * Reads a `.zkey`, snarkjs' Groth16 proving key (../build/zkey.ts says its layout). Called by groth16.ts;
 * browser safe. Keys come from the pod's own disk: what is checked is that the file is whole and of this curve.
 */

import { invariant } from "../../consensus/primitives/faults.ts";
import { BASE, createModulus, type Modulus, P } from "../batch/limbs.ts";

/** BN254's scalar field. */
export const SCALARS: Modulus =
  createModulus(21888242871839275222246405745257275088548364400416034343698204186575808495617n);

const ELEMENT = 32;
const GROTH16 = 1;
const COEFFICIENT = 12 + ELEMENT;
const DOMAIN_MAX = 2 ** 20;

export type Coefficients = {
  readonly count: number;
  /** 0 for A, 1 for B. */
  readonly matrix: (t: number) => number;
  readonly row: (t: number) => number;
  readonly signal: (t: number) => number;
  /** value · 2^512, as eight words. */
  readonly words: (t: number) => Uint32Array;
};

export type ProvingKey = {
  readonly variables: number;
  readonly publics: number;
  readonly domain: number;
  /** The key's own points: affine, coordinates of 32 bytes times 2^256. */
  readonly alpha1: Uint8Array;
  readonly beta1: Uint8Array;
  readonly beta2: Uint8Array;
  readonly gamma2: Uint8Array;
  readonly delta1: Uint8Array;
  readonly delta2: Uint8Array;
  readonly ic: Uint8Array;
  readonly coefficients: Coefficients;
  readonly a: Uint8Array;
  readonly b1: Uint8Array;
  readonly b2: Uint8Array;
  /** Private signals only. */
  readonly c: Uint8Array;
  readonly h: Uint8Array;
};

/** A little-endian number. */
export function bigintOf(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

const FORM_INVERSE = BASE.power(1n << 256n, P - 2n);

/** The coordinates of a key's affine point, out of their Montgomery form; zeros for infinity. */
export function coordinatesOf(point: Uint8Array): bigint[] {
  return Array.from({ length: point.length / ELEMENT }, (_, i) =>
    BASE.mod(bigintOf(point.subarray(ELEMENT * i, ELEMENT * (i + 1))) * FORM_INVERSE),
  );
}

export function readZkey(file: Uint8Array): ProvingKey {
  const aligned = file.byteOffset % 4 === 0 ? file : file.slice();
  const view = new DataView(aligned.buffer, aligned.byteOffset, aligned.byteLength);
  const magic = new TextDecoder().decode(aligned.subarray(0, 4));
  invariant(magic === "zkey" && view.getUint32(4, true) === 1, "the file is a zkey of version 1");
  const sections = new Map<number, Uint8Array>();
  let at = 12;
  for (let i = 0; i < view.getUint32(8, true); i++) {
    const length = Number(view.getBigUint64(at + 4, true));
    invariant(at + 12 + length <= aligned.length, "a zkey's sections are whole");
    sections.set(view.getUint32(at, true), aligned.subarray(at + 12, at + 12 + length));
    at += 12 + length;
  }
  const section = (id: number, length?: number): Uint8Array => {
    const bytes = sections.get(id);
    invariant(bytes !== undefined, "a zkey has all sections");
    invariant(length === undefined || bytes.length === length, "a zkey's section has its length");
    return bytes;
  };
  const number = (bytes: Uint8Array, offset: number): number =>
    view.getUint32(bytes.byteOffset - aligned.byteOffset + offset, true);

  invariant(number(section(1), 0) === GROTH16, "the zkey is one of Groth16");
  const header = section(2, 4 * 5 + 2 * ELEMENT + 3 * 64 + 3 * 128);
  invariant(number(header, 0) === ELEMENT && number(header, 36) === ELEMENT, "numbers have 32 bytes");
  const [base, scalar] = [header.subarray(4, 36), header.subarray(40, 72)];
  invariant(bigintOf(base) === P && bigintOf(scalar) === SCALARS.order, "the zkey's curve is BN254");
  const [variables, publics, domain] = [72, 76, 80].map((offset) => number(header, offset)) as [
    number,
    number,
    number,
  ];
  invariant(domain <= DOMAIN_MAX && Number.isInteger(Math.log2(domain)), "the domain is a power of two");
  invariant(publics < variables, "there are fewer public signals than signals");
  const own = (offset: number, length: number): Uint8Array =>
    header.subarray(84 + offset, 84 + offset + length);

  const coefficients = section(4);
  const count = number(coefficients, 0);
  invariant(coefficients.length === 4 + count * COEFFICIENT, "a zkey's coefficients are whole");
  const words = new Uint32Array(aligned.buffer, coefficients.byteOffset, coefficients.length / 4);
  const word = (t: number, index: number): number => words[1 + t * (COEFFICIENT / 4) + index] ?? 0;
  return {
    variables,
    publics,
    domain,
    alpha1: own(0, 64),
    beta1: own(64, 64),
    beta2: own(128, 128),
    gamma2: own(256, 128),
    delta1: own(384, 64),
    delta2: own(448, 128),
    ic: section(3, 64 * (publics + 1)),
    coefficients: {
      count,
      matrix: (t) => word(t, 0),
      row: (t) => word(t, 1),
      signal: (t) => word(t, 2),
      words: (t) => words.subarray(1 + t * (COEFFICIENT / 4) + 3, 1 + (t + 1) * (COEFFICIENT / 4)),
    },
    a: section(5, 64 * variables),
    b1: section(6, 64 * variables),
    b2: section(7, 128 * variables),
    c: section(8, 64 * (variables - publics - 1)),
    h: section(9, 64 * domain),
  };
}

/**
 * The quadratic arithmetic program of a circuit, evaluated at a known point: every exponent of its proving
 * key as a number. Called by the development set-up only: whoever knows the point can forge proofs, and here
 * everybody knows it.
 */

import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { invariant } from "../../consensus/primitives/faults.ts";
import { FIELD_ORDER as r } from "../../consensus/work/gradient.ts";
import type { R1cs, SparseMatrix } from "./r1cs.ts";

/** A generator of the scalar field's units, as in ffjavascript: its powers are the roots of unity of the zkey. */
const GENERATOR = 5n;
const TWO_ADICITY = 28n;

/** What a set-up must forget. γ is 1, as in snarkjs' keys. */
export type Trapdoor = {
  readonly tau: bigint;
  readonly alpha: bigint;
  readonly beta: bigint;
  readonly delta: bigint;
};

/** Exponents of the key's points; `a`, `b1` and `b2` share `a` and `b`. */
export type KeyScalars = {
  /** 2^power points carry the constraints. */
  readonly power: number;
  readonly a: bigint[];
  readonly b: bigint[];
  /** Of the public signals, 1 included. */
  readonly ic: bigint[];
  /** Of the private signals, over δ. */
  readonly c: bigint[];
  /** Of the odd points of the doubled domain, over δ. */
  readonly h: bigint[];
};

const mod = (value: bigint): bigint => {
  const rest = value % r;
  return rest < 0n ? rest + r : rest;
};

function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, base % r];
  for (let e = exponent; e > 0n; e >>= 1n) {
    if ((e & 1n) === 1n) result = (result * square) % r;
    square = (square * square) % r;
  }
  return result;
}

const inverse = (value: bigint): bigint => power(value, r - 2n);

/** Montgomery's trick: one inversion for all; no value is zero. */
function inverses(values: readonly bigint[]): bigint[] {
  const prefix: bigint[] = [];
  let product = 1n;
  for (const value of values) {
    prefix.push(product);
    product = (product * value) % r;
  }
  let rest = inverse(product);
  const result = new Array<bigint>(values.length);
  for (let i = values.length - 1; i >= 0; i--) {
    result[i] = (rest * (prefix[i] ?? 0n)) % r;
    rest = (rest * (values[i] ?? 0n)) % r;
  }
  return result;
}

/** The trapdoor of a circuit's development keys: hashes of its r1cs, the same on every machine. */
export function developmentTrapdoor(r1cs: Uint8Array): Trapdoor {
  const digest = sha256(r1cs);
  const derive = (name: string): bigint => {
    const wide = sha512(concatBytes(utf8ToBytes(`zkp/circuits/development-setup/${name}/`), digest));
    const value = mod(wide.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n));
    invariant(value > 1n, "a hash is not 0 or 1");
    return value;
  };
  return { tau: derive("tau"), alpha: derive("alpha"), beta: derive("beta"), delta: derive("delta") };
}

/** snarkjs' domain: room for the constraints, one row a public signal and one for 1. */
export function domainPower({ constraints, publics }: R1cs): number {
  return Math.floor(Math.log2(constraints + publics)) + 1;
}

/** Lagrange polynomials of the 2^k-th roots of unity ω^start, ω^(start+step), …, at τ. */
function lagrange(k: number, start: number, step: number, tau: bigint): bigint[] {
  const size = 2 ** k;
  const root = power(power(GENERATOR, (r - 1n) >> TWO_ADICITY), 1n << (TWO_ADICITY - BigInt(k)));
  const stride = power(root, BigInt(step));
  const points: bigint[] = [];
  let point = power(root, BigInt(start));
  for (let i = start; i < size; i += step) {
    points.push(point);
    point = (point * stride) % r;
  }
  // L_i(τ) = (τ^n − 1)/n · ω^i / (τ − ω^i)
  const scale = mod((power(tau, BigInt(size)) - 1n) * inverse(BigInt(size)));
  const denominators = inverses(points.map((value) => mod(tau - value)));
  return points.map((value, i) => (((value * scale) % r) * (denominators[i] ?? 0n)) % r);
}

/** Per column, Σ value · L_row(τ). */
function columnsAt(matrix: SparseMatrix, variables: number, basis: readonly bigint[]): bigint[] {
  const sums = new Array<bigint>(variables).fill(0n);
  const { rows, columns, values } = matrix;
  for (let t = 0; t < rows.length; t++) {
    const column = columns[t] ?? 0;
    // Wide sums, reduced once at the end.
    sums[column] = (sums[column] ?? 0n) + (values[t] ?? 0n) * (basis[rows[t] ?? 0] ?? 0n);
  }
  return sums.map(mod);
}

export function keyScalars(r1cs: R1cs, { tau, alpha, beta, delta }: Trapdoor): KeyScalars {
  const { variables, publics, constraints } = r1cs;
  const k = domainPower(r1cs);
  const basis = lagrange(k, 0, 1, tau);
  const a = columnsAt(r1cs.a, variables, basis);
  const b = columnsAt(r1cs.b, variables, basis);
  const c = columnsAt(r1cs.c, variables, basis);
  // A row of its own for 1 and each public signal keeps their polynomials independent.
  for (let s = 0; s <= publics; s++) a[s] = mod((a[s] ?? 0n) + (basis[constraints + s] ?? 0n));

  const overDelta = inverse(delta);
  const ic: bigint[] = [];
  const privates: bigint[] = [];
  for (let s = 0; s < variables; s++) {
    const sum = mod(beta * (a[s] ?? 0n) + alpha * (b[s] ?? 0n) + (c[s] ?? 0n));
    if (s <= publics) ic.push(sum);
    else privates.push((sum * overDelta) % r);
  }
  const h = lagrange(k + 1, 1, 2, tau).map((value) => (value * overDelta) % r);
  return { power: k, a, b, ic, c: privates, h };
}

/**
 * Jobs, witnesses and constraint checks that the circuit tests share. A forged witness is checked against the
 * constraints themselves: a cheating prover has its own witness generator, so the generator's refusals prove
 * nothing.
 */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { wtns } from "snarkjs";
import type { R1cs } from "../../circuits/build/r1cs.ts";
import type { CircuitInputs, GradientJob } from "../../circuits/gradient/witness.ts";
import { contentOf, leafOf, merkleTree } from "../../circuits/hash.ts";
import { FIELD_ORDER, type GradientShape, type Rows } from "../../consensus/work/gradient.ts";

export const SECRET = 0x5ec2e7n ** 9n;
export const SALT = 0x5a17n ** 8n;
export const BATCH = 3;

/** Numbers in [0, 1) from a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A job whose batch is leaf 3 of its tree. */
export function jobOf(rows: Rows, model: readonly number[]): GradientJob {
  const tree = merkleTree([1n, 2n, 3n, leafOf(contentOf(rows), SALT), 5n], 10);
  return {
    task: 2n ** 247n + 77n,
    epoch: 5,
    model,
    dataRoot: tree.root,
    batchIndex: BATCH,
    siblings: tree.path(BATCH),
    rows,
    salt: SALT,
    secret: SECRET,
  };
}

/** A job with random features, labels and small weights, so that rows fall on all sides of the clamp. */
export function randomJob({ rows, features }: GradientShape, seed: number): GradientJob {
  const random = randomFrom(seed);
  const integer = (low: number, high: number): number => low + Math.floor(random() * (high - low + 1));
  return jobOf(
    {
      features,
      x: Int16Array.from({ length: rows * features }, () => integer(-2048, 2047)),
      y: Uint8Array.from({ length: rows }, () => integer(0, 1)),
    },
    Array.from({ length: features + 1 }, () => integer(-(2 ** 15), 2 ** 15)),
  );
}

/** The witness that the circuit's generator computes; it throws where a constraint of the source fails. */
export async function witnessOf(wasm: Uint8Array, inputs: CircuitInputs): Promise<bigint[]> {
  const file: { type: "mem"; data?: Uint8Array } = { type: "mem" };
  await wtns.calculate({ ...inputs }, wasm, file);
  return await wtns.exportJson(file);
}

/** Whether the circuit's generator refuses the inputs. */
export async function isRefused(wasm: Uint8Array, inputs: CircuitInputs): Promise<boolean> {
  // circom's runtime prints the failing line; a test that expects it stays silent.
  const { error } = console;
  console.error = () => undefined;
  try {
    await witnessOf(wasm, inputs);
    return false;
  } catch (failure) {
    assert.match(String(failure), /Assert Failed/);
    return true;
  } finally {
    console.error = error;
  }
}

export async function readBytes(path: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(path));
}

type Evaluated = { readonly a: bigint[]; readonly b: bigint[]; readonly c: bigint[] };

const MATRICES = ["a", "b", "c"] as const;

/** ⟨A,z⟩, ⟨B,z⟩ and ⟨C,z⟩ of every constraint. */
export function evaluate(r1cs: R1cs, witness: readonly bigint[]): Evaluated {
  const zeros = (): bigint[] => new Array<bigint>(r1cs.constraints).fill(0n);
  const values = { a: zeros(), b: zeros(), c: zeros() };
  for (const name of MATRICES) {
    const { rows, columns, values: entries } = r1cs[name];
    const sums = values[name];
    for (const [t, row] of rows.entries()) {
      sums[row] = ((sums[row] ?? 0n) + (entries[t] ?? 0n) * (witness[columns[t] ?? 0] ?? 0n)) % FIELD_ORDER;
    }
  }
  return values;
}

/** The constraints that a witness breaks. */
export function brokenConstraints(r1cs: R1cs, witness: readonly bigint[]): number[] {
  const { a, b, c } = evaluate(r1cs, witness);
  return a.flatMap((left, row) => (isHeld(left, b[row] ?? 0n, c[row] ?? 0n) ? [] : [row]));
}

function isHeld(a: bigint, b: bigint, c: bigint): boolean {
  return (a * b - c) % FIELD_ORDER === 0n;
}

/** The wires that can change alone, by `delta`, without breaking any constraint. */
export function freeWires(r1cs: R1cs, witness: readonly bigint[], delta: bigint): number[] {
  const base = evaluate(r1cs, witness);
  type Change = { a: bigint; b: bigint; c: bigint };
  const changes = new Map<number, Map<number, Change>>();
  for (const name of MATRICES) {
    const { rows, columns, values } = r1cs[name];
    for (const [t, row] of rows.entries()) {
      const wire = columns[t] ?? 0;
      const ofWire = changes.get(wire) ?? new Map<number, Change>();
      changes.set(wire, ofWire);
      const change = ofWire.get(row) ?? { a: 0n, b: 0n, c: 0n };
      ofWire.set(row, change);
      change[name] += (values[t] ?? 0n) * delta;
    }
  }
  const free: number[] = [];
  for (let wire = 1; wire < r1cs.variables; wire++) {
    const held = [...(changes.get(wire) ?? [])].every(([row, change]) =>
      isHeld((base.a[row] ?? 0n) + change.a, (base.b[row] ?? 0n) + change.b, (base.c[row] ?? 0n) + change.c),
    );
    if (held) free.push(wire);
  }
  return free;
}

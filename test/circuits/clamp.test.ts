/**
 * The clamp gadget, exhaustively at a small size: not that a right witness is accepted, but that no wrong one
 * exists. All assignments are searched that satisfy the constraints.
 */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hashOfSources, sourcesOf, writeSources } from "../../circuits/build/compile.ts";
import { createBuilderPool } from "../../circuits/build/pool.ts";
import { type R1cs, readR1cs } from "../../circuits/build/r1cs.ts";
import { FIELD_ORDER as r } from "../../consensus/work/gradient.ts";

const BITS = 5;
const WIDTH = 3;
const OUT = 1;
const SHIFTED = 2;

async function compile(main: string): Promise<R1cs> {
  const folder = await mkdtemp(join(tmpdir(), "zkp-circuit-"));
  const pool = createBuilderPool(1);
  try {
    const { r1csPath } = await writeSources(folder, await sourcesOf(main));
    await pool.run({ kind: "compile", shapeId: "test", folder });
    return readR1cs(await readFile(r1csPath));
  } finally {
    await pool.stop();
    await rm(folder, { recursive: true });
  }
}

type Linear = { constant: bigint; readonly unknown: Map<number, bigint> };
type Constraint = {
  readonly a: [number, bigint][];
  readonly b: [number, bigint][];
  readonly c: [number, bigint][];
};

function constraintsOf(r1cs: R1cs): Constraint[] {
  const list = Array.from({ length: r1cs.constraints }, (): Constraint => ({ a: [], b: [], c: [] }));
  for (const name of ["a", "b", "c"] as const) {
    const { rows, columns, values } = r1cs[name];
    for (const [t, row] of rows.entries()) list[row]?.[name].push([columns[t] ?? 0, values[t] ?? 0n]);
  }
  return list;
}

const mod = (value: bigint): bigint => ((value % r) + r) % r;

function inverse(value: bigint): bigint {
  let [result, base] = [1n, mod(value)];
  for (let e = r - 2n; e > 0n; e >>= 1n) {
    if (e % 2n === 1n) result = (result * base) % r;
    base = (base * base) % r;
  }
  return result;
}

/**
 * The values that wire `target` has in any satisfying assignment that extends `known`. Every constraint with
 * one unknown wire is solved; where none is left that helps, a bit is tried as 0 and as 1.
 */
function valuesOf(
  target: number,
  constraints: readonly Constraint[],
  known: Map<number, bigint>,
): Set<bigint> {
  const assigned = new Map(known);
  let branch: { wire: number; roots: bigint[] } | undefined;
  for (let progress = true; progress; ) {
    progress = false;
    branch = undefined;
    for (const { a, b, c } of constraints) {
      const [x, y, z] = [a, b, c].map((terms) => part(terms, assigned));
      assert.ok(x && y && z);
      // Nothing times an unknown is nothing.
      if (x.unknown.size === 0 && x.constant === 0n) y.unknown.clear();
      if (y.unknown.size === 0 && y.constant === 0n) x.unknown.clear();
      const unknown = new Set([...x.unknown.keys(), ...y.unknown.keys(), ...z.unknown.keys()]);
      const [wire] = unknown;
      if (wire === undefined) {
        if (mod(x.constant * y.constant - z.constant) !== 0n) return new Set();
        continue;
      }
      if (unknown.size > 1) continue;
      const [xw, yw, zw] = [x, y, z].map(({ unknown: terms }) => terms.get(wire) ?? 0n);
      assert.ok(xw !== undefined && yw !== undefined && zw !== undefined);
      const square = mod(xw * yw);
      const slope = mod(x.constant * yw + y.constant * xw - zw);
      const rest = mod(z.constant - x.constant * y.constant);
      if (square !== 0n) {
        // The only squares in this gadget are bits, w·w = w, or with w as a sum of others, v·(v − 1) = 0.
        if (zw === 0n && z.constant === 0n) {
          branch = { wire, roots: [mod(-x.constant * inverse(xw)), mod(-y.constant * inverse(yw))] };
        } else {
          assert.equal(rest, 0n);
          branch = { wire, roots: [0n, mod(-slope * inverse(square))] };
        }
      } else if (slope !== 0n) {
        assigned.set(wire, mod(rest * inverse(slope)));
        progress = true;
      } else if (rest !== 0n) return new Set();
    }
  }
  if (branch === undefined) {
    const value = assigned.get(target);
    assert.ok(value !== undefined, "the target is determined");
    return new Set([value]);
  }
  const { wire, roots } = branch;
  return new Set(
    roots.flatMap((root) => [...valuesOf(target, constraints, new Map(assigned).set(wire, root))]),
  );
}

/** A sum of terms with what is known put in. */
function part(terms: readonly [number, bigint][], assigned: ReadonlyMap<number, bigint>): Linear {
  const result: Linear = { constant: 0n, unknown: new Map() };
  for (const [wire, coefficient] of terms) {
    const value = assigned.get(wire);
    if (value === undefined) result.unknown.set(wire, mod((result.unknown.get(wire) ?? 0n) + coefficient));
    else result.constant = mod(result.constant + coefficient * value);
  }
  for (const [wire, coefficient] of result.unknown) if (coefficient === 0n) result.unknown.delete(wire);
  return result;
}

test("a clamp has one output for every input in range, and no witness outside", async () => {
  const constraints = constraintsOf(
    await compile(`pragma circom 2.2.0;
include "gadgets/clamp.circom";
component main { public [shifted] } = Clamp(${BITS}, ${WIDTH});
`),
  );
  const outputs = (shifted: bigint): Set<bigint> =>
    valuesOf(
      OUT,
      constraints,
      new Map([
        [0, 1n],
        [SHIFTED, mod(shifted)],
      ]),
    );
  for (let t = -(2 ** BITS); t < 2 ** BITS; t++) {
    const clamped = BigInt(Math.min(Math.max(t, 0), 2 ** WIDTH));
    assert.deepEqual(outputs(BigInt(t + 2 ** BITS)), new Set([clamped]), `t = ${t}`);
  }
  for (const outside of [-1n, -(2n ** 6n), 2n ** 6n, 2n ** 6n + 1n, 2n ** 200n, (r + 1n) / 2n]) {
    assert.deepEqual(outputs(outside), new Set(), `${outside}`);
  }
});

test("a source that does not compile is a fault with the compiler's words", async () => {
  const broken = compile(
    "pragma circom 2.2.0; template T() { signal input a; a === b; } component main = T();",
  );
  await assert.rejects(broken, (error: Error) => {
    assert.match(error.message, /circuit\/build-failed/);
    assert.match(error.message, /Undeclared|undeclared|b/);
    return true;
  });
});

test("a circuit's hash changes with any of its sources, and with nothing else", async () => {
  const main = 'pragma circom 2.2.0;\ninclude "gadgets/clamp.circom";\ncomponent main = Clamp(5, 3);\n';
  const sources = await sourcesOf(main);
  assert.deepEqual([...sources.keys()].slice(0, 2), ["main.circom", "gadgets/clamp.circom"]);
  assert.ok(sources.has("circomlib/circuits/bitify.circom"));
  const hash = hashOfSources(sources);
  assert.equal(hashOfSources(await sourcesOf(main)), hash);
  for (const [path, text] of sources) {
    assert.notEqual(hashOfSources(new Map(sources).set(path, `${text} `)), hash, path);
  }
});

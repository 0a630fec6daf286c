/** The gradient circuit against its native twin, at its boundaries, and against forged witnesses. */

import assert from "node:assert/strict";
import { before, test } from "node:test";
import fc from "fast-check";
import { type BuiltCircuit, buildCircuits } from "../../circuits/build/build.ts";
import { type R1cs, readR1cs } from "../../circuits/build/r1cs.ts";
import { gradientOutputs, gradientSignals, gradientWitness } from "../../circuits/gradient/witness.ts";
import { contentOf, leafOf, merkleTree, podIdOf } from "../../circuits/hash.ts";
import {
  FEATURE_MAX,
  FEATURE_MIN,
  FIELD_ORDER,
  gradientOf,
  inputsCount,
  outputsCount,
  parseOutputs,
  rowResidual,
  shapeOf,
  WEIGHT_MAX,
  WEIGHT_MIN,
} from "../../consensus/work/gradient.ts";
import {
  brokenConstraints,
  freeWires,
  isRefused,
  jobOf,
  randomJob,
  readBytes,
  witnessOf,
} from "./witnesses.ts";

const small = shapeOf("gradient-4x2");
const middle = shapeOf("gradient-8x4");

type Loaded = { readonly built: BuiltCircuit; readonly wasm: Uint8Array; readonly r1cs: R1cs };
const circuits = new Map<string, Loaded>();

before(async () => {
  for (const [id, built] of await buildCircuits({ shapes: [small.id, middle.id] })) {
    const [wasm, r1cs] = await Promise.all([readBytes(built.wasmPath), readBytes(built.r1csPath)]);
    circuits.set(id, { built, wasm, r1cs: readR1cs(r1cs) });
  }
});

function loaded(id: string): Loaded {
  const circuit = circuits.get(id);
  assert.ok(circuit !== undefined);
  return circuit;
}

/** A job of the small shape: four rows of two features. */
function smallJob(x: readonly number[], y: readonly number[], model: readonly number[]) {
  return jobOf({ features: 2, x: Int16Array.from(x), y: Uint8Array.from(y) }, model);
}

async function assertTwin(shape: typeof small, job: ReturnType<typeof randomJob>): Promise<void> {
  const { wasm } = loaded(shape.id);
  const witness = await witnessOf(wasm, gradientWitness(shape, job));
  const signals = gradientSignals(job);
  assert.deepEqual(witness.slice(1, 1 + signals.length), signals);
  const outputs = witness.slice(1, 1 + outputsCount(shape));
  assert.deepEqual(outputs, gradientOutputs(job));
  assert.deepEqual(parseOutputs(shape, outputs).gradient, gradientOf(job.model, job.rows));
}

test("outputs and inputs are the shape's, in the shape's order", () => {
  for (const shape of [small, middle]) {
    const { built, r1cs } = loaded(shape.id);
    assert.equal(r1cs.publics, outputsCount(shape) + inputsCount(shape));
    assert.equal(built.verificationKey.nPublic, r1cs.publics);
    assert.equal(built.constraints, r1cs.constraints);
  }
});

test("the circuit computes what its native twin computes on random batches", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), (seed) => assertTwin(middle, randomJob(middle, seed))),
    { numRuns: 25 },
  );
});

test("the circuit equals its twin at the extremes of features, weights and labels", async () => {
  for (const w of [WEIGHT_MIN, WEIGHT_MAX]) {
    for (const value of [FEATURE_MIN, FEATURE_MAX]) {
      for (const labels of [
        [0, 0, 0, 1],
        [1, 1, 1, 0],
      ]) {
        await assertTwin(small, smallJob(new Array<number>(8).fill(value), labels, [w, w, w]));
        await assertTwin(small, smallJob(new Array<number>(8).fill(value), labels, [w, -w - 1, w]));
      }
    }
  }
});

test("the circuit equals its twin on both sides of both edges of the clamp", async () => {
  // One row with z at the edge, by a feature of 1 and the bias; the others stay in the middle.
  for (const edge of [-(2 ** 25), 2 ** 25]) {
    for (const z of [edge - 1, edge, edge + 1]) {
      const model = [z - 256 * Math.floor(z / 256), 0, Math.floor(z / 256)];
      for (const label of [0, 1]) {
        const job = smallJob([1, 0, 2, 0, 3, 0, 4, 0], [label, 0, 1, 0], model);
        assert.equal(rowResidual(z, label), Math.min(Math.max(z + 2 ** 25, 0), 2 ** 26) - label * 2 ** 26);
        await assertTwin(small, job);
      }
    }
  }
});

test("features one step beyond 12 bits are refused, even where they pack to a committed batch", async () => {
  const { wasm } = loaded(small.id);
  const rest = [5, 6, 7, 8, 9, 10];
  // 2^11 + 2^11 carries into the next value: (2048, 4) packs like (−2048, 5).
  const above = gradientWitness(small, smallJob([-2048, 5, ...rest], [0, 1, 0, 1], [9, 9, 9]));
  assert.ok(!(await isRefused(wasm, above)));
  assert.ok(await isRefused(wasm, { ...above, x: [2048, 4, ...rest].map(BigInt) }));
  // −2049 + 2^11 borrows: (−2049, 5) packs like (2047, 4).
  const below = gradientWitness(small, smallJob([2047, 4, ...rest], [0, 1, 0, 1], [9, 9, 9]));
  assert.ok(await isRefused(wasm, { ...below, x: [FIELD_ORDER - 2049n, 5n, ...rest.map(BigInt)] }));
});

test("labels other than 0 and 1 are refused, even where they pack to a committed batch", async () => {
  const { wasm } = loaded(small.id);
  const inputs = gradientWitness(small, smallJob([1, 2, 3, 4, 5, 6, 7, 8], [0, 1, 0, 1], [9, 9, 9]));
  assert.ok(!(await isRefused(wasm, inputs)));
  assert.ok(await isRefused(wasm, { ...inputs, y: [2n, 0n, 0n, 1n] }));
  assert.ok(await isRefused(wasm, { ...inputs, y: [1n, 0n, 0n, 1n] }), "a swapped label");
});

test("a batch with exactly the required active rows passes, with one fewer it is refused", async () => {
  const { wasm } = loaded(middle.id);
  const model = [2 ** 20, 0, 0, 0, 0];
  const withActive = (active: number) =>
    jobOf(
      {
        features: 4,
        x: Int16Array.from({ length: 32 }, (_, i) => (i % 4 === 0 ? 2000 : 1)),
        // z is far above 2^25: label 1 has no residual, label 0 the largest.
        y: Uint8Array.from({ length: 8 }, (_, i) => (i < active ? 0 : 1)),
      },
      model,
    );
  await assertTwin(middle, withActive(middle.minActive));
  await assertTwin(middle, withActive(8));
  const short = withActive(middle.minActive - 1);
  assert.throws(() => gradientWitness(middle, short), { code: "circuit/batch-inactive" });
  assert.ok(await isRefused(wasm, gradientWitness({ ...middle, minActive: 0 }, short)), "the circuit itself");
  assert.ok(await isRefused(wasm, gradientWitness({ ...middle, minActive: 0 }, withActive(0))));
});

test("another batch index, path, salt, secret or root is refused", async () => {
  const { wasm } = loaded(small.id);
  const job = randomJob(small, 7);
  const inputs = gradientWitness(small, job);
  const root = merkleTree([leafOf(1n, 2n)], 10).root;
  for (const forged of [
    { batchIndex: 2n },
    { batchIndex: BigInt(job.batchIndex) + 1024n },
    { siblings: job.siblings.with(9, 1n) },
    { salt: job.salt + 1n },
    { secret: job.secret + 1n },
    { podId: podIdOf(job.secret + 1n) },
    { dataRoot: root },
  ]) {
    assert.ok(await isRefused(wasm, { ...inputs, ...forged }), Object.keys(forged).join());
  }
});

test("the last batch of a tree can be proved", async () => {
  const job = randomJob(small, 8);
  const { wasm } = loaded(small.id);
  const inputs = gradientWitness(small, job);
  const own = merkleTree([...new Array<bigint>(1023).fill(7n), leafOf(contentOf(job.rows), job.salt)], 10);
  const last = { batchIndex: 1023n, siblings: own.path(1023), dataRoot: own.root };
  assert.ok(!(await isRefused(wasm, { ...inputs, ...last })));
  assert.ok(await isRefused(wasm, { ...inputs, ...last, batchIndex: 1022n }));
});

test("every wire of a witness is pinned by a constraint, but for inverses of zeros", async () => {
  const { wasm, r1cs } = loaded(small.id);
  for (const seed of [1, 2, 3]) {
    const job = randomJob(small, seed);
    const witness = await witnessOf(wasm, gradientWitness(small, job));
    assert.deepEqual(brokenConstraints(r1cs, witness), []);
    // A test for zero multiplies its input by a hint, which says nothing when the input is zero.
    let zeros = 0;
    for (let i = 0; i < small.rows; i++) {
      const z =
        (job.model[0] ?? 0) * (job.rows.x[2 * i] ?? 0) +
        (job.model[1] ?? 0) * (job.rows.x[2 * i + 1] ?? 0) +
        256 * (job.model[2] ?? 0);
      const high = ((z + 2 ** 25 + 2 ** 36) % 2 ** 36) / 2 ** 26;
      if (Math.floor(high) === 0) zeros++;
      if (rowResidual(z, job.rows.y[i] ?? 0) === 0) zeros++;
    }
    for (const delta of [1n, FIELD_ORDER - 1n, 2n ** 200n]) {
      const free = freeWires(r1cs, witness, delta);
      assert.equal(free.length, zeros);
      assert.ok(free.every((wire) => wire > r1cs.publics));
    }
  }
});

test("a changed public signal breaks the constraints, whichever it is", async () => {
  const { wasm, r1cs } = loaded(small.id);
  const witness = await witnessOf(wasm, gradientWitness(small, randomJob(small, 4)));
  for (let signal = 1; signal <= r1cs.publics; signal++) {
    for (const delta of [1n, 256n, 2n ** 37n, FIELD_ORDER - 1n]) {
      const forged = witness.with(signal, ((witness[signal] ?? 0n) + delta) % FIELD_ORDER);
      assert.notEqual(brokenConstraints(r1cs, forged).length, 0, `signal ${signal}`);
    }
  }
});

/** Our prover beside snarkjs: the same proofs bit for bit, the same witnesses, and who steps in when it fails. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { buildBn128 } from "ffjavascript";
import { groth16 as snarkjs, wtns } from "snarkjs";
import { createBatchVerifier } from "../../circuits/batch/verifier.ts";
import { type BuiltCircuit, buildCircuits } from "../../circuits/build/build.ts";
import { elementsBytes } from "../../circuits/build/zkey.ts";
import { gradientSignals, gradientWitness } from "../../circuits/gradient/witness.ts";
import { encodeProof, encodeProofPoints } from "../../circuits/proof.ts";
import { createOwnEngine, type Engine, randomScalar, withFallback } from "../../circuits/prove/engine.ts";
import { createGroth16, type Groth16, PHASES, type Phase } from "../../circuits/prove/groth16.ts";
import { createProver } from "../../circuits/prove/prover.ts";
import { createSnarkjsEngine } from "../../circuits/prove/snarkjs.ts";
import { createWitnessCalculator } from "../../circuits/prove/witness.ts";
import { readZkey } from "../../circuits/prove/zkey.ts";
import { signalsToBytes } from "../../circuits/signals.ts";
import { FaultError } from "../../consensus/primitives/faults.ts";
import { FIELD_ORDER as r, shapeOf } from "../../consensus/work/gradient.ts";
import { randomJob, readBytes } from "./witnesses.ts";

const shape = shapeOf("gradient-4x2");
const curve = await buildBn128(true);
// snarkjs takes this one, and its random numbers, instead of its own.
Object.assign(globalThis, { curve_bn128: curve });
after(() => curve.terminate());

let built: BuiltCircuit;
let wasm: Uint8Array;
let zkey: Uint8Array;
let own: Groth16;

before(async () => {
  const circuit = (await buildCircuits({ shapes: [shape.id] })).get(shape.id);
  assert.ok(circuit !== undefined);
  built = circuit;
  [wasm, zkey] = await Promise.all([readBytes(built.wasmPath), readBytes(built.zkeyPath)]);
  const found = await createGroth16(zkey);
  assert.ok(found !== undefined, "this machine has fused multiply-add");
  own = found;
});

const inputsOf = (seed: number) => gradientWitness(shape, randomJob(shape, seed));

async function witnessOf(seed: number) {
  const file: { type: "mem"; data?: Uint8Array } = { type: "mem" };
  await wtns.calculate({ ...inputsOf(seed) }, wasm, file);
  assert.ok(file.data !== undefined);
  return { file: { type: "mem" as const, data: file.data }, values: await wtns.exportJson(file) };
}

test("with the same r and s the proof is snarkjs', bit for bit", async () => {
  const cases = [
    [0n, 0n],
    [1n, r - 1n],
    [r - 1n, 0n],
    [randomScalar(), randomScalar()],
  ];
  for (const [seed, [blindR = 0n, blindS = 0n]] of cases.entries()) {
    const { file, values } = await witnessOf(seed);
    const draws = [blindR, blindS];
    const { random } = curve.Fr;
    Object.assign(curve.Fr, { random: () => curve.Fr.e(draws.shift() ?? 0n) });
    const theirs = await snarkjs.prove(zkey, file);
    Object.assign(curve.Fr, { random });
    assert.equal(draws.length, 0, "snarkjs took both");
    const points = own.prove(elementsBytes(values), { r: blindR, s: blindS });
    assert.deepEqual(encodeProofPoints(points), encodeProof(theirs.proof));
    assert.deepEqual(own.publicSignals(elementsBytes(values)), theirs.publicSignals.map(BigInt));
  }
});

test("the witness is the one that snarkjs' calculator finds", async () => {
  const calculator = await createWitnessCalculator(wasm);
  for (const seed of [1, 2]) {
    const { values } = await witnessOf(seed);
    assert.deepEqual(await calculator.calculate(inputsOf(seed)), elementsBytes(values));
  }
});

test("missing, unknown and too many inputs are a witness that failed", async () => {
  const calculator = await createWitnessCalculator(wasm);
  const inputs = inputsOf(1);
  const { salt: _, ...rest } = inputs;
  const wrong = [rest, { ...inputs, pepper: 1n }, { ...inputs, salt: [1n, 2n] }];
  for (const it of wrong) {
    await assert.rejects(calculator.calculate(it), { code: "circuit/witness-failed" });
  }
});

test("the key in a zkey is the circuit's verification key", () => {
  assert.deepEqual(own.verificationKey, built.verificationKey);
});

test("every phase is reported once it begins, in order", async () => {
  const { values } = await witnessOf(1);
  const phases: Phase[] = [];
  own.prove(elementsBytes(values), { r: 1n, s: 2n }, (phase) => {
    if (phases.at(-1) !== phase) phases.push(phase);
  });
  assert.deepEqual(phases, [...PHASES]);
});

test("two proofs of one witness differ, and both verify", async () => {
  const engine = await createOwnEngine(wasm, zkey);
  const verifier = await createBatchVerifier();
  assert.ok(engine !== undefined && verifier !== undefined);
  const vk = built.verificationKey;
  const proved = [
    await engine.prove(inputsOf(3), () => undefined),
    await engine.prove(inputsOf(3), () => undefined),
  ];
  assert.notDeepEqual(proved[0]?.proof, proved[1]?.proof);
  assert.deepEqual(
    verifier.verify(
      proved.map(({ proof, publicSignals }) => ({ vk, proof, publicSignals: signalsToBytes(publicSignals) })),
    ),
    [true, true],
  );
  assert.deepEqual(proved[0]?.publicSignals, gradientSignals(randomJob(shape, 3)));
});

test("random scalars are below r and do not repeat", () => {
  const drawn = Array.from({ length: 200 }, randomScalar);
  assert.ok(drawn.every((value) => value >= 0n && value < r));
  assert.equal(new Set(drawn).size, drawn.length);
  assert.ok(
    drawn.some((value) => value > r / 2n),
    "the upper half is reached",
  );
});

test("snarkjs as the engine proves, with progress that does not fall", async () => {
  const engine = await createSnarkjsEngine(wasm, zkey);
  const verifier = await createBatchVerifier();
  const progress: number[] = [];
  const proved = await engine.prove(inputsOf(4), (percent) => progress.push(percent));
  const { proof, publicSignals } = proved;
  const job = { vk: built.verificationKey, proof, publicSignals: signalsToBytes(publicSignals) };
  assert.deepEqual(verifier?.verify([job]), [true]);
  assert.deepEqual(proved.publicSignals, gradientSignals(randomJob(shape, 4)));
  assert.deepEqual(
    progress,
    progress.toSorted((a, b) => a - b),
  );
  assert.ok(new Set(progress).size > 10);
  Object.assign(globalThis, { curve_bn128: curve });
});

/** A key with another point in place of one of section C: proofs come out wrong. */
function damagedKey(): Uint8Array {
  const damaged = zkey.slice();
  const { c } = readZkey(damaged);
  for (let i = 0; i < 40; i++) c.copyWithin(64 * 50 * i, 64 * (50 * i + 1), 64 * (50 * i + 2));
  return damaged;
}

test("a proof that does not verify stays in the worker, whoever made it", async () => {
  const engine = await createOwnEngine(wasm, damagedKey());
  assert.ok(engine !== undefined);
  await assert.rejects(
    engine.prove(inputsOf(1), () => undefined),
    /does not verify/,
  );
  let fallbacks = 0;
  const prover = createProver({ wasm, zkey: damagedKey(), onFallback: () => fallbacks++ });
  await assert.rejects(prover.prove(inputsOf(1)), /verifies before it leaves/);
  assert.equal(fallbacks, 1);
  await prover.stop();
});

test("after one failure the other engine makes all proofs, and that is said once", async () => {
  const none = { proof: new Uint8Array(), publicSignals: [] };
  const calls: string[] = [];
  const engine = (name: string, fails: boolean): Engine => ({
    prove: () => {
      calls.push(name);
      return fails ? Promise.reject(new Error("secret 123")) : Promise.resolve(none);
    },
  });
  let told = 0;
  const both = withFallback(
    engine("first", true),
    () => Promise.resolve(engine("second", false)),
    () => told++,
  );
  for (let i = 0; i < 3; i++) assert.equal(await both.prove({}, () => undefined), none);
  assert.deepEqual(calls, ["first", "second", "second", "second"]);
  assert.equal(told, 1);
});

test("a witness that does not fit is no reason to fall back", async () => {
  const first: Engine = { prove: () => Promise.reject(new FaultError("circuit/witness-failed", {})) };
  const both = withFallback(
    first,
    () => assert.fail("nobody asked for the other"),
    () => assert.fail("nothing to tell"),
  );
  await assert.rejects(
    both.prove({}, () => undefined),
    { code: "circuit/witness-failed" },
  );
});

test("files that are no keys of this curve are refused", () => {
  for (const at of [0, 4, 24, 40, 80]) {
    const other = zkey.slice();
    other[at] = (other[at] ?? 0) ^ 1;
    assert.throws(() => readZkey(other), `byte ${at}`);
  }
  assert.throws(() => readZkey(zkey.slice(0, zkey.length - 1)));
});

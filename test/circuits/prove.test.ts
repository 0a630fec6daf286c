/** Proving in a worker, verifying in another: the whole way of a proof, and how it ends early. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type BuiltCircuit, buildCircuits } from "../../circuits/build/build.ts";
import { gradientSignals, gradientWitness } from "../../circuits/gradient/witness.ts";
import { podIdOf } from "../../circuits/hash.ts";
import { decodeProofPoints, encodeProof, PROOF_BYTES, snarkjsProof } from "../../circuits/proof.ts";
import { createProver, type Proof, type Prover } from "../../circuits/prove/prover.ts";
import { signalsToBytes } from "../../circuits/signals.ts";
import { createVerifier, type VerifyJob } from "../../circuits/verify.ts";
import { FaultError } from "../../consensus/primitives/faults.ts";
import { FIELD_ORDER, shapeOf, toField } from "../../consensus/work/gradient.ts";
import { randomJob, readBytes, SALT, SECRET } from "./witnesses.ts";

const shape = shapeOf("gradient-4x2");
const job = randomJob(shape, 42);
const verifier = createVerifier();
let built: BuiltCircuit;
let other: BuiltCircuit;
let prover: Prover;
let proved: Proof;
const progress: number[] = [];

before(async () => {
  const circuits = await buildCircuits({ shapes: ["gradient-4x2", "gradient-32x10"] });
  const [small, large] = [circuits.get("gradient-4x2"), circuits.get("gradient-32x10")];
  assert.ok(small !== undefined && large !== undefined);
  [built, other] = [small, large];
  prover = createProver({ wasm: built.wasmPath, zkey: built.zkeyPath });
  proved = await prover.prove(gradientWitness(shape, job), { onProgress: (p) => progress.push(p) });
});

after(async () => {
  await prover.stop();
  await verifier.stop();
});

type Change = {
  readonly vk?: VerifyJob["vk"];
  readonly proof?: Uint8Array;
  readonly publicSignals?: readonly bigint[];
};

function verifyJob(change: Change = {}): VerifyJob {
  const { vk, proof, publicSignals } = { vk: built.verificationKey, ...proved, ...change };
  return { vk, proof, publicSignals: signalsToBytes(publicSignals) };
}

async function verdictOf(change: Change): Promise<boolean> {
  const [verdict] = await verifier.verify([verifyJob(change)]);
  assert.ok(verdict !== undefined);
  return verdict;
}

test("a proof verifies and says what its native twin says", async () => {
  assert.equal(proved.proof.length, PROOF_BYTES);
  assert.deepEqual(proved.publicSignals, gradientSignals(job));
  assert.equal(await verdictOf({}), true);
});

test("progress rises to 100 and reports it once", () => {
  assert.ok(progress.length >= 10);
  assert.deepEqual(
    progress,
    progress.toSorted((a, b) => a - b),
  );
  assert.deepEqual(
    progress.filter((percent) => percent === 100),
    [100],
  );
});

test("a proof does not verify for another value of any public signal", async () => {
  const jobs = proved.publicSignals.map((signal, i) =>
    verifyJob({ publicSignals: proved.publicSignals.with(i, (signal + 1n) % FIELD_ORDER) }),
  );
  assert.deepEqual(
    await verifier.verify(jobs),
    jobs.map(() => false),
  );
});

test("another pod's id, a swapped output and an aliased nullifier do not verify", async () => {
  const { publicSignals } = proved;
  const podIdAt = 2 + 3 + 2;
  assert.equal(publicSignals[podIdAt], podIdOf(SECRET));
  assert.equal(await verdictOf({ publicSignals: publicSignals.with(podIdAt, podIdOf(SECRET + 1n)) }), false);
  const [nullifier = 0n, dataTag = 0n, ...rest] = publicSignals;
  assert.equal(await verdictOf({ publicSignals: [dataTag, nullifier, ...rest] }), false);
  assert.equal(await verdictOf({ publicSignals: [nullifier + FIELD_ORDER, dataTag, ...rest] }), false);
  assert.equal(await verdictOf({ publicSignals: [nullifier + 2n * FIELD_ORDER, dataTag, ...rest] }), false);
});

test("too few or too many signals, another circuit's key and an empty proof do not verify", async () => {
  const { publicSignals } = proved;
  assert.equal(await verdictOf({ publicSignals: publicSignals.slice(1) }), false);
  assert.equal(await verdictOf({ publicSignals: [...publicSignals, 0n] }), false);
  assert.equal(await verdictOf({ vk: other.verificationKey }), false);
  assert.equal(await verdictOf({ proof: new Uint8Array() }), false);
  assert.equal(await verdictOf({ proof: new Uint8Array(PROOF_BYTES) }), false);
});

test("a batch answers every job in its order, good and bad ones mixed", async () => {
  const bad = verifyJob({ proof: proved.proof.with(100, (proved.proof[100] ?? 0) ^ 1) });
  const verdicts = await verifier.verify([verifyJob(), bad, verifyJob(), bad, bad, verifyJob()]);
  assert.deepEqual(verdicts, [true, false, true, false, false, true]);
  assert.deepEqual(await verifier.verify([]), []);
});

test("a negated proof is valid too, so bytes are no identity", async () => {
  const points = decodeProofPoints(proved.proof);
  assert.ok(points !== undefined);
  const { a, b, c } = points;
  const P = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;
  const negatedB = { x: b.x, y: { c0: (P - b.y.c0) % P, c1: (P - b.y.c1) % P } };
  const negated = encodeProof(snarkjsProof({ a: { x: a.x, y: P - a.y }, b: negatedB, c }));
  assert.notDeepEqual(negated, proved.proof);
  assert.equal(await verdictOf({ proof: negated }), true);
});

test("more jobs than the verifier's bound are refused at once", async () => {
  const bounded = createVerifier({ jobsMax: 2 });
  const waiting = bounded.verify([verifyJob(), verifyJob()]);
  await assert.rejects(bounded.verify([verifyJob()]), { code: "prover/busy" });
  assert.deepEqual(await waiting, [true, true]);
  assert.deepEqual(await bounded.verify([verifyJob()]), [true], "room again");
  await bounded.stop();
  await assert.rejects(bounded.verify([verifyJob()]), /stopped/);
});

test("keys can be given as bytes, and two proofs wait for each other", async () => {
  const [wasm, zkey] = await Promise.all([readBytes(built.wasmPath), readBytes(built.zkeyPath)]);
  const fromBytes = createProver({ wasm, zkey });
  const jobs = [randomJob(shape, 1), randomJob(shape, 2)];
  const proofs = await Promise.all(jobs.map((it) => fromBytes.prove(gradientWitness(shape, it))));
  await fromBytes.stop();
  for (const [i, it] of jobs.entries()) assert.deepEqual(proofs[i]?.publicSignals, gradientSignals(it));
  assert.deepEqual(await verifier.verify(proofs.map((it) => verifyJob(it))), [true, true]);
});

test("a witness that does not fit is a fault that names the place and no private value", async () => {
  const inputs = { ...gradientWitness(shape, job), dataRoot: 1n };
  await assert.rejects(prover.prove(inputs), (error: unknown) => {
    assert.ok(error instanceof FaultError);
    assert.equal(error.code, "circuit/witness-failed");
    assert.equal(error.fault.data?.template, "Gradient");
    const text = `${error.message} ${error.stack} ${String(error.cause)}`;
    for (const secret of [SECRET, SALT, ...Array.from(job.rows.x, toField).filter((x) => x > 999n)]) {
      assert.ok(!text.includes(secret.toString()));
    }
    return true;
  });
  const { proof } = await prover.prove(gradientWitness(shape, job));
  assert.equal(await verdictOf({ proof }), true, "the prover goes on");
});

test("a proof is cancelled in the middle, within a moment, and the prover can be used again", async () => {
  const controller = new AbortController();
  let abortedAt = 0;
  const cancelled = prover.prove(gradientWitness(shape, job), {
    signal: controller.signal,
    onProgress: (percent) => {
      if (percent < 30 || controller.signal.aborted) return;
      abortedAt = performance.now();
      controller.abort();
    },
  });
  await assert.rejects(cancelled, { code: "prover/cancelled" });
  assert.ok(performance.now() - abortedAt < 1_000);
  const before = AbortSignal.abort();
  await assert.rejects(prover.prove(gradientWitness(shape, job), { signal: before }), {
    code: "prover/cancelled",
  });
  const { proof } = await prover.prove(gradientWitness(shape, job));
  assert.equal(await verdictOf({ proof }), true);
});

test("a prover without progress is given up as stalled", async () => {
  const impatient = createProver({ wasm: built.wasmPath, zkey: built.zkeyPath, stallMs: 20 });
  await assert.rejects(impatient.prove(gradientWitness(shape, job)), { code: "prover/stalled" });
  await impatient.stop();
});

test("stopping a prover cancels what is open and what waits", async () => {
  const stopped = createProver({ wasm: built.wasmPath, zkey: built.zkeyPath });
  const open = [1, 2].map(() => stopped.prove(gradientWitness(shape, job)));
  const ends = Promise.allSettled(open);
  await stopped.stop();
  for (const end of await ends) {
    assert.ok(end.status === "rejected" && end.reason instanceof FaultError);
    assert.equal(end.reason.code, "prover/cancelled");
  }
});

test("the first shape of the catalogue proves and verifies", async () => {
  const large = shapeOf("gradient-32x10");
  const largeJob = randomJob(large, 3);
  const largeProver = createProver({ wasm: other.wasmPath, zkey: other.zkeyPath });
  const result = await largeProver.prove(gradientWitness(large, largeJob));
  await largeProver.stop();
  assert.deepEqual(result.publicSignals, gradientSignals(largeJob));
  assert.deepEqual(await verifier.verify([verifyJob({ vk: other.verificationKey, ...result })]), [true]);
});

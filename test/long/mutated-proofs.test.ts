/** 10,000 spoiled proofs, alone and in company: none is accepted, and the two verdicts always agree. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createBatchVerifier } from "../../circuits/batch/verifier.ts";
import { createReferenceVerifier } from "../../circuits/reference.ts";
import { someMutants } from "../circuits/mutations.ts";
import { provedJob, rerandomized } from "../circuits/proofs.ts";
import { randomFrom } from "../circuits/witnesses.ts";

const COUNT = 10_000;
const BATCH = 100;
const SNARKJS_EVERY = 20;

test("10,000 spoiled proofs are refused, alone and in company, by the fast verifier and by the slow one", async () => {
  const verifier = await createBatchVerifier();
  assert.ok(verifier !== undefined, "this machine has fused multiply-add");
  const reference = await createReferenceVerifier();
  const sources = [
    await provedJob("gradient-4x2", 1),
    await provedJob("gradient-4x2", 2),
    await provedJob("gradient-32x10", 1),
  ];
  const valid = sources.flatMap((job, i) =>
    rerandomized(job.vk, job.proof, 10, BigInt(i + 3)).map((proof) => ({ ...job, proof })),
  );
  const random = randomFrom(2026);
  const spoiled = someMutants(sources, random, COUNT);
  for (let from = 0; from < COUNT; from += BATCH) {
    const part = spoiled.slice(from, from + BATCH);
    for (const { label, job } of part) assert.deepEqual(verifier.verify([job]), [false], label);
    // Valid ones between them, at places that move.
    const jobs = part.flatMap(({ job }, i) => {
      const company = valid[(from + i) % valid.length];
      return (from / BATCH + i) % 4 === 0 && company !== undefined ? [job, company] : [job];
    });
    const bad = new Set(part.map(({ job }) => job));
    assert.deepEqual(
      verifier.verify(jobs),
      jobs.map((job) => !bad.has(job)),
    );
  }
  const sample = [...spoiled.filter((_, i) => i % SNARKJS_EVERY === 0).map(({ job }) => job), ...valid];
  assert.deepEqual(await reference.verify(sample), verifier.verify(sample));
});

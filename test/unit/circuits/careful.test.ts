/** Verdicts where the batch verifier throws: honest proofs of the same batch must not be refused with the others. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createCarefulVerifier } from "../../../circuits/careful.ts";
import type { VerifyJob } from "../../../circuits/verify.ts";

/** A job by its first signal: valid, false, or one that a batch verifier throws at. */
const job = (kind: "valid" | "false" | "bad-valid" | "bad-false"): VerifyJob =>
  ({ publicSignals: [kind], proof: new Uint8Array(128) }) as unknown as VerifyJob;
const kindOf = ({ publicSignals: [kind] }: VerifyJob): string => String(kind);

function create() {
  const asked = { together: [] as number[], slowly: [] as string[], made: 0, told: 0 };
  const verifier = createCarefulVerifier({
    batch: {
      verify: (jobs) => {
        asked.together.push(jobs.length);
        if (jobs.some((it) => kindOf(it).startsWith("bad"))) throw new RangeError("bad point coordinate y");
        return jobs.map((it) => kindOf(it) === "valid");
      },
    },
    createReference: () => {
      asked.made += 1;
      return Promise.resolve({
        verify: (jobs) => {
          asked.slowly.push(...jobs.map(kindOf));
          return Promise.resolve(jobs.map((it) => kindOf(it).endsWith("valid")));
        },
      });
    },
    onFailure: () => {
      asked.told += 1;
    },
  });
  return { verifier, asked };
}

test("a batch that does not throw is answered at once, and the slow verifier is not even made", async () => {
  const { verifier, asked } = create();
  assert.deepEqual(await verifier.verify([job("valid"), job("false")]), [true, false]);
  assert.deepEqual(asked, { together: [2], slowly: [], made: 0, told: 0 });
});

test("where it throws, every job gets its own verdict, in order, and only what throws is asked slowly", async () => {
  const { verifier, asked } = create();
  const jobs = (["valid", "bad-false", "false", "bad-valid", "valid"] as const).map(job);
  assert.deepEqual(await verifier.verify(jobs), [true, false, false, true, true]);
  assert.deepEqual(asked.together, [5, 1, 1, 1, 1, 1]);
  assert.deepEqual(asked.slowly, ["bad-false", "bad-valid"]);
  assert.equal(asked.told, 3, "each failure is told");
  assert.deepEqual(await verifier.verify([job("bad-valid")]), [true]);
  assert.equal(asked.made, 1, "the slow verifier is made once");
});

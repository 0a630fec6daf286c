/** Verifying once what pool and block both ask about. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { VerificationKey } from "../../../circuits/verification-key.ts";
import { toHex } from "../../../consensus/primitives/bytes.ts";
import type { SubmissionChecks } from "../../../consensus/state/checks.ts";
import { fieldToBytes } from "../../../consensus/types/submission.ts";
import { createSignatureVerifier } from "../../../node/ed25519/verifier.ts";
import { devKey, signEd25519 } from "../../../node/keys.ts";
import { createVerification } from "../../../node/verification.ts";
import { bytes } from "./samples.ts";

const KEY = {} as VerificationKey;
const VK_HASH = bytes(32, 1);
const pod = devKey("account", "verification-pod");

function checkOf(fill: number, change: Partial<SubmissionChecks["ed25519"]> = {}): SubmissionChecks {
  const id = bytes(32, fill);
  const ed25519 = { publicKey: pod.publicKey, message: id, signature: signEd25519(pod.seed, id), ...change };
  return {
    name: createHash("sha256").update(id).update(ed25519.signature).digest("hex"),
    ed25519,
    proof: {
      vkHash: VK_HASH,
      outputs: fieldToBytes(BigInt(fill)),
      inputs: new Uint8Array(),
      proof: bytes(128, fill),
    },
  };
}

function create() {
  const asked: {
    signals: (number | undefined)[];
    waitMs: number | undefined;
    answer: (verdicts: boolean[]) => void;
  }[] = [];
  const hurried = { count: 0 };
  const verification = createVerification(
    { keys: new Map([[toHex(VK_HASH), KEY]]) },
    {
      verifier: {
        verify: (jobs, waitMs) => {
          if (jobs.length === 0 && waitMs === 0) hurried.count += 1;
          if (jobs.length === 0) return Promise.resolve([]);
          return new Promise((answer) => {
            asked.push({ signals: jobs.map(({ publicSignals: [first] }) => first), waitMs, answer });
          });
        },
      },
    },
  );
  const block = (submissions: SubmissionChecks[]) =>
    verification.verifyChecks({ bls: [], transactions: [], submissions, evidence: [] });
  return { verification, asked, hurried, block };
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a block waits for the verdict that the pool has begun to ask for, and asks for the others at once", async () => {
  const { verification, asked, block } = create();
  const pooled = verification.verifyProofs([checkOf(1)]);
  const checked = block([checkOf(1), checkOf(2)]);
  await settled();
  assert.deepEqual(
    asked.map(({ signals }) => signals),
    [[1], [2]],
  );
  assert.ok((asked[0]?.waitMs ?? 0) > 0 && asked[1]?.waitMs === 0, "only the pool's proofs wait for company");
  asked[0]?.answer([true]);
  asked[1]?.answer([true]);
  assert.deepEqual(await pooled, [undefined]);
  assert.equal(await checked, undefined);
  assert.equal(await block([checkOf(1), checkOf(2)]), undefined);
  assert.equal(asked.length, 2, "and both are remembered");
});

test("a block whose proofs all wait for company ends their wait, and one whose proofs are known does not", async () => {
  const { verification, asked, hurried, block } = create();
  const pooled = verification.verifyProofs([checkOf(1)]);
  const checked = block([checkOf(1)]);
  await settled();
  assert.equal(hurried.count, 1);
  asked[0]?.answer([true]);
  assert.deepEqual(await pooled, [undefined]);
  assert.equal(await checked, undefined);
  assert.equal(await block([checkOf(1)]), undefined);
  assert.equal(await block([]), undefined);
  assert.equal(hurried.count, 1, "the pool's batch is not cut short for nothing");
});

test("a false proof is false for the pool and for the block, and is asked about anew the next time", async () => {
  const { verification, asked, block } = create();
  const pooled = verification.verifyProofs([checkOf(1)]);
  const checked = block([checkOf(1)]);
  await settled();
  asked[0]?.answer([false]);
  assert.notEqual((await pooled)[0], undefined);
  assert.equal((await checked)?.code, "block/submission");
  void block([checkOf(1)]);
  await settled();
  assert.equal(asked.length, 2);
});

test("another signature under the same submission is not known by the one under way", async () => {
  const { verification, asked, block } = create();
  void verification.verifyProofs([checkOf(1)]);
  const forged = checkOf(1, { signature: bytes(64, 3) });
  assert.equal((await block([forged]))?.code, "block/submission");
  assert.deepEqual(
    verification.verifySigners([checkOf(1), forged, checkOf(2)]).map((it) => it?.code),
    [undefined, "submission/signature-invalid", undefined],
  );
  assert.equal(asked.length, 1);
});

test("a verifier that fails is no verdict, and the proof can be asked about again", async () => {
  let fails = true;
  const verification = createVerification(
    { keys: new Map([[toHex(VK_HASH), KEY]]) },
    {
      verifier: {
        verify: async (jobs) => {
          if (fails) throw new Error("a thread died");
          return jobs.map(() => true);
        },
      },
    },
  );
  const both = [verification.verifyProofs([checkOf(1)]), verification.verifyProofs([checkOf(1)])];
  for (const it of both) await assert.rejects(it, /a thread died/);
  fails = false;
  assert.deepEqual(await verification.verifyProofs([checkOf(1)]), [undefined]);
});

const transactionOf = (i: number) => {
  const id = new Uint8Array(32).map((_, at) => (i >> (8 * at)) & 255);
  return { id, ed25519: { publicKey: pod.publicKey, message: id, signature: signEd25519(pod.seed, id) } };
};
const withTransactions = () => {
  const asked: number[] = [];
  const { verify } = batch;
  const verification = createVerification(
    { keys: new Map() },
    {
      verifier: { verify: async () => [] },
      signatures: {
        verify: (checks) => {
          asked.push(checks.length);
          return verify(checks);
        },
      },
    },
  );
  const block = (transactions: ReturnType<typeof transactionOf>[]) =>
    verification.verifyChecks({ bls: [], transactions, submissions: [], evidence: [] });
  return { verification, asked, block };
};
const batch = await createSignatureVerifier();

test("a block's transactions are verified together, in pieces, and once", async () => {
  const { verification, asked, block } = withTransactions();
  const transactions = Array.from({ length: 150 }, (_, i) => transactionOf(i));
  const [first] = transactions;
  assert.ok(first !== undefined && verification.verifyTransaction(first.ed25519) === undefined);
  assert.equal(await block(transactions), undefined);
  assert.deepEqual(asked, [1, 64, 64, 21], "the one from the pool is not asked about again");
  assert.equal(await block(transactions), undefined);
  assert.equal(asked.length, 4);
});

test("of a block's wrong transactions the first is named, whatever piece it is in", async () => {
  for (const wrong of [[3], [3, 4], [149, 70], [0]]) {
    const { block } = withTransactions();
    const transactions = Array.from({ length: 150 }, (_, i) => {
      const it = transactionOf(i);
      const other = transactionOf(i + 1000).ed25519.signature;
      return wrong.includes(i) ? { ...it, ed25519: { ...it.ed25519, signature: other } } : it;
    });
    const found = await block(transactions);
    assert.equal(found?.code, "block/transaction");
    assert.deepEqual(found?.data, { index: Math.min(...wrong), cause: "transaction/signature-invalid" });
    assert.deepEqual(await block(transactions), found, "and a wrong one is not remembered");
  }
});

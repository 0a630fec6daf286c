/** Those that come together are judged together, and none of them pays for another, or takes another's place. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Fault, fault, type Verdict } from "../../../consensus/primitives/faults.ts";
import type { SubmissionChecks } from "../../../consensus/state/checks.ts";
import type { Submission } from "../../../consensus/types/submission.ts";
import { createAdmission } from "../../../node/admission.ts";
import { createMempool } from "../../../node/mempool.ts";
import { createWideChain, fieldBytes, genesisLink, submissionOf } from "../../helpers/chain.ts";
import { joined, split } from "../../helpers/outputs.ts";
import { until } from "./samples.ts";

const chain = createWideChain(3);
const { state } = genesisLink(chain);
const UNSIGNED = new Uint8Array(64);

const good = (at: number): Submission => submissionOf(chain, state, at >> 6, at & 63);
const goods = (count: number, from = 0): Submission[] =>
  Array.from({ length: count }, (_, i) => good(from + i));
const forged = (at: number): Submission => ({ ...good(at), signature: UNSIGNED });
/** Different ones of a slot, all its pod's. */
const variant = (at: number, n: number): Submission =>
  submissionOf(chain, state, at >> 6, at & 63, {
    outputs: joined([
      fieldBytes(`n ${at} ${n}`),
      fieldBytes(`t ${at} ${n}`),
      ...split(good(at).outputs).slice(2),
    ]),
  });

/** A node's door; each call of its verifiers is on record, and proofs wait until the test answers. */
function open() {
  const signatures: number[] = [];
  const calls: {
    readonly count: number;
    answer(faults?: readonly (Fault | undefined)[]): void;
    fail(): void;
  }[] = [];
  const charged: string[] = [];
  let pooledCalls = 0;
  const mempool = createMempool(chain.params, chain.chain);
  const admission = createAdmission({
    chain: { params: chain.params, chain: chain.chain, tip: () => ({ state, height: state.height }) },
    mempool,
    verification: {
      verifyTransaction: () => undefined,
      verifyPossession: () => undefined,
      verifySigners(checks) {
        signatures.push(checks.length);
        return checks.map(({ ed25519: { signature } }) =>
          signature.every((byte) => byte === 0) ? fault("submission/signature-invalid") : undefined,
        );
      },
      verifyProofs(checks: readonly SubmissionChecks[]) {
        const { promise, resolve, reject } = Promise.withResolvers<(Fault | undefined)[]>();
        calls.push({
          count: checks.length,
          answer: (faults = []) => resolve(checks.map((_, i) => faults[i])),
          fail: () => reject(new Error("a thread died")),
        });
        return promise;
      },
      verifyEvidence: async () => [],
    },
    network: { publish: () => {} },
    bundles: { publish: () => {} },
    limits: {
      mayRelay: (peer) => peer !== "muted",
      onRejected: (peer, { code }) => charged.push(`${peer} ${code}`),
    },
    onRejected: () => {},
    onPooled: () => void pooledCalls++,
  });
  return {
    ...{ admission, mempool, signatures, calls, charged },
    pooledCalls: (): number => pooledCalls,
    /** Everything that waits. */
    answer(): void {
      for (const call of calls.splice(0)) call.answer();
    },
  };
}
const codeOf = (verdict: { readonly kind: string; readonly fault?: Fault } | undefined): string =>
  verdict?.fault === undefined ? (verdict?.kind ?? "none") : `${verdict.kind} ${verdict.fault.code}`;
const codesOf = async (answers: readonly Promise<Verdict>[]): Promise<string[]> =>
  (await Promise.all(answers)).map(codeOf);
/** Longer than anything that is due takes. */
const turns = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};

test("a bundle is one question about signatures and one about proofs", async () => {
  const { admission, signatures, calls, answer, mempool, pooledCalls } = open();
  const outcomes = admission.admitBundle(goods(32), "a");
  await until(() => calls.length > 0, "its proofs are verified");
  assert.deepEqual([signatures, calls.map(({ count }) => count)], [[32], [32]]);
  answer();
  assert.deepEqual((await outcomes).map(codeOf), new Array(32).fill("accept"));
  assert.equal(mempool.counts().submissions, 32);
  assert.equal(pooledCalls(), 1);
});

test("what comes one by one in a turn is asked about together, 32 at most", async () => {
  const { admission, signatures, calls, answer } = open();
  const answers = goods(40).map((it) => admission.admitSubmission(it));
  await until(() => calls.length === 2, "all are verified");
  assert.deepEqual(
    [signatures, calls.map(({ count }) => count)],
    [
      [32, 8],
      [32, 8],
    ],
  );
  answer();
  assert.deepEqual(await codesOf(answers), new Array(40).fill("accept"));
});

test("each of a bundle has its own verdict, and what is wrong with one is not another's", async () => {
  const { admission, signatures, calls, charged } = open();
  const stale = submissionOf(chain, state, 0, 9, { inputsHash: fieldBytes("?") });
  const outcomes = admission.admitBundle([good(0), forged(1), stale, good(2), good(3)], "a");
  await until(() => calls.length > 0, "proofs are verified");
  assert.deepEqual(
    [signatures, calls.map(({ count }) => count)],
    [[4], [3]],
    "the refused one's is not looked at",
  );
  assert.deepEqual(charged, ["a submission/signature-invalid"], "charged at once");
  calls[0]?.answer([undefined, fault("submission/proof-invalid"), undefined]);
  assert.deepEqual((await outcomes).map(codeOf), [
    "accept",
    "reject submission/signature-invalid",
    "ignore submission/inputs-mismatch",
    "reject submission/proof-invalid",
    "accept",
  ]);
  assert.deepEqual(charged, ["a submission/signature-invalid", "a submission/proof-invalid"]);
});

test("who gathers with others is told at once what needs no proof", async () => {
  const { admission, calls, answer } = open();
  const [slow, fast] = [admission.admitSubmission(good(0)), admission.admitSubmission(forged(1))];
  assert.equal(codeOf(await fast), "reject submission/signature-invalid");
  assert.equal(calls.length, 1);
  answer();
  assert.equal(codeOf(await slow), "accept");
});

test("forged ones beside a pod's own take none of its slot's places, wherever they stand", async () => {
  const { admission, calls, answer } = open();
  const fakes = Array.from({ length: 8 }, (_, n) => ({ ...variant(5, 10 + n), signature: UNSIGNED }));
  const own = Array.from({ length: 5 }, (_, n) => variant(5, n));
  const outcomes = admission.admitBundle([...fakes, ...own], "a");
  await until(() => calls.length > 0, "proofs are verified");
  assert.equal(calls[0]?.count, 4);
  answer();
  const codes = (await outcomes).map(codeOf);
  assert.deepEqual(codes.slice(0, 8), new Array(8).fill("reject submission/signature-invalid"));
  assert.deepEqual(codes.slice(8), [
    "accept",
    ...new Array<string>(3).fill("ignore submission/slot-filled"),
    "ignore rpc/busy",
  ]);
});

test("forged ones take none of the door's last places from good ones beside them", async () => {
  const { admission, calls, answer } = open();
  // All but one place of this peer's 128.
  const bundles = [goods(32), goods(32, 32), goods(32, 64), goods(31, 96)];
  const first = bundles.map((it) => admission.admitBundle(it, "a"));
  await until(() => calls.length === 4, "127 are verified");
  const last = admission.admitBundle([forged(130), forged(131), good(132), good(133)], "a");
  await until(() => calls.length === 5, "the last place is taken");
  assert.equal(calls[4]?.count, 1);
  answer();
  assert.deepEqual((await last).map(codeOf), [
    "reject submission/signature-invalid",
    "reject submission/signature-invalid",
    "accept",
    "ignore rpc/busy",
  ]);
  await Promise.all(first);
});

test("at a full door no signature is looked at", async () => {
  const { admission, calls, signatures, answer } = open();
  const held = [0, 32, 64, 96].map((from) => admission.admitBundle(goods(32, from), "a"));
  await until(() => calls.length === 4, "128 are verified");
  assert.deepEqual(
    (await admission.admitBundle(goods(8, 130), "a")).map(codeOf),
    new Array(8).fill("ignore rpc/busy"),
  );
  assert.equal(
    signatures.reduce((sum, it) => sum + it, 0),
    128,
  );
  answer();
  await Promise.all(held);
});

test("the same one in a bundle, in another and by RPC is verified once, and all get its verdict", async () => {
  const { admission, calls, charged } = open();
  const copy = (): Submission => ({ ...good(7) });
  const bundle = admission.admitBundle([good(6), copy(), copy()], "a");
  await until(() => calls.length === 1, "it is verified");
  const later = [admission.admitSubmission(copy()), admission.admitSubmission(copy(), "b")];
  const other = admission.admitBundle([copy(), good(8)], "c");
  await until(() => calls.length === 2, "only what is new is");
  assert.deepEqual(
    calls.map(({ count }) => count),
    [2, 1],
  );
  calls[0]?.answer([undefined, fault("submission/proof-invalid")]);
  calls[1]?.answer();
  const wrong = "reject submission/proof-invalid";
  assert.deepEqual((await bundle).map(codeOf), ["accept", wrong, wrong]);
  assert.deepEqual(await codesOf(later), [wrong, wrong]);
  assert.deepEqual((await other).map(codeOf), [wrong, "accept"]);
  const name = "submission/proof-invalid";
  assert.deepEqual(charged.toSorted(), [`a ${name}`, `a ${name}`, `b ${name}`, `c ${name}`]);
});

test("a verifier that fails leaves all of the bundle without verdicts and without places", async () => {
  const { admission, calls, charged } = open();
  const outcomes = admission.admitBundle([...goods(3), forged(3)], "a");
  await until(() => calls.length === 1, "proofs are verified");
  const waiting = admission.admitSubmission({ ...good(0) });
  await turns();
  calls.splice(0)[0]?.fail();
  assert.deepEqual((await outcomes).map(codeOf), [
    "failed",
    "failed",
    "failed",
    "reject submission/signature-invalid",
  ]);
  await assert.rejects(waiting, /a thread died/);
  assert.deepEqual(charged, ["a submission/signature-invalid"]);
  assert.equal(admission.submissionInHand(new Uint8Array(32)), undefined);
  // More than were left, had the failed ones kept theirs.
  const again = [admission.admitBundle(goods(32), "a"), admission.admitBundle(goods(32, 32), "a")];
  await until(() => calls.length === 2, "all places are free");
  for (const call of calls.splice(0)) call.answer();
  for (const all of await Promise.all(again)) assert.ok(all.every((it) => it?.kind === "accept"));
});

test("a bundle of a peer that is not listened to has a verdict of each, and no work", async () => {
  const { admission, signatures } = open();
  assert.deepEqual((await admission.admitBundle(goods(3), "muted")).map(codeOf), [
    "ignore rpc/busy",
    "ignore rpc/busy",
    "ignore rpc/busy",
  ]);
  assert.deepEqual(signatures, []);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { ed25519 } from "@noble/curves/ed25519.js";
import fc from "fast-check";
import { concatBytes } from "../../../../consensus/primitives/bytes.ts";
import { invariant } from "../../../../consensus/primitives/faults.ts";
import { createMachine } from "../../../../node/ed25519/machine.ts";
import { KEYS_MAX } from "../../../../node/ed25519/points.ts";
import {
  BATCH_MAX,
  createBatchVerifier,
  createSignatureVerifier,
  type SignatureJob,
} from "../../../../node/ed25519/verifier.ts";
import { verifyEd25519 } from "../../../../node/keys.ts";
import { cryptoAccepts, edgeCases, honest, L, message, sOf, torsioned, withS } from "./cases.ts";

const cases = edgeCases();
const verify = await createBatchVerifier();
invariant(verify !== undefined, "this machine has fused multiply-add");
const { Point } = ed25519;

test("ZIP-215 is what noble says, and what a node says of one signature", () => {
  for (const { label, job, valid } of cases) {
    const { publicKey, message: text, signature } = job;
    if (publicKey.length === 32 && signature.length === 64) {
      assert.equal(ed25519.verify(signature, text, publicKey, { zip215: true }), valid, label);
    }
    assert.equal(verifyEd25519(publicKey, text, signature), valid, label);
    // What the rule of before accepted, this one does.
    if (cryptoAccepts(job)) assert.ok(valid, label);
  }
  const before = cases.filter(({ job }) => cryptoAccepts(job));
  const now = cases.filter(({ valid }) => valid);
  assert.ok(before.length >= 3 && before.length < now.length, "and the rules do differ");
});

test("the verdict alone is ZIP-215's, at every edge", () => {
  for (const { label, job, valid } of cases) assert.deepEqual(verify([job]), [valid], label);
});

test("the verdict in company is the verdict alone", () => {
  assert.deepEqual(
    verify(cases.map(({ job }) => job)),
    cases.map(({ valid }) => valid),
  );
  // All that holds, in one equation each: parts of small order don't add up to a refusal.
  const valid = cases.filter((it) => it.valid);
  for (let at = 0; at < valid.length; at += 50) {
    const part = valid.slice(at, at + 50);
    assert.ok(verify(part.map(({ job }) => job)).every((it) => it));
  }
  // One that fails among those that hold.
  const company = valid.slice(0, 20).map(({ job }) => job);
  for (const { label, job } of cases.filter((it) => !it.valid)) {
    assert.deepEqual(verify([...company, job]), [...company.map(() => true), false], label);
  }
});

test("every number of signatures has as many verdicts", () => {
  assert.deepEqual(verify([]), []);
  for (const count of [
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    31,
    BATCH_MAX - 1,
    BATCH_MAX,
    BATCH_MAX + 1,
    2 * BATCH_MAX + 3,
  ]) {
    const jobs = Array.from({ length: count }, (_, i) => honest(`many ${i % 9}`, message(i % 50)));
    assert.deepEqual(verify(jobs), new Array(count).fill(true));
    const wrong = count >> 1;
    const spoiled = jobs.map((job, i) => (i === wrong ? { ...job, message: message(200) } : job));
    assert.deepEqual(
      verify(spoiled),
      spoiled.map((_, i) => i !== wrong),
    );
  }
});

test("errors that cancel each other are found", () => {
  const jobs = Array.from({ length: 12 }, (_, i) => honest("cancelling", message(i)));
  const [first, second] = jobs as [SignatureJob, SignatureJob];
  const delta = 12345n;
  const pair = [withS(first, sOf(first) + delta), withS(second, sOf(second) - delta)];
  const rest = jobs.slice(2);
  for (let round = 0; round < 20; round++) {
    assert.deepEqual(verify([...pair, ...rest]), [false, false, ...rest.map(() => true)]);
  }
  // Points moved against each other, and the same wrong signature many times.
  const moved = (job: SignatureJob, by: bigint): SignatureJob => ({
    ...job,
    signature: concatBytes(
      Point.fromBytes(job.signature.slice(0, 32)).add(Point.BASE.multiply(by)).toBytes(),
      job.signature.subarray(32),
    ),
  });
  const shifted = [moved(first, delta), moved(second, L - delta)];
  assert.deepEqual(verify([...shifted, ...rest]), [false, false, ...rest.map(() => true)]);
  const eight = new Array<SignatureJob>(8).fill(withS(first, sOf(first) + delta));
  assert.deepEqual(verify([...eight, ...rest]), [...eight.map(() => false), ...rest.map(() => true)]);
});

test("signatures that change places are refused, and equal ones accepted together", () => {
  const [a, b] = [honest("place a", message(1)), honest("place b", message(1))];
  const swapped = [
    { ...a, signature: b.signature },
    { ...b, signature: a.signature },
  ];
  const rest = Array.from({ length: 6 }, () => a);
  assert.deepEqual(verify([...swapped, ...rest]), [false, false, ...rest.map(() => true)]);
  assert.ok(verify(new Array<SignatureJob>(BATCH_MAX).fill(b)).every((it) => it));
});

test("parts of small order that cancel are accepted, as each of them is", () => {
  const jobs = Array.from({ length: 8 }, (_, i) => torsioned(i, 7 - i, message(i)));
  assert.deepEqual(verify(jobs), new Array(8).fill(true));
  for (const job of jobs) assert.deepEqual(verify([job]), [true]);
});

test("whatever is mixed with whatever, noble says the same", () => {
  const known = cases.filter(({ job }) => job.signature.length === 64 && job.publicKey.length === 32);
  const noble = new Map<SignatureJob, boolean>();
  const verdictOf = (job: SignatureJob): boolean => {
    const found =
      noble.get(job) ?? ed25519.verify(job.signature, job.message, job.publicKey, { zip215: true });
    noble.set(job, found);
    return found;
  };
  const spoiled = fc
    .tuple(
      fc.nat(known.length - 1),
      fc.constantFrom("publicKey", "message", "signature"),
      fc.nat(63),
      fc.nat(255),
    )
    .map(([which, field, at, byte]): SignatureJob => {
      const job = known[which]?.job ?? honest("nobody");
      return { ...job, [field]: job[field].map((old, i) => (i === at ? byte : old)) };
    });
  const plain = fc.nat(known.length - 1).map((which) => known[which]?.job ?? honest("nobody"));
  fc.assert(
    fc.property(fc.array(fc.oneof({ arbitrary: plain, weight: 20 }, spoiled), { maxLength: 40 }), (jobs) => {
      assert.deepEqual(verify(jobs), jobs.map(verdictOf));
      assert.deepEqual(
        jobs.map((job) => verify([job])[0]),
        jobs.map(verdictOf),
      );
    }),
    { numRuns: 60 },
  );
});

test("more keys than are remembered", () => {
  const jobs = Array.from({ length: KEYS_MAX + BATCH_MAX }, (_, i) => honest(`remembered ${i}`));
  assert.ok(verify(jobs).every((it) => it));
  const again = jobs.slice(0, 40);
  const swapped = again.map((job, i) => ({ ...job, publicKey: again[39 - i]?.publicKey ?? job.publicKey }));
  assert.ok(verify([...again, ...jobs.slice(-40)]).every((it) => it));
  assert.ok(verify(swapped).every((it) => !it));
});

test("the service answers the same, with any arithmetic", async () => {
  const { verify: verifyMany, verifyOne } = await createSignatureVerifier();
  const some = cases.filter((_, i) => i % 7 === 0);
  assert.deepEqual(
    verifyMany(some.map(({ job }) => job)),
    some.map(({ valid }) => valid),
  );
  for (const { label, job, valid } of some) assert.equal(verifyOne(job), valid, label);
});

test("without fused multiply-add the service answers the same, one by one", async (t) => {
  t.mock.method(WebAssembly, "validate", () => false);
  assert.equal(await createBatchVerifier(), undefined);
  const service = await createSignatureVerifier();
  const some = cases.filter((_, i) => i % 11 === 0);
  assert.deepEqual(
    service.verify(some.map(({ job }) => job)),
    some.map(({ valid }) => valid),
  );
});

test("however many signatures are false, each costs at most a third more than alone", async () => {
  // Slots of points doubled or added to: nearly all of the work.
  let slots = 0;
  const counting = await createBatchVerifier(async (bytes) => {
    const machine = await createMachine(bytes);
    return (
      machine && {
        ...machine,
        double: (first, count = 0, times = 0) => {
          slots += count * times;
          machine.double(first ?? 0, count, times);
        },
        addAffine: (list, count = 0) => {
          slots += count;
          machine.addAffine(list ?? 0, count);
        },
        addExtended: (list, count = 0) => {
          slots += count;
          machine.addExtended(list ?? 0, count);
        },
      }
    );
  });
  invariant(counting !== undefined, "this machine has fused multiply-add");
  const costOf = (jobs: readonly SignatureJob[]): number => {
    slots = 0;
    counting(jobs);
    return slots / jobs.length;
  };
  const jobs = Array.from({ length: BATCH_MAX }, (_, i) => honest(`cost ${i}`));
  const falses = (count: number): SignatureJob[] =>
    jobs.map((job, i) => (i < count ? { ...job, message: message(7) } : job));
  costOf(jobs); // tables of the keys
  const pair = costOf(falses(2).slice(0, 2));
  const valid = costOf(jobs);
  assert.ok(valid < pair / 4);
  const torsion = Array.from({ length: 64 }, (_, i) => torsioned(i % 8, i >> 3, message(i)));
  costOf(torsion);
  assert.ok(costOf(torsion) < pair / 3, "and parts of small order don't make it dearer");
  for (const count of [1, 2, 64, BATCH_MAX]) assert.ok(costOf(falses(count)) < (4 * pair) / 3);
  for (const size of [5, 16, 33]) assert.ok(costOf(falses(size).slice(0, size)) < 2 * pair);
});

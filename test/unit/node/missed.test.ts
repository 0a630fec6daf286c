import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveParams } from "../../../consensus/primitives/params.ts";
import { Epoch, ValidatorIndex, View } from "../../../consensus/primitives/units.ts";
import { proposerOf } from "../../../consensus/types/validator-set.ts";
import { createLag } from "../../../node/lag.ts";
import { silentLog } from "../../../node/log.ts";
import { createMissedViews, MISSED_MAX, reasonOf } from "../../../node/missed.ts";
import { heaviestOf, signerState } from "../../../node/status.ts";
import { MissedReason } from "../../../rpc/node-status.ts";
import { bytes, until } from "./samples.ts";

const DEV = resolveParams("dev");
const calm = { lagMs: 0, lagMaxMs: 250, catchingUp: false, aheadOfClock: false };
const ENGINE = [
  "no-proposal",
  "late",
  "invalid",
  "missing-parent",
  "inactive-proposer",
  "build-failed",
] as const;

test("on a calm machine the engine's reason is the operator's", () => {
  assert.deepEqual(
    ENGINE.map((reason) => reasonOf(reason, calm)),
    ["no proposal", "late", "invalid", "missing parent", "skipped as inactive", "no proposal"],
  );
  const elsewhere = ["this node behind", "event loop lag", "ahead of this clock"];
  const all = [...ENGINE.map((reason) => reasonOf(reason, calm)), ...elsewhere];
  assert.deepEqual([...new Set(all)].sort(), [...MissedReason.options].sort());
});

test("a view that others ended first says that this node is behind, and so does catch-up", () => {
  assert.equal(reasonOf("passed", calm), "this node behind");
  assert.equal(reasonOf("late", { ...calm, catchingUp: true }), "this node behind");
});

test("a slow event loop explains a missed view above a quarter of the timeout, not at it", () => {
  assert.equal(reasonOf("no-proposal", { ...calm, lagMs: 250 }), "no proposal");
  assert.equal(reasonOf("no-proposal", { ...calm, lagMs: 251 }), "event loop lag");
  assert.equal(reasonOf("passed", { ...calm, lagMs: 251, catchingUp: true }), "event loop lag");
});

test("an invalid block and a silent proposer are not excused by this machine", () => {
  const busy = { lagMs: 9_000, lagMaxMs: 250, catchingUp: true, aheadOfClock: true };
  assert.equal(reasonOf("invalid", busy), "invalid");
  assert.equal(reasonOf("inactive-proposer", busy), "skipped as inactive");
});

const SET = {
  epoch: Epoch(2),
  members: [],
  totalWeight: 0n,
  quorum: 0n,
  turns: [0, 1, 2],
};
const REFUSAL = { code: "block/reveal" } as const;
const create = () =>
  createMissedViews(
    { lagMaxMs: 250 },
    {
      lag: { worstSince: () => 0 },
      wasBehindSince: () => false,
      chain: { refusalOf: (hash) => (hash[0] === 4 ? REFUSAL : undefined), params: DEV },
      log: silentLog,
    },
  );
const enter = (view: number, because: "start" | "finalization") =>
  ({ kind: "entered-view", view: View(view), proposer: 0, because }) as const;

test("a missed view names its proposer, and an invalid block its fault", () => {
  const missed = create();
  missed.entered(SET, 0, enter(5, "start"));
  missed.missed(SET, { kind: "missed-view", view: View(5), reason: "invalid", blockHash: bytes(32, 4) });
  assert.deepEqual(missed.all(), [
    { epoch: 2, view: 5, proposer: proposerOf(SET, View(5)), reason: "invalid", fault: REFUSAL },
  ]);
});

test("a block stamped further ahead of the clock than allowed is why its view was missed, one within is not", () => {
  const missed = create();
  const allowedMs = Number(DEV.timestampAheadMs);
  for (const [view, aheadMs] of [
    [5, allowedMs + 60_000],
    [6, allowedMs - 60_000],
  ] as const) {
    const timestampMs = Date.now() + aheadMs;
    missed.missed(SET, { kind: "missed-view", view: View(view), reason: "missing-parent", timestampMs });
  }
  missed.missed(SET, { kind: "missed-view", view: View(7), reason: "missing-parent" });
  assert.deepEqual(
    missed.all().map(({ reason }) => reason),
    ["ahead of this clock", "missing parent", "missing parent"],
  );
  assert.equal(
    reasonOf("missing-parent", { ...calm, lagMs: 9_000, aheadOfClock: true }),
    "ahead of this clock",
  );
});

test("views that are jumped over are missed, but not by a follower, nor by a restart", () => {
  const missed = create();
  missed.entered(SET, 0, enter(5, "start"));
  missed.entered(SET, 0, enter(6, "finalization"));
  assert.deepEqual(missed.all(), []);
  missed.entered(SET, 0, enter(9, "finalization"));
  assert.deepEqual(
    missed.all().map(({ view, reason }) => [view, reason]),
    [
      [7, "this node behind"],
      [8, "this node behind"],
    ],
  );
  missed.entered(SET, 0, enter(20, "start"));
  missed.entered(SET, undefined, enter(30, "finalization"));
  assert.equal(missed.all().length, 2);
});

test("only the newest missed views are kept, however far the way", () => {
  const missed = create();
  missed.entered(SET, 0, enter(1, "start"));
  for (let view = 1; view <= 5; view++)
    missed.missed(SET, { kind: "missed-view", view: View(view), reason: "late" });
  missed.entered(SET, 0, enter(1_000_000, "finalization"));
  const views = missed.all().map(({ view }) => view);
  assert.equal(views.length, MISSED_MAX);
  assert.deepEqual([views[0], views.at(-1)], [1_000_000 - MISSED_MAX, 999_999]);
});

test("a blocked event loop is noticed while it is blocked, and not in later views", async (t) => {
  const lag = createLag();
  t.after(() => lag.stop());
  const began = performance.now();
  while (performance.now() - began < 200);
  assert.ok(lag.worstSince(began) > 100);
  await until(() => lag.worstSince(performance.now()) === 0, "its end");
  assert.ok(lag.worstSince(began) > 100);
  assert.ok(lag.summary().p50Ms >= 0);
});

test("what keeps a node from signing is named, the halt before the lease", () => {
  const free = { blockedBy: () => undefined };
  const leased = { blockedBy: () => ({ epoch: Epoch(2), view: View(70) }) };
  const halted = { kind: "diverged", timeMs: 5, dump: "diverged-5.json" } as const;
  const none = { get: () => undefined };
  assert.equal(signerState({ signer: undefined, halt: none }, undefined).state, "no key");
  assert.equal(signerState({ signer: free, halt: none }, undefined).state, "no seat");
  assert.equal(signerState({ signer: free, halt: none }, 0).state, "signing");
  assert.deepEqual(signerState({ signer: leased, halt: none }, 0), {
    state: "blocked by floor lease",
    lease: { epoch: "2", view: "70" },
  });
  assert.equal(signerState({ signer: leased, halt: { get: () => halted } }, 0).state, "halted");
});

test("a third of the weight is not over a third", () => {
  const set = (...weights: bigint[]) => ({
    members: weights.map((weight) => ({
      validator: ValidatorIndex(0),
      blsKey: new Uint8Array(48),
      weight,
      electionWeight: 1n,
    })),
    totalWeight: weights.reduce((sum, weight) => sum + weight, 0n),
  });
  const even = heaviestOf(set(1n, 1n, 1n));
  assert.deepEqual(even, { position: 0, percent: 33.3, overThird: false });
  const uneven = heaviestOf(set(10n, 11n, 10n));
  assert.deepEqual([uneven.position, uneven.overThird], [1, true]);
});

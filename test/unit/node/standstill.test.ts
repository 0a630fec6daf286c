/** What is said again without finality: only then, only what is above the last finalization, a page at a time. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Epoch, Height, View } from "../../../consensus/primitives/units.ts";
import type { Certificate } from "../../../consensus/types/certificate.ts";
import type { Vote } from "../../../consensus/types/vote.ts";
import { silentLog } from "../../../node/log.ts";
import { createStandstill, type StandstillComponents } from "../../../node/standstill.ts";
import { bytes, certificate, finalize, notarize, nullify } from "./samples.ts";

const PAGE = 32;
const FINAL_VIEW = 10;
const quietMs = (): number => performance.now() + 60_000;

/** A validator in epoch 1, final up to view 10, with certificates and own votes of the views around. */
function create(t: TestContext, { views = 80, seated = true, halted = false } = {}) {
  const sent = { certificates: [] as Certificate[], votes: [] as Vote[] };
  const at = { height: 10 };
  const certificates = Array.from({ length: views }, (_, i) => certificate(nullify(i + 1)));
  const components: StandstillComponents = {
    chain: {
      final: () => ({ height: Height(at.height), state: { epoch: Epoch(1) } }) as never,
      finalCertificate: () => certificate(finalize(FINAL_VIEW, 1)),
      finalView: () => View(FINAL_VIEW),
    },
    store: {
      certificates: async (_, from, to, limit) =>
        certificates.filter(({ subject }) => subject.view >= from && subject.view <= to).slice(0, limit),
      ownVotes: async () => Array.from({ length: views }, (_, i) => notarize(i + 1, 1)),
    },
    signer: { blsKey: bytes(48, 1), signVote: async () => bytes(96, 5) },
    driver: { positionOf: () => (seated ? 2 : undefined) },
    halt: { get: () => (halted ? { kind: "diverged", timeMs: 0, dump: "" } : undefined) },
    network: {
      sendCertificate: (it) => void sent.certificates.push(it),
      sendVote: (it) => void sent.votes.push(it),
    },
    log: silentLog,
  };
  const standstill = createStandstill(components);
  t.after(() => standstill.stop());
  return { standstill, sent, at };
}
const viewsOf = (votes: readonly { subject: { view: number } }[]): number[] =>
  votes.map(({ subject }) => subject.view);
const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

test("while blocks become final nothing is said again", async (t) => {
  const { standstill, sent, at } = create(t);
  await standstill.repeat(performance.now());
  at.height += 1;
  await standstill.repeat(quietMs());
  assert.deepEqual(sent, { certificates: [], votes: [] });
});

test("a standstill repeats the last finalization, what is above it, and the own votes there", async (t) => {
  const { standstill, sent } = create(t, { views: 15 });
  await standstill.repeat(quietMs());
  assert.deepEqual(viewsOf(sent.certificates), [FINAL_VIEW, ...range(11, 5)]);
  assert.deepEqual(viewsOf(sent.votes), range(11, 5));
  assert.ok(sent.votes.every(({ signer }) => signer === 2));
});

test("a long standstill goes page by page and begins again", async (t) => {
  const { standstill, sent } = create(t);
  const turns: number[][] = [];
  for (let turn = 0; turn < 4; turn++) {
    sent.votes.length = sent.certificates.length = 0;
    await standstill.repeat(quietMs());
    assert.ok(sent.certificates.length <= PAGE + 1 && sent.votes.length <= PAGE);
    turns.push(viewsOf(sent.votes));
  }
  assert.deepEqual(turns, [range(11, PAGE), range(43, PAGE), range(75, 6), range(11, PAGE)]);
});

test("all certificates come in turn", async (t) => {
  const { standstill, sent } = create(t);
  for (let turn = 0; turn < 3; turn++) await standstill.repeat(quietMs());
  assert.deepEqual(
    [...new Set(viewsOf(sent.certificates))].sort((a, b) => a - b),
    range(FINAL_VIEW, 71),
  );
});

test("without a seat nothing is said, and a halted node votes no more", async (t) => {
  const stranger = create(t, { seated: false });
  await stranger.standstill.repeat(quietMs());
  assert.deepEqual(stranger.sent, { certificates: [], votes: [] });
  const halted = create(t, { halted: true });
  await halted.standstill.repeat(quietMs());
  assert.deepEqual(halted.sent.votes, []);
  assert.ok(halted.sent.certificates.length > 0);
});

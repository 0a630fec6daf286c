import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ClassicLevel } from "classic-level";
import { type FaultCode, FaultError } from "../../../consensus/primitives/faults.ts";
import { Epoch, Height, View } from "../../../consensus/primitives/units.ts";
import { BlockType, ProposalType } from "../../../consensus/types/block.ts";
import { VoteKind } from "../../../consensus/types/vote.ts";
import { keys } from "../../../node/store/keys.ts";
import type { Head, ProofPlace, StoreOp } from "../../../node/store/ops.ts";
import { openStore } from "../../../node/store/store.ts";
import {
  block,
  bytes,
  CHAIN,
  certificate,
  finalize,
  folder,
  notarize,
  nullify,
  proposal,
} from "./samples.ts";

const hasCode = (code: FaultCode) => (error: unknown) => error instanceof FaultError && error.code === code;

async function reopen(dir: string, t: TestContext) {
  const store = await openStore(dir, { chain: CHAIN });
  t.after(() => store.close());
  return store;
}

const head = (height: number, epoch: number, view: number, fill = 1): Head => ({
  height: Height(height),
  hash: bytes(32, fill),
  epoch: Epoch(epoch),
  view: View(view),
});

const proofPlace: ProofPlace = {
  place: { height: Height(3), index: 4 },
  task: bytes(32, 2),
  epoch: Epoch(1),
  slot: 5,
  podId: bytes(32, 3),
};

test("what one write holds is all there after the folder is opened again", async (t) => {
  const dir = await folder(t);
  const { block: final, hash } = block(3);
  const proposed = proposal(4);
  const ops: StoreOp[] = [
    { kind: "block", hash, block: final },
    { kind: "own-vote", subject: proposed.vote.subject, proposal: proposed },
    { kind: "own-vote", subject: nullify(5) },
    { kind: "certificate", certificate: certificate(notarize(3, 1)) },
    { kind: "finalized", height: Height(3), hash, certificate: certificate(finalize(3, 1)) },
    { kind: "head", head: { ...head(3, 1, 3), hash } },
    { kind: "snapshot", height: Height(2), bytes: bytes(3_000_000, 6) },
    { kind: "transaction", id: bytes(32, 8), place: { height: Height(3), index: 2 } },
    { kind: "proof", id: bytes(32, 8), at: proofPlace },
    { kind: "record", namespace: "rounds", key: "1", value: { minted: "12", pods: [1, 2] } },
    { kind: "meta", key: "note", value: bytes(3, 1) },
  ];
  const first = await openStore(dir, { chain: CHAIN });
  await first.write(ops);
  await first.close();

  const store = await reopen(dir, t);
  assert.deepEqual(
    BlockType.serialize(store.blockByHash(hash) ?? block(0).block),
    BlockType.serialize(final),
  );
  assert.deepEqual(store.blockAt(Height(3))?.header, final.header);
  assert.deepEqual(store.hashAt(Height(3)), hash);
  assert.deepEqual(store.finalizationAt(Height(3)), certificate(finalize(3, 1)));
  assert.equal(store.finalizationAt(Height(2)), undefined);
  assert.deepEqual(store.head(), { ...head(3, 1, 3), hash });
  assert.deepEqual(await store.ownVotes(Epoch(1)), [proposed.vote.subject, nullify(5)]);
  assert.deepEqual(store.ownVote(Epoch(1), 5, VoteKind.nullify), nullify(5));
  assert.equal(store.ownVote(Epoch(1), 5, VoteKind.finalize), undefined);
  const own = store.ownProposal(Epoch(1), 4);
  assert.deepEqual(own && ProposalType.serialize(own), ProposalType.serialize(proposed));
  assert.deepEqual(store.snapshot(Height(2)), bytes(3_000_000, 6));
  assert.deepEqual(store.transaction(bytes(32, 8)), { height: 3, index: 2 });
  assert.deepEqual(store.proof(bytes(32, 8)), proofPlace);
  assert.equal(store.proof(bytes(32, 9)), undefined);
  assert.deepEqual(store.record("rounds", "1"), { minted: "12", pods: [1, 2] });
  assert.deepEqual(store.meta("note"), bytes(3, 1));
});

test("an own proposal is whole without its block being written beside it, and gone with it", async (t) => {
  const store = await reopen(await folder(t), t);
  const proposed = proposal(4);
  const { subject } = proposed.vote;
  await store.write([{ kind: "own-vote", subject, proposal: proposed }]);
  const bytesOf = (): Uint8Array | undefined => {
    const own = store.ownProposal(subject.epoch, subject.view);
    return own && ProposalType.serialize(own);
  };
  assert.deepEqual(bytesOf(), ProposalType.serialize(proposed));
  const other = block(proposed.block.header.height, 9);
  await store.write([{ kind: "finalized", height: proposed.block.header.height, ...other }]);
  assert.equal(bytesOf(), undefined, "another block is final at its height");
  const wrong = { ...proposed, vote: { ...proposed.vote, subject: nullify(6) } };
  await assert.rejects(
    store.write([{ kind: "own-vote", subject: nullify(7), proposal: wrong }]),
    /invariant/,
  );
});

test("a block is there whoever brings it first: a vote, a proposal, or what makes it final", async (t) => {
  const dir = await folder(t);
  const first = await openStore(dir, { chain: CHAIN });
  const [a, b, c] = [block(3, 1), block(4, 1), block(5, 1)];
  await first.write([{ kind: "block", ...a }]);
  await first.write([{ kind: "block", ...a }]);
  await first.write([
    { kind: "block", ...b },
    { kind: "finalized", height: Height(3), hash: a.hash, block: a.block },
  ]);
  await first.close();
  // What another process wrote is not known to be there, and written again does no harm.
  const store = await reopen(dir, t);
  await store.write([
    { kind: "block", ...b },
    { kind: "finalized", height: Height(4), hash: b.hash, block: b.block },
    { kind: "finalized", height: Height(5), hash: c.hash, block: c.block },
  ]);
  for (const [i, it] of [a, b, c].entries())
    assert.deepEqual(store.blockAt(Height(3 + i))?.header, it.block.header);
});

test("siblings that another process stored go too when one is final", async (t) => {
  const dir = await folder(t);
  const first = await openStore(dir, { chain: CHAIN });
  const [a, b, c] = [block(3, 1), block(3, 2), block(3, 3)];
  await first.write([a, b].map((it) => ({ kind: "block", ...it })));
  await first.close();
  const store = await reopen(dir, t);
  await store.write([{ kind: "block", ...c }]);
  await store.write([{ kind: "finalized", height: Height(3), hash: c.hash }]);
  assert.deepEqual(
    [a, b, c].map(({ hash }) => store.blockByHash(hash) !== undefined),
    [false, false, true],
  );
});

test("a block that was deleted as a loser is not taken for one that is there", async (t) => {
  const store = await reopen(await folder(t), t);
  const [a, b] = [block(3, 1), block(3, 2)];
  await store.write([a, b].map((it) => ({ kind: "block", ...it })));
  await store.write([{ kind: "base", height: Height(4) }]);
  assert.equal(store.blockByHash(a.hash), undefined);
  await store.write([{ kind: "finalized", height: Height(3), hash: a.hash, block: a.block }]);
  assert.deepEqual(store.blockAt(Height(3))?.header, a.block.header);
});

test("a folder in use is refused, and so is one of another chain", async (t) => {
  const dir = await folder(t);
  const first = await openStore(dir, { chain: CHAIN });
  await assert.rejects(openStore(dir, { chain: CHAIN }), hasCode("node/store-locked"));
  await first.close();
  await assert.rejects(openStore(dir, { chain: bytes(32, 9) }), hasCode("node/chain-mismatch"));
  const again = await openStore(dir, { chain: CHAIN });
  await again.close();
});

test("the head never goes back, and a refused write leaves nothing behind", async (t) => {
  const store = await reopen(await folder(t), t);
  await store.write([{ kind: "head", head: head(5, 2, 7) }]);
  const wrong = [head(4, 2, 8), head(6, 2, 6), head(6, 1, 9), head(5, 2, 8, 2)];
  for (const it of wrong) {
    const ops: StoreOp[] = [
      { kind: "meta", key: "trace", value: bytes(1, 1) },
      { kind: "head", head: it },
    ];
    await assert.rejects(store.write(ops), /invariant/);
  }
  assert.equal(store.meta("trace"), undefined);
  await store.write([{ kind: "head", head: head(5, 2, 7) }]);
  await store.write([{ kind: "head", head: head(6, 3, 1) }]);
  assert.deepEqual(store.head(), head(6, 3, 1));
});

test("a final height never changes its block, and siblings go when one is final", async (t) => {
  const store = await reopen(await folder(t), t);
  const [a, b, c] = [block(3, 1), block(3, 2), block(4, 1)];
  await store.write([a, b, c].map((it) => ({ kind: "block", ...it })));
  await store.write([{ kind: "finalized", height: Height(3), hash: a.hash }]);
  assert.ok(store.blockByHash(a.hash));
  assert.equal(store.blockByHash(b.hash), undefined);
  assert.ok(store.blockByHash(c.hash), "other heights are left alone");
  await assert.rejects(store.write([{ kind: "finalized", height: Height(3), hash: b.hash }]), /invariant/);
  await store.write([{ kind: "block", ...b }]);
  assert.equal(store.blockByHash(b.hash), undefined, "a block that lost is not stored again");
  const d = block(5, 1);
  await store.write([{ kind: "finalized", height: Height(5), ...d }]);
  assert.deepEqual(
    store.blockAt(Height(5))?.header,
    d.block.header,
    "caught up blocks come with their finalization",
  );
});

test("own votes are never replaced, nor cast in an epoch that is over", async (t) => {
  const store = await reopen(await folder(t), t);
  await store.write([{ kind: "own-vote", subject: notarize(3, 1, 2) }]);
  await store.write([{ kind: "own-vote", subject: notarize(3, 1, 2) }]);
  await assert.rejects(store.write([{ kind: "own-vote", subject: notarize(3, 2, 2) }]), /invariant/);
  await assert.rejects(store.write([{ kind: "own-vote", subject: nullify(9, 1) }]), /invariant/);
  assert.deepEqual(await store.ownVotes(Epoch(2)), [notarize(3, 1, 2)]);
  const twice: StoreOp[] = [notarize(4, 1, 2), notarize(4, 2, 2)].map((subject) => ({
    kind: "own-vote",
    subject,
  }));
  await assert.rejects(store.write(twice), /invariant/, "nor within one write");
});

test("certificates are read by epoch and views, in order", async (t) => {
  const store = await reopen(await folder(t), t);
  const all = [
    notarize(1, 1),
    nullify(2),
    notarize(2, 1),
    finalize(16, 1),
    nullify(17),
    nullify(256),
    nullify(3, 2),
  ];
  await store.write(all.map((subject) => ({ kind: "certificate", certificate: certificate(subject) })));
  const views = async (from: number, to: number, limit?: number) =>
    (await store.certificates(Epoch(1), from, to, limit)).map(
      ({ subject }) => `${subject.view}.${subject.kind}`,
    );
  assert.deepEqual(await views(1, 1000), ["1.1", "2.1", "2.2", "16.3", "17.2", "256.2"]);
  assert.deepEqual(await views(2, 16), ["2.1", "2.2", "16.3"]);
  assert.deepEqual(await views(2, 16, 2), ["2.1", "2.2"]);
  assert.deepEqual(await views(5, 4), []);
  await store.write([{ kind: "certificate", certificate: certificate(notarize(1, 2)) }]);
  assert.equal((await views(1, 1)).length, 2, "certificates that contradict each other are both kept");
});

test("the newest two snapshots are kept", async (t) => {
  const store = await reopen(await folder(t), t);
  for (const height of [10, 20, 30]) {
    await store.write([{ kind: "snapshot", height: Height(height), bytes: bytes(10, height) }]);
  }
  assert.deepEqual(store.snapshotHeights(), [20, 30]);
  assert.equal(store.snapshot(Height(10)), undefined);
  assert.deepEqual(store.snapshot(Height(30)), bytes(10, 30));
});

test("pruning forgets earlier epochs only, and voting there is over", async (t) => {
  const dir = await folder(t);
  const first = await openStore(dir);
  const old = [notarize(1, 1), notarize(2, 1), finalize(1, 1)].map(
    (subject) => ({ kind: "own-vote", subject }) as const,
  );
  await first.write([...old, { kind: "certificate", certificate: certificate(nullify(1)) }]);
  await first.write([{ kind: "own-vote", subject: nullify(1, 2) }]);
  await first.pruneEpoch(Epoch(2));
  assert.deepEqual(await first.ownVotes(Epoch(1)), []);
  assert.deepEqual(await first.certificates(Epoch(1), 1, 9), []);
  assert.deepEqual(await first.ownVotes(Epoch(2)), [nullify(1, 2)]);
  await first.close();
  const store = await openStore(dir);
  t.after(() => store.close());
  assert.equal(store.prunedBelow(), 2);
  assert.equal(store.voteEpoch(), 2);
  await assert.rejects(store.write([{ kind: "own-vote", subject: nullify(7) }]), /invariant/);
});

test("writes asked at once end in the order of the calls", async (t) => {
  const store = await reopen(await folder(t), t);
  await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      store.write([{ kind: "record", namespace: "n", key: "k", value: i }]),
    ),
  );
  assert.equal(store.record("n", "k"), 199);
});

test("records are read in pages, and large ones refused", async (t) => {
  const store = await reopen(await folder(t), t);
  const names = ["a", "b", "c"];
  await store.write(names.map((key) => ({ kind: "record", namespace: "pods", key, value: key })));
  await store.write([{ kind: "record", namespace: "pods-2", key: "z", value: 1 }]);
  assert.deepEqual(await store.records("pods", { limit: 2 }), [
    { key: "a", value: "a" },
    { key: "b", value: "b" },
  ]);
  assert.deepEqual(await store.records("pods", { after: "b" }), [{ key: "c", value: "c" }]);
  const large = { kind: "record", namespace: "pods", key: "l", value: "x".repeat(70_000) } as const;
  await assert.rejects(store.write([large]), /invariant/);
});

test("a hole among the own votes is found when the folder is opened", async (t) => {
  const dir = await folder(t);
  const store = await openStore(dir);
  for (const view of [1, 2, 3]) await store.write([{ kind: "own-vote", subject: nullify(view) }]);
  await store.close();
  const raw = new ClassicLevel<string, Uint8Array>(dir, { valueEncoding: "view" });
  await raw.del(keys.ownVote(nullify(2)));
  await raw.close();
  await assert.rejects(openStore(dir), hasCode("node/store-corrupt"));
});

test("damage inside LevelDB's log is found, a torn tail is not minded", async (t) => {
  const dir = await folder(t);
  const store = await openStore(dir);
  for (let view = 1; view <= 800; view++) await store.write([{ kind: "own-vote", subject: nullify(view) }]);
  await store.close();
  const log = (await readdir(dir)).find((name) => name.endsWith(".log"));
  assert.ok(log);
  const file = join(dir, log);
  const content = await readFile(file);
  await writeFile(file, content.subarray(0, content.length - 5));
  const torn = await openStore(dir);
  assert.equal((await torn.ownVotes(Epoch(1))).length, 799);
  await torn.close();

  const damaged = await folder(t);
  const second = await openStore(damaged);
  for (let view = 1; view <= 800; view++) await second.write([{ kind: "own-vote", subject: nullify(view) }]);
  await second.close();
  const name = (await readdir(damaged)).find((it) => it.endsWith(".log"));
  assert.ok(name);
  const bad = await readFile(join(damaged, name));
  bad[Math.floor(bad.length / 2)] = (bad[Math.floor(bad.length / 2)] ?? 0) ^ 0xff;
  await writeFile(join(damaged, name), bad);
  await assert.rejects(openStore(damaged), hasCode("node/store-corrupt"));
});

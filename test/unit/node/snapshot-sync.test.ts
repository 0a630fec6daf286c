/** A node epochs behind: what it believes of boundaries and snapshots, whoever offers them, and what a crash leaves. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { zkp } from "../../../consensus/primitives/units.ts";
import { setProof } from "../../../consensus/state/proofs.ts";
import { fork, stateRoot } from "../../../consensus/state/state.ts";
import type { EpochProof } from "../../../consensus/types/light-client.ts";
import { VoteKind } from "../../../consensus/types/vote.ts";
import { CHUNK_BYTES, chunksOf, manifestOf } from "../../../node/store/manifest.ts";
import { certify, EPOCH, subjectOf } from "../../helpers/chain.ts";
import {
  blocksOf,
  catchUpFrom,
  chainOf,
  changing,
  finalizationOf,
  honestPeer,
  linkIn,
  linksOf,
  openNode,
  openSource,
  type Peer,
  silence,
} from "./late.ts";

const EPOCHS = 5;
const chain = chainOf();
const links = linksOf(chain, EPOCHS * EPOCH + 4);
const linkAt = linkIn(links);
const tip = linkAt(links.length);
const NEWEST = EPOCHS * EPOCH;

/** Serves these bytes as the state, with a manifest and chunks that agree. */
const serving =
  (bytes: Uint8Array): Peer =>
  async (request, honest) => {
    if (request.kind === "snapshot") return { kind: "snapshot", manifest: manifestOf(bytes) };
    if (request.kind !== "snapshot-chunk") return honest();
    const data = chunksOf(bytes)[request.index];
    return data === undefined ? undefined : { kind: "snapshot-chunk", data };
  };

const richer = (): Uint8Array => {
  const state = fork(linkAt(NEWEST).state);
  state.supply.treasury = zkp(1_000_000) as typeof state.supply.treasury;
  state.commit();
  return state.serialize();
};
const whole = linkAt(NEWEST).state.serialize();
assert.ok(whole.length > CHUNK_BYTES, "more than one chunk");

describe("a node five epochs behind", () => {
  test("follows the epochs, takes the newest state, and executes only what is above", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain);
    const { phases, imported, blamed } = await catchUpFrom(t, late, source, { peer: honestPeer });
    assert.deepEqual(late.chain.final().hash, tip.hash);
    assert.deepEqual(stateRoot(late.chain.final().state), stateRoot(tip.state));
    assert.deepEqual(late.final, [NEWEST, NEWEST + 1, NEWEST + 2, NEWEST + 3, NEWEST + 4]);
    assert.deepEqual([...phases], ["none", "boundaries", "snapshot", "blocks"]);
    assert.deepEqual(
      imported.map(({ subject }) => subject.blockHash),
      [linkAt(NEWEST).hash, tip.hash],
    );
    assert.deepEqual(blamed, []);
    assert.equal(late.store.lowest(), NEWEST);
    assert.equal(late.store.blockAt(linkAt(NEWEST - 1).state.height), undefined);
  });

  test("is the same after a restart, and serves what it has to the next one", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain);
    await catchUpFrom(t, late, source, { peer: honestPeer });
    await late.close();
    const again = await openNode(t, chain, { dir: late.dir });
    assert.deepEqual(again.chain.final().hash, tip.hash);
    assert.equal(again.store.lowest(), NEWEST);
    for (let epoch = 0; epoch < EPOCHS; epoch++)
      assert.deepEqual(again.store.epochProof(epoch), source.store.epochProof(epoch));
    const next = await openNode(t, chain);
    await catchUpFrom(t, next, again, { peer: honestPeer });
    assert.deepEqual(next.chain.final().hash, tip.hash);
    assert.equal(next.store.lowest(), NEWEST);
  });

  test("executes everything if it is told to", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain);
    const { phases } = await catchUpFrom(t, late, source, { peer: honestPeer }, { snapshotSync: false });
    assert.deepEqual(late.chain.final().hash, tip.hash);
    assert.equal(late.final.length, links.length);
    assert.equal(late.store.lowest(), 1);
    assert.ok(!phases.has("snapshot"));
  });

  test("that is only two epochs behind executes the blocks", async (t) => {
    const source = await openSource(t, chain, links.slice(0, 2 * EPOCH + 3));
    const late = await openNode(t, chain);
    const { phases } = await catchUpFrom(t, late, source, { peer: honestPeer });
    assert.equal(late.chain.final().height, 2 * EPOCH + 3);
    assert.equal(late.store.lowest(), 1);
    assert.ok(!phases.has("boundaries"));
  });

  test("that lacks fewer blocks than a snapshot is worth executes them", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain);
    await catchUpFrom(t, late, source, { peer: honestPeer }, { blocksBehind: links.length });
    assert.deepEqual(late.chain.final().hash, tip.hash);
    assert.equal(late.store.lowest(), 1);
  });

  test("goes on from what it has, and keeps those blocks", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain);
    const own = links.slice(0, 4);
    assert.equal(await late.chain.importFinal(blocksOf(own), finalizationOf(chain, linkAt(4))), undefined);
    // A block above its tip that it had seen and that was never final there.
    const block = blocksOf([linkAt(5)])[0];
    assert.ok(block !== undefined);
    await late.store.write([{ kind: "block", hash: linkAt(5).hash, block }]);
    await catchUpFrom(t, late, source, { peer: honestPeer });
    assert.deepEqual(late.chain.final().hash, tip.hash);
    assert.deepEqual(late.store.hashAt(linkAt(2).state.height), linkAt(2).hash);
    assert.equal(late.store.blockByHash(linkAt(5).hash), undefined);
  });

  test("believes the boundaries and not what a peer says of its tip", async (t) => {
    const source = await openSource(t, chain, links.slice(0, EPOCH + 2));
    const late = await openNode(t, chain);
    const boaster = changing("tip", (tip) => ({ ...tip, height: 10_000 as never, epoch: 1_000 as never }));
    await catchUpFrom(t, late, source, { boaster });
    assert.equal(late.chain.final().height, EPOCH + 2);
    assert.equal(late.store.lowest(), 1);
  });
});

test("a peer that answers nothing but its tip is asked once a round", async (t) => {
  const source = await openSource(t, chain, links);
  const late = await openNode(t, chain);
  const mute: Peer = async (request, honest) => (request.kind === "tip" ? honest() : silence());
  const { kinds } = await catchUpFrom(t, late, source, { mute, good: honestPeer });
  assert.deepEqual(late.chain.final().hash, tip.hash);
  assert.equal(kinds("mute").filter((kind) => kind !== "tip").length, 1);
});

test("where peers have only newer blocks, and no snapshot is wanted, the node stays and says so", async (t) => {
  const source = await openSource(t, chain, links);
  const pruned = await openNode(t, chain);
  await catchUpFrom(t, pruned, source, { peer: honestPeer });
  const late = await openNode(t, chain);
  const { warnings } = await catchUpFrom(t, late, pruned, { peer: honestPeer }, { snapshotSync: false });
  assert.equal(late.chain.final().height, 0);
  assert.deepEqual(warnings, ["no peer has the blocks that come next"]);
});

describe("of boundaries", () => {
  const forged = (change: (proof: EpochProof) => EpochProof): Peer =>
    changing("epoch-boundaries", ({ kind, proofs }) => ({
      kind,
      proofs: proofs.map((proof, i) => (i === 1 ? change(proof) : proof)),
    }));
  const outsiders = (height: number) => {
    // Signed by people of the chain, under a set that never was: two hold what four should.
    const link = linkAt(height);
    const { set } = linkAt(height - 1);
    const few = { ...set, members: set.members.slice(0, 2) };
    return certify(few, subjectOf(link, VoteKind.finalize), [0, 1], chain);
  };
  const attacks: [string, Peer][] = [
    [
      "with a certificate of a smaller set",
      forged(({ finalized, next }) => ({
        finalized: { ...finalized, finalization: outsiders(2 * EPOCH) },
        next,
      })),
    ],
    [
      "without a quorum",
      forged(({ finalized, next }) => ({
        finalized: { ...finalized, finalization: finalizationOf(chain, linkAt(2 * EPOCH), [0, 1]) },
        next,
      })),
    ],
    [
      "that are only notarized",
      forged(({ finalized, next }) => {
        const link = linkAt(2 * EPOCH);
        const { set } = linkAt(2 * EPOCH - 1);
        const finalization = certify(set, subjectOf(link, VoteKind.notarize), [0, 1, 2], chain);
        return { finalized: { ...finalized, finalization }, next };
      }),
    ],
    [
      "with another next set",
      forged(({ finalized, next }) => ({
        finalized,
        next: { ...next, set: { ...next.set, members: next.set.members.slice(1) } },
      })),
    ],
    [
      "of another epoch",
      changing("epoch-boundaries", ({ kind, proofs }) => ({ kind, proofs: proofs.slice(1) })),
    ],
    [
      "that are not the last block of their epoch",
      forged(() => {
        const link = linkAt(2 * EPOCH - 1);
        const headers = blocksOf([link]).map(({ header }) => header);
        const finalization = finalizationOf(chain, link);
        return { finalized: { headers, finalization }, next: setProof(link.state, 2) };
      }),
    ],
  ];
  for (const [what, attack] of attacks) {
    test(`those ${what} are not followed, and the next peer is asked`, async (t) => {
      const source = await openSource(t, chain, links);
      const late = await openNode(t, chain);
      const { blamed } = await catchUpFrom(t, late, source, { attack, good: honestPeer });
      assert.deepEqual(blamed, ["attack"]);
      assert.deepEqual(late.chain.final().hash, tip.hash);
      assert.equal(late.store.lowest(), NEWEST);
    });
  }

  test("nothing of a liar's is stored", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain);
    const attack: Peer = async (_, honest) => {
      const answer = await honest();
      if (answer?.kind === "blocks" || answer?.kind === "finalization") return undefined;
      if (answer?.kind !== "epoch-boundaries") return answer;
      return { ...answer, proofs: answer.proofs.slice(1) };
    };
    const { blamed } = await catchUpFrom(t, late, source, { attack });
    assert.deepEqual(blamed, ["attack"]);
    assert.equal(late.store.head(), undefined);
    for (let epoch = 0; epoch < EPOCHS; epoch++) assert.equal(late.store.epochProof(epoch), undefined);
  });
});

describe("of snapshots", () => {
  const flipped = (data: Uint8Array): Uint8Array => data.map((byte, i) => (i === 7 ? byte ^ 1 : byte));
  const attacks: [string, Peer][] = [
    ["a forged chunk", changing("snapshot-chunk", ({ kind, data }) => ({ kind, data: flipped(data) }))],
    ["a short chunk", changing("snapshot-chunk", ({ kind, data }) => ({ kind, data: data.slice(1) }))],
    [
      "a manifest with too many chunks",
      changing("snapshot", ({ kind, manifest }) => ({
        kind,
        manifest: { ...manifest, chunks: [...manifest.chunks, new Uint8Array(32)] },
      })),
    ],
    [
      "a manifest of more than may be",
      changing("snapshot", ({ kind }) => {
        const chunks = Array.from({ length: 1_024 }, () => new Uint8Array(32));
        return { kind, manifest: { bytes: 1_024 * CHUNK_BYTES + 1, chunks } };
      }),
    ],
    ["an empty manifest", changing("snapshot", ({ kind }) => ({ kind, manifest: { bytes: 0, chunks: [] } }))],
    ["a truncated state", serving(whole.slice(0, -100))],
    ["a state that is none", serving(new Uint8Array(1_000).fill(255))],
    ["a state with another root", serving(richer())],
    ["the state of another epoch", serving(linkAt(NEWEST - EPOCH).state.serialize())],
  ];
  for (const [what, attack] of attacks) {
    test(`${what} is refused, whoever sent it is cut off, and others serve`, async (t) => {
      const source = await openSource(t, chain, links);
      const late = await openNode(t, chain);
      const { blamed } = await catchUpFrom(t, late, source, { attack, good: honestPeer });
      assert.deepEqual(blamed, ["attack"]);
      assert.deepEqual(late.chain.final().hash, tip.hash);
      assert.deepEqual(stateRoot(late.chain.final().state), stateRoot(tip.state));
      assert.equal(late.store.lowest(), NEWEST);
    });
  }

  test("the boundary's block with another body is refused", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain);
    const attack = changing("block-by-hash", ({ kind, block }) => ({
      kind,
      block:
        block === undefined ? undefined : { ...block, body: blocksOf([linkAt(3)])[0]?.body ?? block.body },
    }));
    const { blamed } = await catchUpFrom(t, late, source, { attack, good: honestPeer });
    assert.deepEqual(blamed, ["attack"]);
    assert.equal(late.store.lowest(), NEWEST);
  });

  test("another block under the boundary's name is refused", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain);
    const [other] = blocksOf([linkAt(NEWEST - EPOCH)]);
    const attack = changing("block-by-hash", ({ kind }) => ({ kind, block: other }));
    const { blamed } = await catchUpFrom(t, late, source, { attack, good: honestPeer });
    assert.deepEqual(blamed, ["attack"]);
    assert.equal(late.store.lowest(), NEWEST);
  });

  test("the smallest state that is offered is tried first, so that a liar costs no more than the truth", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain);
    const small = serving(whole.slice(0, 5_000));
    const { kinds } = await catchUpFrom(t, late, source, { good: honestPeer, small });
    assert.equal(kinds("small").filter((kind) => kind === "snapshot-chunk").length, 1);
    assert.equal(late.store.lowest(), NEWEST);
  });

  test("a peer that falls silent after the first chunk is not waited for again", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain);
    let chunks = 0;
    const fading: Peer = async (request, honest) =>
      request.kind === "snapshot-chunk" && chunks++ > 0 ? silence() : honest();
    const { blamed, kinds } = await catchUpFrom(t, late, source, { fading, good: honestPeer });
    assert.deepEqual(blamed, []);
    assert.ok(kinds("good").includes("snapshot-chunk"));
    // It may be asked for several chunks at once, and then no more.
    assert.ok(kinds("fading").filter((kind) => kind === "snapshot-chunk").length <= 4);
    assert.equal(late.store.lowest(), NEWEST);
    assert.deepEqual(late.chain.final().hash, tip.hash);
  });

  test("without any to be had the blocks are executed", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain);
    const { phases } = await catchUpFrom(t, late, source, { poor: changing("snapshot", () => undefined) });
    assert.ok(phases.has("boundaries"));
    assert.deepEqual(late.chain.final().hash, tip.hash);
    assert.equal(late.store.lowest(), 1);
  });

  test("an older one is taken where nobody serves the newest", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain);
    const older: Peer = async (request, honest) =>
      request.kind === "snapshot" && request.height === NEWEST ? undefined : honest();
    await catchUpFrom(t, late, source, { older });
    assert.deepEqual(late.chain.final().hash, tip.hash);
    assert.equal(late.store.lowest(), NEWEST - EPOCH);
  });
});

describe("a crash", () => {
  test("between two chunks leaves the node where it was", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain);
    let chunks = 0;
    const crash: Peer = async (request, honest) => {
      if (request.kind === "blocks") return undefined;
      return request.kind === "snapshot-chunk" && chunks++ > 0 ? silence() : honest();
    };
    await catchUpFrom(t, late, source, { crash });
    assert.ok(chunks > 1);
    await late.close();
    const again = await openNode(t, chain, { dir: late.dir });
    assert.equal(again.chain.final().height, 0);
    assert.deepEqual(again.store.snapshotHeights(), []);
    const { kinds } = await catchUpFrom(t, again, source, { peer: honestPeer });
    assert.deepEqual(again.chain.final().hash, tip.hash);
    assert.equal(again.store.lowest(), NEWEST);
    // What was verified before the crash is not asked for again, but for whether there is more.
    assert.equal(kinds("peer").filter((kind) => kind === "epoch-boundaries").length, 1);
  });

  test("at the write leaves the node where it was", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain, {
      write: (store, ops) =>
        ops.some(({ kind }) => kind === "base") ? Promise.reject(new Error("power cut")) : store.write(ops),
    });
    await catchUpFrom(t, late, source, { peer: honestPeer });
    assert.equal(late.chain.final().height, 0);
    await late.close();
    const again = await openNode(t, chain, { dir: late.dir });
    assert.equal(again.chain.final().height, 0);
    assert.equal(again.store.lowest(), 1);
    await catchUpFrom(t, again, source, { peer: honestPeer });
    assert.deepEqual(again.chain.final().hash, tip.hash);
  });

  test("right after it leaves the node there, without a block above", async (t) => {
    const source = await openSource(t, chain, links);
    const late = await openNode(t, chain);
    const block = blocksOf([linkAt(NEWEST)])[0];
    assert.ok(block !== undefined);
    const certificate = finalizationOf(chain, linkAt(NEWEST));
    assert.ok((await late.chain.adopt(block, certificate, whole)) !== undefined);
    await late.close();
    const again = await openNode(t, chain, { dir: late.dir });
    assert.equal(again.chain.final().height, NEWEST);
    assert.deepEqual(again.chain.finalCertificate()?.subject, certificate.subject);
    assert.deepEqual(stateRoot(again.chain.final().state), stateRoot(linkAt(NEWEST).state));
    await catchUpFrom(t, again, source, { peer: honestPeer });
    assert.deepEqual(again.chain.final().hash, tip.hash);
  });
});

test("a state that is behind the own one changes nothing", async (t) => {
  const late = await openSource(t, chain, links);
  const block = blocksOf([linkAt(NEWEST)])[0];
  assert.ok(block !== undefined);
  await late.chain.adopt(block, finalizationOf(chain, linkAt(NEWEST)), whole);
  assert.deepEqual(late.chain.final().hash, tip.hash);
  assert.equal(late.store.lowest(), 1);
});

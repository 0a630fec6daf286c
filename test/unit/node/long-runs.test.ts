/** Runs of blocks that no answer can hold with a finalization: fixed by certificate and headers, then taken in pages. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { stateRoot } from "../../../consensus/state/state.ts";
import { VoteKind } from "../../../consensus/types/vote.ts";
import { certify, subjectOf } from "../../helpers/chain.ts";
import {
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

const BLOCKS = 300;
const chain = chainOf(2 * BLOCKS);
const links = linksOf(chain, BLOCKS + 5);
const linkAt = linkIn(links);
const last = linkAt(BLOCKS);
const run = links.slice(0, BLOCKS);

test("300 blocks without a finalization among them are served, fixed by headers, and imported in pages", async (t) => {
  const source = await openSource(t, chain, run);
  const late = await openNode(t, chain);
  const { asked, imported, blamed } = await catchUpFrom(t, late, source, { peer: honestPeer });
  assert.deepEqual(late.chain.final().hash, last.hash);
  assert.deepEqual(stateRoot(late.chain.final().state), stateRoot(last.state));
  assert.equal(late.final.length, BLOCKS);
  assert.deepEqual(blamed, []);
  assert.deepEqual(
    imported.map(({ subject }) => subject.blockHash),
    [last.hash],
  );
  assert.deepEqual(
    asked.map(({ request }) => request.kind),
    [
      "tip",
      "blocks",
      "finalization",
      "headers",
      "headers",
      "blocks",
      "blocks",
      "blocks",
      // Whether there is more.
      "blocks",
      "tip",
    ],
  );
  assert.deepEqual(late.chain.finalCertificate()?.subject.blockHash, last.hash);
});

test("a run that ends before the source's tip is followed by the short one above it", async (t) => {
  const source = await openSource(t, chain, links, [BLOCKS]);
  const late = await openNode(t, chain);
  const { imported } = await catchUpFrom(t, late, source, { peer: honestPeer });
  assert.deepEqual(late.chain.final().hash, linkAt(BLOCKS + 5).hash);
  assert.equal(imported.length, 2);
});

describe("a liar", () => {
  const { block } = linkAt(7);
  assert.ok(block !== undefined);
  const attacks: [string, Peer][] = [
    [
      "with headers that do not link",
      changing("headers", ({ kind, headers }) => ({
        kind,
        headers: headers.map((it, i) => (i === 3 ? { ...it, timestampMs: it.timestampMs + 1 } : it)),
      })),
    ],
    [
      "with headers from below",
      changing("headers", ({ kind, headers }) => ({ kind, headers: headers.slice(1) })),
    ],
    [
      "with headers in the wrong order",
      changing("headers", ({ kind, headers }) => ({ kind, headers: headers.toReversed() })),
    ],
    [
      "with blocks that do not match the headers",
      changing("blocks", ({ kind, blocks, certificate }, turn) => ({
        kind,
        blocks: turn === 0 ? blocks : blocks.map((it, i) => (i === 2 ? block : it)),
        certificate,
      })),
    ],
    [
      "with bodies that do not match the headers",
      changing("blocks", ({ kind, blocks, certificate }, turn) => ({
        kind,
        blocks: turn === 0 ? blocks : blocks.map((it, i) => (i === 2 ? { ...it, body: block.body } : it)),
        certificate,
      })),
    ],
    [
      "with a certificate that no quorum signed",
      changing("finalization", ({ kind, header }) => ({
        kind,
        header,
        certificate: finalizationOf(chain, last, [0, 1]),
      })),
    ],
    [
      "with a certificate of another block",
      changing("finalization", ({ kind, header }) => ({
        kind,
        header,
        certificate: finalizationOf(chain, linkAt(BLOCKS - 1)),
      })),
    ],
    [
      "with a notarization",
      changing("finalization", ({ kind, header }) => ({
        kind,
        header,
        certificate: certify(linkAt(BLOCKS - 1).set, subjectOf(last, VoteKind.notarize), [0, 1, 2], chain),
      })),
    ],
  ];
  for (const [what, attack] of attacks) {
    test(`${what} is cut off, and others give the rest`, async (t) => {
      const source = await openSource(t, chain, run);
      const late = await openNode(t, chain);
      const { blamed } = await catchUpFrom(t, late, source, { attack, good: honestPeer });
      assert.deepEqual(blamed, ["attack"]);
      assert.deepEqual(late.chain.final().hash, last.hash);
    });

    test(`${what} and nobody else gets nothing executed`, async (t) => {
      const source = await openSource(t, chain, run);
      const late = await openNode(t, chain);
      await catchUpFrom(t, late, source, { attack });
      assert.equal(late.chain.final().height, 0);
      assert.equal(late.store.head(), undefined);
      assert.equal(late.store.hashAt(linkAt(1).state.height), undefined);
    });
  }

  test("with blocks and never a certificate gets nothing executed, and is asked a few times only", async (t) => {
    const source = await openSource(t, chain, run);
    const late = await openNode(t, chain);
    const attack: Peer = async (request, honest) => (request.kind === "finalization" ? undefined : honest());
    const { asked } = await catchUpFrom(t, late, source, { attack });
    assert.equal(late.chain.final().height, 0);
    assert.ok(asked.length <= 4);
  });
});

describe("in the middle of a long run", () => {
  test("a peer that falls silent is replaced by another", async (t) => {
    const source = await openSource(t, chain, run);
    const late = await openNode(t, chain);
    let pages = 0;
    const fading: Peer = async (request, honest) =>
      request.kind === "blocks" && pages++ > 1 ? silence() : honest();
    const { blamed, kinds } = await catchUpFrom(t, late, source, { fading, good: honestPeer });
    assert.deepEqual(blamed, []);
    assert.deepEqual(kinds("good"), ["tip", "blocks", "blocks", "blocks", "tip"]);
    assert.deepEqual(late.chain.final().hash, last.hash);
  });

  test("a crash leaves a valid head, from which the rest is taken", async (t) => {
    const source = await openSource(t, chain, run);
    const late = await openNode(t, chain);
    let pages = 0;
    const crash: Peer = async (request, honest) =>
      request.kind === "blocks" && pages++ > 1 ? silence() : honest();
    await catchUpFrom(t, late, source, { crash });
    const { height } = late.chain.final();
    assert.equal(height, 128);
    assert.equal(late.chain.finalCertificate(), undefined, "the certificate is of a block far above");
    await late.close();

    const again = await openNode(t, chain, { dir: late.dir });
    assert.equal(again.chain.final().height, height);
    assert.deepEqual(again.chain.final().hash, linkAt(height).hash);
    assert.equal(again.chain.finalView(), linkAt(height).view);
    assert.equal(again.chain.finalCertificate(), undefined);
    await catchUpFrom(t, again, source, { peer: honestPeer });
    assert.deepEqual(again.chain.final().hash, last.hash);
  });

  test("a crash at a page's write leaves the head of the page before", async (t) => {
    const source = await openSource(t, chain, run);
    let writes = 0;
    const late = await openNode(t, chain, {
      write: (store, ops) =>
        ops.some(({ kind }) => kind === "head") && writes++ > 0
          ? Promise.reject(new Error("power cut"))
          : store.write(ops),
    });
    await catchUpFrom(t, late, source, { peer: honestPeer });
    assert.equal(late.chain.final().height, 128);
    await late.close();
    const again = await openNode(t, chain, { dir: late.dir });
    assert.equal(again.chain.final().height, 128);
    assert.equal(again.store.hashAt(linkAt(129).state.height), undefined);
  });
});

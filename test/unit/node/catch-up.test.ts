/** Catch-up: which runs of blocks are taken, and what is answered to others who catch up. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { Height } from "../../../consensus/primitives/units.ts";
import { type Block, blockHash } from "../../../consensus/types/block.ts";
import type { Certificate } from "../../../consensus/types/certificate.ts";
import { VoteKind } from "../../../consensus/types/vote.ts";
import { createAnswers } from "../../../node/catch-up/answers.ts";
import { createCatchUp } from "../../../node/catch-up/catch-up.ts";
import { openChain } from "../../../node/chain.ts";
import { silentLog } from "../../../node/log.ts";
import type { Network, PeerStatus } from "../../../node/network/network.ts";
import type { Request, Response } from "../../../node/network/requests.ts";
import { openStore } from "../../../node/store/store.ts";
import {
  certify,
  createChain,
  EPOCH,
  genesisLink,
  type Link,
  playEpoch,
  subjectOf,
  toPlace,
} from "../../helpers/chain.ts";
import { folder, until } from "./samples.ts";

const chain = createChain();
const genesis = genesisLink(chain);
const long = toPlace(chain, playEpoch(chain, genesis), 4);

function pathOf(link: Link): Link[] {
  const path: Link[] = [];
  for (let at: Link | undefined = link; at?.block !== undefined; at = at.parent) path.unshift(at);
  return path;
}
const path = pathOf(long);
const blocks = path.flatMap(({ block }) => block ?? []);
const linkAt = (height: number): Link => {
  const link = path[height - 1];
  assert.ok(link !== undefined);
  return link;
};
const finalizationOf = (
  height: number,
  kind: 1 | 3 = VoteKind.finalize,
  signers = [0, 1, 3],
): Certificate => {
  const link = linkAt(height);
  return certify(link.parent?.set ?? link.set, subjectOf(link, kind), signers, chain);
};

async function openNode(t: TestContext) {
  const store = await openStore(await folder(t), { chain: chain.chain });
  const node = await openChain(chain.genesis, {
    store,
    verification: { verifyChecks: async () => undefined },
    log: silentLog,
    onChecked: () => {},
    onFinalized: () => {},
  });
  t.after(async () => {
    node.stop();
    await store.close();
  });
  return { chain: node, store };
}

/** A node that asks one peer, whose answers to block requests are given. */
async function follow(
  t: TestContext,
  answer: (fromHeight: number) => { blocks: Block[]; certificate: Certificate | undefined },
) {
  const { chain: node, store } = await openNode(t);
  const asked: number[] = [];
  const imported: number[] = [];
  const request = async (_peer: string, it: Request): Promise<Response> => {
    if (it.kind === "tip")
      return {
        kind: "tip",
        height: long.state.height,
        epoch: long.state.epoch,
        finalizedHash: long.hash,
        lowestHeight: Height(1),
      };
    if (it.kind !== "blocks") throw new FaultError("node/request-refused");
    asked.push(it.fromHeight);
    return { kind: "blocks", ...answer(it.fromHeight) };
  };
  const catchUp = createCatchUp(
    { snapshotSync: true },
    {
      chain: node,
      store,
      network: {
        peers: () => [{ peerId: "peer" } as PeerStatus],
        request: request as Network["request"],
        blame: () => {},
      },
      log: silentLog,
      onImported: async ({ subject }) => {
        imported.push(subject.view);
      },
    },
  );
  t.after(() => catchUp.stop());
  catchUp.start();
  await until(() => !catchUp.isRunning(), "the run ends");
  return { height: node.final().height, asked, imported, hash: node.final().hash };
}

describe("a node that is behind", () => {
  test("takes runs up to each epoch's end, each under its own set", async (t) => {
    const { height, asked, imported, hash } = await follow(t, (from) => {
      const to = from <= EPOCH ? EPOCH : blocks.length;
      return {
        blocks: blocks.slice(from - 1, to),
        certificate: from > blocks.length ? undefined : finalizationOf(to),
      };
    });
    assert.equal(height, blocks.length);
    assert.deepEqual(hash, long.hash);
    assert.deepEqual(asked, [1, EPOCH + 1, blocks.length + 1]);
    assert.equal(imported.length, 2);
  });

  const refusals: [string, () => { blocks: Block[]; certificate: Certificate | undefined }][] = [
    ["that begin too late", () => ({ blocks: blocks.slice(1, 3), certificate: finalizationOf(3) })],
    [
      "with a gap",
      () => ({ blocks: [blocks[0], blocks[2]].flatMap((it) => it ?? []), certificate: finalizationOf(3) }),
    ],
    [
      "in the wrong order",
      () => ({ blocks: blocks.slice(0, 3).toReversed(), certificate: finalizationOf(3) }),
    ],
    [
      "with a certificate for another block",
      () => ({ blocks: blocks.slice(0, 3), certificate: finalizationOf(2) }),
    ],
    [
      "that are only notarized",
      () => ({ blocks: blocks.slice(0, 3), certificate: finalizationOf(3, VoteKind.notarize) }),
    ],
    [
      "without a quorum",
      () => ({ blocks: blocks.slice(0, 3), certificate: finalizationOf(3, VoteKind.finalize, [0, 1]) }),
    ],
    [
      "with a false signature",
      () => ({
        blocks: blocks.slice(0, 3),
        certificate: { ...finalizationOf(3), signature: finalizationOf(2).signature },
      }),
    ],
    [
      "that cross an epoch's end",
      () => ({ blocks: blocks.slice(0, EPOCH + 1), certificate: finalizationOf(EPOCH + 1) }),
    ],
    ["without a certificate", () => ({ blocks: blocks.slice(0, 3), certificate: undefined })],
    ["of which there are none", () => ({ blocks: [], certificate: finalizationOf(3) })],
    [
      "with a body of another block",
      () => ({
        blocks: blocks
          .slice(0, 3)
          .map((it, i) => ({ ...it, body: (i === 1 ? blocks[0] : it)?.body ?? it.body })),
        certificate: finalizationOf(3),
      }),
    ],
    [
      "with a changed header",
      () => ({
        blocks: blocks
          .slice(0, 3)
          .map((it) => ({ ...it, header: { ...it.header, stateRoot: new Uint8Array(32) } })),
        certificate: finalizationOf(3),
      }),
    ],
  ];
  for (const [what, answer] of refusals) {
    test(`does not take blocks ${what}`, async (t) => {
      const { height, imported } = await follow(t, answer);
      assert.equal(height, 0);
      assert.deepEqual(imported, []);
    });
  }
});

describe("what others are answered", () => {
  const serve = async (t: TestContext) => {
    const { chain: node, store } = await openNode(t);
    assert.equal(await node.importFinal(blocks.slice(0, 3), finalizationOf(3)), undefined);
    assert.equal(await node.importFinal(blocks.slice(3, 6), finalizationOf(6)), undefined);
    assert.equal(await node.importFinal(blocks.slice(6, EPOCH), finalizationOf(EPOCH)), undefined);
    assert.equal(await node.importFinal(blocks.slice(EPOCH), finalizationOf(blocks.length)), undefined);
    return createAnswers(node, store);
  };
  const heightsOf = (response: Response | undefined): unknown => {
    assert.ok(response?.kind === "blocks");
    return [response.blocks.map(({ header }) => header.height), response.certificate?.subject.blockHash];
  };

  test("is how far one is", async (t) => {
    const answers = await serve(t);
    assert.deepEqual(await answers({ kind: "tip" }), {
      kind: "tip",
      height: blocks.length,
      epoch: 1,
      finalizedHash: long.hash,
      lowestHeight: 1,
    });
  });

  test("are runs that end with a finalized block and with the epoch", async (t) => {
    const answers = await serve(t);
    const ask = async (fromHeight: number, count: number): Promise<unknown> =>
      heightsOf(await answers({ kind: "blocks", fromHeight: linkAt(fromHeight).state.height, count }));
    assert.deepEqual(await ask(1, 5), [[1, 2, 3], linkAt(3).hash]);
    assert.deepEqual(await ask(2, 100), [[2, 3, 4, 5, 6, 7, 8, 9, 10], linkAt(10).hash]);
    // Without a finalization as far as one asked: the hashes have to be fixed otherwise.
    assert.deepEqual(await ask(1, 2), [[1, 2], undefined]);
    assert.deepEqual(await ask(11, 100), [[11, 12, 13, 14], linkAt(14).hash]);
    assert.deepEqual(await ask(1, 0), [[], undefined]);
  });

  test("is one block by its hash, and none for an unknown one", async (t) => {
    const answers = await serve(t);
    assert.deepEqual(await answers({ kind: "block-by-hash", hash: linkAt(2).hash }), {
      kind: "block-by-hash",
      block: blocks[1],
    });
    assert.deepEqual(await answers({ kind: "block-by-hash", hash: new Uint8Array(32) }), {
      kind: "block-by-hash",
      block: undefined,
    });
  });

  test("are the parts of a final block, long after the pool has dropped them", async (t) => {
    const answers = await serve(t);
    const block = blocks.find(({ body }) => body.submissions.length > 1);
    assert.ok(block !== undefined && blocks.indexOf(block) < blocks.length - 2, "it is not the tip");
    const hash = blockHash(block.header);
    assert.deepEqual(await answers({ kind: "parts", hash, transactions: [], submissions: [1] }), {
      kind: "parts",
      transactions: [],
      submissions: [block.body.submissions[1]],
    });
    const beyond = { kind: "parts", hash, transactions: [0], submissions: [999] } as const;
    assert.equal(await answers(beyond), undefined);
    assert.equal(await answers({ ...beyond, hash: new Uint8Array(32) }), undefined);
  });
});

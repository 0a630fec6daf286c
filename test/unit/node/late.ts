/**
 * For the tests of catch-up: a node with its store, a chain of many epochs that it can be given, and a late
 * one that asks peers who may lie. What they say goes through the network's encoding and limits.
 */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { Height } from "../../../consensus/primitives/units.ts";
import type { Block } from "../../../consensus/types/block.ts";
import type { Certificate } from "../../../consensus/types/certificate.ts";
import { VoteKind } from "../../../consensus/types/vote.ts";
import { createAnswers } from "../../../node/catch-up/answers.ts";
import { type CatchUpOptions, createCatchUp } from "../../../node/catch-up/catch-up.ts";
import { type Chain, openChain } from "../../../node/chain.ts";
import { silentLog } from "../../../node/log.ts";
import { FRAME_BYTES_MAX } from "../../../node/network/messages.ts";
import type { Network, PeerStatus } from "../../../node/network/network.ts";
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type Request,
  type Response,
} from "../../../node/network/requests.ts";
import type { StoreOp } from "../../../node/store/ops.ts";
import { openStore, type Store } from "../../../node/store/store.ts";
import {
  certify,
  createChain,
  genesisLink,
  type Link,
  nextBlock,
  subjectOf,
  type TestChain,
} from "../../helpers/chain.ts";
import { folder, until } from "./samples.ts";

export const finalizationOf = (chain: TestChain, link: Link, signers = [0, 1, 2]): Certificate =>
  certify(link.parent?.set ?? link.set, subjectOf(link, VoteKind.finalize), signers, chain);

/** Empty blocks, the first at height 1. */
export function linksOf(chain: TestChain, count: number): Link[] {
  const links: Link[] = [];
  for (let at = genesisLink(chain); links.length < count; ) {
    at = nextBlock(chain, at);
    links.push(at);
  }
  return links;
}

/** The link at a height of a chain that begins at height 1. */
export const linkIn =
  (links: readonly Link[]) =>
  (height: number): Link => {
    const link = links[height - 1];
    assert.ok(link !== undefined);
    return link;
  };

export const blocksOf = (links: readonly Link[]): Block[] => links.flatMap(({ block }) => block ?? []);

export type TestNode = {
  readonly chain: Chain;
  readonly store: Store;
  readonly dir: string;
  /** Heights of what it told to be final. */
  readonly final: number[];
  close(): Promise<void>;
};

export async function openNode(
  t: TestContext,
  chain: TestChain,
  { dir, write }: { dir?: string; write?: (store: Store, ops: readonly StoreOp[]) => Promise<void> } = {},
): Promise<TestNode> {
  const path = dir ?? (await folder(t));
  const opened = await openStore(path, { chain: chain.chain });
  const store =
    write === undefined ? opened : { ...opened, write: (ops: readonly StoreOp[]) => write(opened, ops) };
  const final: number[] = [];
  const node = await openChain(chain.genesis, {
    store,
    verification: { verifyChecks: async () => undefined },
    log: silentLog,
    onChecked: () => {},
    onFinalized: ({ blocks }) => final.push(...blocks.map(({ height }) => height)),
  });
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    node.stop();
    await opened.close();
  };
  t.after(close);
  return { chain: node, store, dir: path, final, close };
}

/**
 * A node that holds these blocks; each epoch's last is finalized directly, and so are those in `certified`. The
 * states of the newest two epochs' ends are on its disk, as after consensus.
 */
export async function openSource(
  t: TestContext,
  chain: TestChain,
  links: readonly Link[],
  certified: readonly number[] = [],
): Promise<TestNode> {
  const node = await openNode(t, chain);
  const heights = Number(chain.params.epochHeights);
  let from = 0;
  for (const [i, link] of links.entries()) {
    if ((i + 1) % heights !== 0 && !certified.includes(i + 1) && i + 1 !== links.length) continue;
    const run = blocksOf(links.slice(from, i + 1));
    from = i + 1;
    if ((i + 1) % heights !== 0) {
      assert.equal(await node.chain.importFinal(run, finalizationOf(chain, link)), undefined);
      continue;
    }
    for (const block of run) assert.equal(await node.chain.check(block), "valid");
    assert.equal(await node.chain.finalize(finalizationOf(chain, link)), "done");
    await until(() => node.store.snapshotHeights().includes(Height(i + 1)), "the epoch's state");
  }
  return node;
}

/** What a peer answers, given what an honest one would; undefined is "no answer", a throw is silence. */
export type Peer = (
  request: Request,
  honest: () => Promise<Response | undefined>,
) => Promise<Response | undefined>;

export const honestPeer: Peer = (_, honest) => honest();
/** Answers one kind of request in its own way, the others honestly. */
export const changing = <K extends Response["kind"]>(
  kind: K,
  change: (honest: Extract<Response, { kind: K }>, turn: number) => Response | undefined,
): Peer => {
  let turn = 0;
  return async (request, honest) => {
    const answer = await honest();
    if (request.kind !== kind || answer === undefined) return answer;
    return change(answer as Extract<Response, { kind: K }>, turn++);
  };
};
export const silence = (): never => {
  throw new FaultError("node/request-timeout");
};

/** Lets a node catch up from these peers of a source until it rests. */
export async function catchUpFrom(
  t: TestContext,
  node: TestNode,
  source: TestNode,
  peers: Readonly<Record<string, Peer>>,
  { snapshotSync = true, blocksBehind = 0 }: Partial<CatchUpOptions> = {},
) {
  const answers = createAnswers(source.chain, source.store);
  const asked: { readonly peerId: string; readonly request: Request }[] = [];
  const blamed: string[] = [];
  const phases = new Set<string>();
  const imported: Certificate[] = [];
  const warnings: string[] = [];
  const request = async (peerId: string, it: Request): Promise<Response> => {
    asked.push({ peerId, request: it });
    phases.add(catchUp.phase()?.phase ?? "none");
    const peer = peers[peerId];
    if (peer === undefined || blamed.includes(peerId)) throw new FaultError("node/peer-lost", { peerId });
    const sent = encodeRequest(1, it);
    assert.ok(sent.length <= FRAME_BYTES_MAX.request);
    const heard = decodeRequest(sent)?.request;
    assert.ok(heard !== undefined);
    const encoded = encodeResponse(1, await peer(heard, () => answers(heard)));
    assert.ok(encoded.length <= FRAME_BYTES_MAX.response);
    const answer = decodeResponse(encoded)?.response;
    if (answer === undefined) throw new FaultError("node/request-refused", { peerId });
    return answer;
  };
  const catchUp = createCatchUp(
    { snapshotSync, blocksBehind },
    {
      chain: node.chain,
      store: node.store,
      network: {
        peers: () =>
          Object.keys(peers)
            .filter((it) => !blamed.includes(it))
            .map((peerId) => ({ peerId }) as PeerStatus),
        request: request as Network["request"],
        blame: (peerId) => void blamed.push(peerId),
      },
      log: { ...silentLog, warn: (_, text) => void warnings.push(text) },
      onImported: async (certificate) => void imported.push(certificate),
    },
  );
  t.after(() => catchUp.stop());
  catchUp.start();
  await until(() => !catchUp.isRunning(), "catch-up rests", 30_000);
  catchUp.stop();
  const kinds = (peerId: string): string[] =>
    asked.filter((it) => it.peerId === peerId).map((it) => it.request.kind);
  return { asked, blamed, phases, imported, warnings, kinds };
}

/** A chain with other parameters of the test chain. */
export const chainOf = (epochHeights?: number): TestChain =>
  createChain(epochHeights === undefined ? {} : { params: { epochHeights: String(epochHeights) } });

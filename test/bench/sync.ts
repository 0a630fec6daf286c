/**
 * Catching up from genesis: a node that has nothing asks one that has the chain, without a network between
 * them. What is timed is what a node does alone: certificates, hashes, execution, roots, and the disk.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { invariant } from "../../consensus/primitives/faults.ts";
import { VoteKind } from "../../consensus/types/vote.ts";
import { createAnswers } from "../../node/catch-up/answers.ts";
import { createCatchUp } from "../../node/catch-up/catch-up.ts";
import { openChain } from "../../node/chain.ts";
import { silentLog } from "../../node/log.ts";
import type { Request, ResponseTo } from "../../node/network/requests.ts";
import { openStore } from "../../node/store/store.ts";
import {
  certify,
  createChain,
  EPOCH,
  genesisLink,
  type Link,
  nextBlock,
  playEpoch,
  subjectOf,
  toPlace,
} from "../helpers/chain.ts";
import { type Figure, median } from "./figure.ts";

const BLOCKS = 600;
/** Epochs whose blocks carry proofs and reveals; the rest are empty ones. */
const PLAYED_EPOCHS = 2;
const ROUNDS = 3;
/** The test chain's: what the snapshot weighs is mostly the state's fixed size. */
const ACCOUNTS = 3;
const PEER = { peerId: "peer", blsKey: undefined, address: "" } as const;

const chain = createChain();

/** An epoch's blocks at a time, ending with one that is finalized: all states together would not fit. */
function* play(): Generator<Link[]> {
  let at = genesisLink(chain);
  for (let epoch = 0; at.state.height < BLOCKS; epoch++) {
    const start = at;
    at = epoch < PLAYED_EPOCHS ? playEpoch(chain, start) : toPlace(chain, nextBlock(chain, start), EPOCH);
    const links: Link[] = [];
    for (let it: Link | undefined = at; it !== undefined && it !== start; it = it.parent) links.unshift(it);
    yield links;
    // The next block needs its parent's set; what is before it can go.
    if (at.parent !== undefined) at = { ...at, parent: { ...at.parent, parent: undefined } };
  }
}

type Node = Awaited<ReturnType<typeof openNode>>;

async function openNode() {
  const dir = await mkdtemp(join(tmpdir(), "zkp-bench-sync-"));
  const store = await openStore(dir, { chain: chain.chain });
  const node = await openChain(chain.genesis, {
    store,
    verification: { verifyChecks: () => Promise.resolve(undefined) },
    log: silentLog,
    onChecked: () => undefined,
    onFinalized: () => undefined,
  });
  return {
    node,
    store,
    async close(): Promise<void> {
      node.stop();
      await store.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Milliseconds until `node` is where the source is. */
function caughtUp(
  { node, store }: Node,
  height: number,
  answers: ReturnType<typeof createAnswers>,
  snapshotSync: boolean,
): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const started = performance.now();
  const catchUp = createCatchUp(
    { snapshotSync },
    {
      chain: node,
      store,
      network: {
        peers: () => [{ ...PEER, score: 0, dropped: { votes: 0, blocks: 0, sync: 0 } }],
        async request<R extends Request>(_peer: string, request: R): Promise<ResponseTo<R>> {
          const answer = await answers(request);
          invariant(answer !== undefined, "the source answers");
          return answer as ResponseTo<R>;
        },
        blame: () => undefined,
      },
      log: silentLog,
      onImported() {
        if (node.final().height >= height) {
          resolve(performance.now() - started);
          catchUp.stop();
        }
        return Promise.resolve();
      },
    },
  );
  catchUp.start();
  return promise;
}

export async function* bench(): AsyncGenerator<Figure> {
  const source = await openNode();
  for (const links of play()) {
    const [last] = links.slice(-1);
    invariant(last?.parent !== undefined, "an epoch has blocks");
    const certificate = certify(last.parent.set, subjectOf(last, VoteKind.finalize), [0, 1, 2], chain);
    const wrong = await source.node.importFinal(
      links.flatMap(({ block }) => block ?? []),
      certificate,
    );
    invariant(wrong === undefined, "the chain is sound");
  }
  const { height } = source.node.final();
  const answers = createAnswers(source.node, source.store);
  const measure = async (snapshotSync: boolean): Promise<number> => {
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const late = await openNode();
      times.push(await caughtUp(late, height, answers, snapshotSync));
      await late.close();
    }
    return median(times);
  };
  const rate = (1000 * height) / (await measure(false));
  yield { name: `sync: from genesis, ${height} blocks, runs of ${EPOCH}`, value: rate, unit: "blocks/s" };
  const snapshotMs = await measure(true);
  await source.close();
  const name = `sync: by snapshot, ${height / EPOCH} epochs followed, a state of ${ACCOUNTS} accounts`;
  yield { name, value: snapshotMs, unit: "ms" };
}

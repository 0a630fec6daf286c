/**
 * Catch-up by request, and the answers to others who catch up. Final blocks come in runs that end with
 * one that has a finalization; the run is taken only if that certificate verifies under the set of the
 * epoch, which the finalized state already fixes, and if the hashes link up to the own tip.
 */
import { verifyAggregate } from "../consensus/primitives/bls.ts";
import { equalBytes } from "../consensus/primitives/bytes.ts";
import { type Params, placeInEpoch } from "../consensus/primitives/params.ts";
import { Height } from "../consensus/primitives/units.ts";
import { type Block, BlockType, blockHash } from "../consensus/types/block.ts";
import { type Certificate, verifyCertificate } from "../consensus/types/certificate.ts";
import { VoteKind } from "../consensus/types/vote.ts";
import type { Chain } from "./chain.ts";
import type { Log } from "./log.ts";
import { partsOf } from "./network/compact.ts";
import {
  BLOCKS_PER_RESPONSE_MAX,
  RESPONSE_BYTES_MAX,
  type Request,
  type Response,
} from "./network/messages.ts";
import type { Network } from "./network/network.ts";
import type { Store } from "./store/store.ts";

/** Without new finality for so long, peers are asked how far they are. */
const QUIET_MS = 3_000;
const PEERS_ASKED_MAX = 8;
/** Runs taken from one peer before the peers are asked anew. */
const RUNS_MAX = 256;

export type CatchUpComponents = {
  readonly chain: Chain;
  readonly network: Pick<Network, "peers" | "request">;
  readonly log: Log;
  onImported(certificate: Certificate): Promise<void>;
};

export type CatchUp = ReturnType<typeof createCatchUp>;

export function createCatchUp({ chain, network, log, onImported }: CatchUpComponents) {
  let running = false;
  let stopped = false;
  let wanted = false;
  let quietSince = performance.now();
  let heightSeen = chain.final().height;
  let taking = false;
  let tookMs = Number.NEGATIVE_INFINITY;
  const timer = setInterval(() => {
    const { height } = chain.final();
    if (height !== heightSeen) {
      heightSeen = height;
      quietSince = performance.now();
    } else if (performance.now() - quietSince >= QUIET_MS) {
      quietSince = performance.now();
      start();
    }
  }, 500);

  /** The connected peers that say they are ahead, the furthest first. What they say is only a hint. */
  const peersAhead = async (): Promise<string[]> => {
    const asked = network.peers().slice(0, PEERS_ASKED_MAX);
    const tips = await Promise.allSettled(
      asked.map(({ peerId }) => network.request(peerId, { kind: "tip" })),
    );
    return tips
      .flatMap((tip, i) =>
        tip.status === "fulfilled" ? [{ peerId: asked[i]?.peerId ?? "", height: tip.value.height }] : [],
      )
      .filter(({ height }) => height > chain.final().height)
      .sort((a, b) => b.height - a.height)
      .map(({ peerId }) => peerId);
  };

  const isRun = (blocks: readonly Block[], certificate: Certificate): boolean => {
    const { hash, state, set } = chain.final();
    let parent = hash;
    for (const [i, { header }] of blocks.entries()) {
      if (header.height !== state.height + 1 + i || header.epoch !== state.epoch) return false;
      if (!equalBytes(header.parentHash, parent)) return false;
      parent = blockHash(header);
    }
    const { kind, blockHash: certified } = certificate.subject;
    if (kind !== VoteKind.finalize || !equalBytes(certified, parent)) return false;
    return verifyCertificate(chain.chain, set, certificate, verifyAggregate);
  };

  /** One run of blocks; false if the peer had nothing that helps. */
  const takeRun = async (peerId: string): Promise<boolean> => {
    const fromHeight = Height(chain.final().height + 1);
    const { blocks, certificate } = await network.request(peerId, {
      kind: "blocks",
      fromHeight,
      count: BLOCKS_PER_RESPONSE_MAX,
    });
    if (blocks.length === 0 || certificate === undefined) return false;
    if (chain.final().height + 1 !== fromHeight) return true; // consensus was faster
    if (!isRun(blocks, certificate)) {
      log.warn({ peer: peerId, fromHeight }, "a peer sent blocks that are not final");
      return false;
    }
    const wrong = await chain.importFinal(blocks, certificate);
    if (wrong !== undefined) {
      log.error({ peer: peerId, fromHeight, ...wrong }, "final blocks do not execute here");
      return false;
    }
    await onImported(certificate);
    return true;
  };

  /** Final blocks that consensus did not bring, from whoever has them. */
  const takeFrom = async (peerIds: readonly string[]): Promise<void> => {
    taking = peerIds.length > 0;
    try {
      for (const peerId of peerIds) {
        try {
          for (let runs = 0; runs < RUNS_MAX && !stopped && (await takeRun(peerId)); runs++);
        } catch (error) {
          log.debug({ peer: peerId, error: String(error) }, "catch-up from a peer ended");
        }
      }
    } finally {
      if (taking) tookMs = performance.now();
      taking = false;
    }
  };

  const run = async (): Promise<void> => {
    const before = chain.final().height;
    await takeFrom(await peersAhead());
    const now = chain.final().height;
    if (now > before) log.info({ from: before, to: now }, "caught up");
  };

  function start(): void {
    wanted = true;
    if (running || stopped) return;
    running = true;
    void (async () => {
      try {
        while (wanted && !stopped) {
          wanted = false;
          await run();
        }
      } catch (error) {
        log.error({ error: String(error) }, "catch-up failed");
      } finally {
        running = false;
      }
    })();
  }

  return {
    /** Something final is missing here, or a peer speaks of a later epoch. */
    start,
    isRunning: (): boolean => running,
    /** Whether blocks were being taken from others that are ahead, at any time since then (performance.now). */
    wasBehindSince: (sinceMs: number): boolean => taking || tookMs >= sinceMs,
    stop(): void {
      stopped = true;
      clearInterval(timer);
    },
  };
}

/** Final blocks from a height, of one epoch, ending with one that has its finalization; as many as fit. */
function runFrom(
  store: Store,
  fromHeight: number,
  count: number,
  params: Params,
): Extract<Response, { kind: "blocks" }> {
  const head = store.head()?.height ?? 0;
  const blocks: Block[] = [];
  let certificate: Certificate | undefined;
  let covered = 0;
  let bytes = 0;
  for (
    let height = fromHeight;
    height <= head && blocks.length < Math.min(count, BLOCKS_PER_RESPONSE_MAX);
    height++
  ) {
    const block = store.blockAt(Height(height));
    if (block === undefined) break;
    bytes += BlockType.value_serializedSize(block as never);
    if (bytes > RESPONSE_BYTES_MAX && blocks.length > 0) break;
    blocks.push(block);
    const finalization = store.finalizationAt(Height(height));
    if (finalization !== undefined) {
      certificate = finalization;
      covered = blocks.length;
    }
    if (placeInEpoch(height, params) === Number(params.epochHeights)) break;
  }
  return { kind: "blocks", blocks: blocks.slice(0, covered), certificate };
}

/** Answers what other nodes ask. */
export function createAnswers(
  chain: Chain,
  store: Store,
): (request: Request) => Promise<Response | undefined> {
  return async (request) => {
    switch (request.kind) {
      case "tip": {
        const { height, hash, state } = chain.final();
        return { kind: "tip", height, epoch: state.epoch, finalizedHash: hash };
      }
      case "blocks":
        return runFrom(store, Math.max(1, request.fromHeight), request.count, chain.params);
      case "block-by-hash":
        return {
          kind: "block-by-hash",
          block: chain.find(request.hash)?.block ?? store.blockByHash(request.hash),
        };
      case "parts": {
        // From the block itself: what was in the pool may be gone from there.
        const block = chain.find(request.hash)?.block ?? store.blockByHash(request.hash);
        const parts = block === undefined ? undefined : partsOf(block, request);
        return parts === undefined ? undefined : { kind: "parts", ...parts };
      }
      case "certificates": {
        const { epoch, fromView, toView } = request;
        return { kind: "certificates", certificates: await store.certificates(epoch, fromView, toView) };
      }
    }
  };
}

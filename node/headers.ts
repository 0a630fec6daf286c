/**
 * Finalized headers by gossip: how a follower learns at once that there is more. Each is verified against
 * the validator set of its epoch, out of the own finalized state, before it is passed on; then catch-up
 * fetches the blocks. Made by node.ts.
 */
import { verifyAggregate } from "../consensus/primitives/bls.ts";
import { equalBytes } from "../consensus/primitives/bytes.ts";
import { fault, type Verdict } from "../consensus/primitives/faults.ts";
import { setAt } from "../consensus/state/sets.ts";
import { blockHash } from "../consensus/types/block.ts";
import { verifyCertificate } from "../consensus/types/certificate.ts";
import { VoteKind } from "../consensus/types/vote.ts";
import type { Chain, FinalizedEvent } from "./chain.ts";
import type { FinalizedHeader, GossipMessage } from "./network/topics.ts";

/** A header of an epoch that is not known here may be a lie: it is a reason to ask others so often at most. */
const HINTS_EVERY_MS = 1_000;
/** A validator has the block by consensus in a moment, without a look at what others say; only if not does it ask. */
const SEATED_WAIT_MS = 1_000;
/** Where all that are connected vote, headers only help one that has lost touch: one is enough in so long. */
const AMONG_SEATED_EVERY_MS = 1_000;
/** Whoever passed the header on may still be fetching the block itself: it is asked again, so often. */
const AGAIN_MS = 150;
const ASKED_MAX = 20;

export type HeadersComponents = {
  readonly chain: Pick<Chain, "chain" | "final">;
  readonly network: { publish(message: GossipMessage): void };
  readonly catchUp: { start(): void; isRunning(): boolean };
  /** Whether this node votes in this epoch. */
  isSeated(): boolean;
  /** Whether a peer is connected that does not vote in this epoch. */
  hasFollowers(): boolean;
  /** Of a clock that never goes back. */
  readonly nowMs?: () => number;
};
export type Headers = ReturnType<typeof createHeaders>;

export function createHeaders({
  chain,
  network,
  catchUp,
  isSeated,
  hasFollowers,
  nowMs = () => performance.now(),
}: HeadersComponents) {
  /** Height up to which headers were published or passed on here; one certificate a height is enough for all. */
  let told = chain.final().height as number;
  let hintedMs = Number.NEGATIVE_INFINITY;
  let publishedMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  /** Catches up with the newest header, whose block others have or will have soon. */
  const follow = (): void => {
    clearTimeout(timer);
    let asked = 0;
    const ask = (): void => {
      if (chain.final().height >= told || asked++ >= ASKED_MAX) return;
      catchUp.start();
      timer = setTimeout(ask, AGAIN_MS);
    };
    ask();
  };
  /** A validator's timer: one at a time, since what made it start may be a lie. */
  let waiting: NodeJS.Timeout | undefined;
  const waitFor = (height: number): void => {
    waiting ??= setTimeout(() => {
      waiting = undefined;
      if (chain.final().height < height) catchUp.start();
    }, SEATED_WAIT_MS);
  };
  const ignore = (height: number): Verdict => ({ kind: "ignore", fault: fault("node/stale", { height }) });

  return {
    judge({ header, certificate }: FinalizedHeader): Verdict {
      const { height, epoch } = header;
      const final = chain.final();
      if (height <= told || height < final.height) return ignore(height);
      const set = setAt(final.state, epoch);
      if (set === undefined) {
        if (epoch > final.state.epoch && nowMs() - hintedMs >= HINTS_EVERY_MS) {
          hintedMs = nowMs();
          catchUp.start();
        }
        return ignore(height);
      }
      // It is final here too in a moment, by consensus, and then others are told by this node itself.
      if (height > final.height && isSeated()) {
        waitFor(height);
        return ignore(height);
      }
      const { kind, blockHash: certified } = certificate.subject;
      if (
        kind !== VoteKind.finalize ||
        !equalBytes(certified, blockHash(header)) ||
        !verifyCertificate(chain.chain, set, certificate, verifyAggregate)
      ) {
        return { kind: "reject", fault: fault("light/finality", { height }) };
      }
      told = height;
      if (height > final.height) follow();
      return { kind: "accept" };
    },
    /** Blocks became final here: by the own engine, or by request, and then others told of them. */
    onFinalized({ blocks, certificate }: FinalizedEvent): void {
      const last = blocks.at(-1);
      if (last?.block === undefined || last.height <= told) return;
      told = last.height;
      if (catchUp.isRunning()) return;
      if (nowMs() - publishedMs < AMONG_SEATED_EVERY_MS && !hasFollowers()) return;
      publishedMs = nowMs();
      network.publish({ topic: "headers", value: { header: last.block.header, certificate } });
    },
    stop(): void {
      clearTimeout(timer);
      clearTimeout(waiting);
    },
  };
}

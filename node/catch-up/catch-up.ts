/**
 * Catch-up by request: what is final elsewhere and not here. A node that is epochs behind follows their
 * ends by certificates, takes the newest state that peers serve, and goes on with blocks; otherwise it
 * takes the blocks alone. Nothing is stored that a certificate under a known set does not fix. Made by
 * node.ts; asking.ts, boundaries.ts, snapshot.ts and runs.ts do the parts.
 */
import type { Certificate } from "../../consensus/types/certificate.ts";
import type { Chain } from "../chain.ts";
import type { Log } from "../log.ts";
import type { Network } from "../network/network.ts";
import type { Store } from "../store/store.ts";
import { type Asking, createAsking } from "./asking.ts";
import { type Boundary, createBoundaries } from "./boundaries.ts";
import { createRuns } from "./runs.ts";
import { createSnapshots } from "./snapshot.ts";

/** Without new finality for so long, peers are asked how far they are. */
const QUIET_MS = 3_000;
const PEERS_ASKED_MAX = 8;
/** Runs taken before the peers are asked anew. */
const RUNS_MAX = 256;
/** What is no further away is executed: it takes no longer, and all blocks are there afterwards. */
const EPOCHS_BEHIND = 2;
const BLOCKS_BEHIND = 128;
/** A snapshot costs much before it is known to be false: after so many in vain, blocks alone for a while. */
const SNAPSHOT_TRIES = 3;
const SNAPSHOT_PAUSE_MS = 600_000;

export type CatchUpOptions = {
  /** False: every block is executed, however far behind. */
  readonly snapshotSync: boolean;
  /** Above so many missing blocks a snapshot is worth it; {@link BLOCKS_BEHIND} by default. */
  readonly blocksBehind?: number;
};

export type CatchUpComponents = {
  readonly chain: Pick<Chain, "chain" | "params" | "final" | "importFinal" | "adopt">;
  readonly store: Pick<Store, "epochProof" | "write">;
  readonly network: Pick<Network, "peers" | "request" | "blame">;
  readonly log: Log;
  onImported(certificate: Certificate): Promise<void>;
};

/** What it is doing, for the operator: epochs, chunks or heights, of how many. */
export type CatchUpPhase = {
  readonly phase: "boundaries" | "snapshot" | "blocks";
  readonly done: number;
  readonly of: number;
};

export type CatchUp = ReturnType<typeof createCatchUp>;

type Tip = {
  readonly peerId: string;
  readonly height: number;
  readonly epoch: number;
  readonly lowestHeight: number;
};

export function createCatchUp(options: CatchUpOptions, components: CatchUpComponents) {
  const { snapshotSync, blocksBehind = BLOCKS_BEHIND } = options;
  const { chain, network, log, onImported } = components;
  let running = false;
  let stopped = false;
  let wanted = false;
  let quietSince = performance.now();
  let heightSeen = chain.final().height;
  let phase: CatchUpPhase | undefined;
  let tookMs = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let pausedUntilMs = Number.NEGATIVE_INFINITY;
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

  const isStopped = (): boolean => stopped;
  const runs = createRuns({ ...components, isStopped });
  const boundaries = createBoundaries({
    ...components,
    isStopped,
    onProgress(epoch) {
      if (phase?.phase === "boundaries") phase = { ...phase, done: Math.min(epoch, phase.of) };
    },
  });
  const snapshots = createSnapshots({
    ...components,
    isStopped,
    onProgress(done, of) {
      phase = { phase: "snapshot", done, of };
    },
  });

  /** The connected peers that say they are ahead, the furthest first. What they say is only a hint. */
  const peersAhead = async (): Promise<Tip[]> => {
    const peers = network.peers();
    // Others each time, so that a few that lie or have nothing are not all that is ever asked.
    if (peers.length > PEERS_ASKED_MAX) peers.sort(() => Math.random() - 0.5);
    const asked = peers.slice(0, PEERS_ASKED_MAX);
    const tips = await Promise.allSettled(
      asked.map(({ peerId }) => network.request(peerId, { kind: "tip" })),
    );
    return tips
      .flatMap((tip, i) => {
        const peerId = asked[i]?.peerId;
        if (tip.status === "rejected" || peerId === undefined) return [];
        const { height, epoch, lowestHeight } = tip.value;
        return [{ peerId, height, epoch, lowestHeight }];
      })
      .filter(({ height }) => height > chain.final().height)
      .sort((a, b) => b.height - a.height);
  };

  /** Whether a state of this epoch, at this height, is worth more than the blocks below it. */
  const isFar = (epoch: number, height: number): boolean => {
    const { state } = chain.final();
    return epoch > state.epoch + EPOCHS_BEHIND && height > state.height + blocksBehind;
  };

  /**
   * Puts the node where the newest snapshot is that peers serve. "near": the boundaries show that it is not
   * far behind, whatever a peer said.
   */
  const takeSnapshot = async (asking: Asking, epoch: number): Promise<"taken" | "near" | "failed"> => {
    phase = { phase: "boundaries", done: chain.final().state.epoch, of: epoch };
    const worthIt = ({ header }: Boundary): boolean => isFar(header.epoch + 1, header.height);
    const far = (await boundaries.follow(asking)).filter(worthIt);
    if (far.length === 0 || stopped) return "near";
    for (const boundary of far.reverse()) {
      if (!(await snapshots.take(boundary, asking))) continue;
      failures = 0;
      await onImported(boundary.certificate);
      return "taken";
    }
    if (stopped) return "near";
    failures += 1;
    log.warn({ failures }, "no snapshot was to be had; executing an epoch's blocks instead");
    if (failures >= SNAPSHOT_TRIES) {
      failures = 0;
      pausedUntilMs = performance.now() + SNAPSHOT_PAUSE_MS;
    }
    return "failed";
  };

  /** Blocks that consensus did not bring, from whoever has them; of so many epochs at most. */
  const takeBlocks = async (asking: Asking, height: number, epochs: number): Promise<void> => {
    const until = chain.final().state.epoch + epochs;
    for (let i = 0; i < RUNS_MAX && !stopped && chain.final().state.epoch < until; i++) {
      const done = chain.final().height;
      phase = { phase: "blocks", done, of: Math.max(height, done) };
      if (!(await runs.takeNext(asking))) return;
    }
  };

  /** One round with those that are ahead now; whether it brought anything. */
  const round = async (): Promise<boolean> => {
    const tips = await peersAhead();
    const [furthest] = tips;
    if (furthest === undefined) return false;
    const before = chain.final().height;
    const { height } = furthest;
    const epoch = Math.max(...tips.map((tip) => tip.epoch));
    const asking = createAsking(
      tips.map(({ peerId }) => peerId),
      { network, log },
    );
    try {
      const isWorthATry = snapshotSync && performance.now() >= pausedUntilMs && isFar(epoch, height);
      const failed = isWorthATry && (await takeSnapshot(asking, epoch)) === "failed";
      // Another try is worth it, after a few blocks: a new snapshot may be there.
      await takeBlocks(asking, height, failed ? 1 : Number.POSITIVE_INFINITY);
    } finally {
      phase = undefined;
      tookMs = performance.now();
    }
    const now = chain.final().height;
    if (now > before) log.info({ from: before, to: now }, "caught up");
    else if (tips.every(({ lowestHeight }) => lowestHeight > before + 1))
      log.warn({ height: before + 1 }, "no peer has the blocks that come next");
    return now > before;
  };

  function start(): void {
    wanted = true;
    if (running || stopped) return;
    running = true;
    void (async () => {
      try {
        while (wanted && !stopped) {
          wanted = false;
          while (!stopped && (await round()));
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
    /** Undefined while nothing is taken from others. */
    phase: (): CatchUpPhase | undefined => phase,
    /** Whether blocks were being taken from others that are ahead, at any time since then (performance.now). */
    wasBehindSince: (sinceMs: number): boolean => phase !== undefined || tookMs >= sinceMs,
    stop(): void {
      stopped = true;
      clearInterval(timer);
    },
  };
}

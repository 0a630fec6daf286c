/**
 * Writes the state of an epoch's end to disk, in the background, after the blocks that lead there: a restart
 * begins with the newest one and executes the blocks above it, and peers that are far behind ask for it. If the
 * process ends before, the one before serves as well, and the restart takes longer. Made by chain.ts.
 *
 * One is being made at a time, and a newer one replaces one that waits. While blocks come in runs, from peers,
 * the state changes many times a second: then it waits until they pause, but not for ever.
 */
import { encodeSteps } from "../consensus/state/encode.ts";
import type { Executed } from "./executed.ts";
import type { Log } from "./log.ts";
import type { Store } from "./store/store.ts";
import { inTurns, TURN_MS, UNWANTED } from "./turns.ts";

/** A pause of the runs. */
const QUIET_MS = 500;
/** How long what a restart would execute again may grow. */
const LATEST_MS = 10_000;

export type SnapshotsComponents = {
  readonly store: Pick<Store, "write" | "snapshotHeights">;
  readonly log: Log;
};

export type Snapshots = ReturnType<typeof createSnapshots>;

export function createSnapshots({ store, log }: SnapshotsComponents) {
  let waiting: Executed | undefined;
  /** Since when something waits for a pause. */
  let sinceMs: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let running = false;
  let stopped = false;

  /** An older state is worth nothing: catch-up may have written a newer one. */
  const isNewest = ({ height }: Executed): boolean => height > (store.snapshotHeights().at(-1) ?? 0);

  const make = async (it: Executed): Promise<void> => {
    const { height, state } = it;
    const isWanted = (): boolean => !stopped && isNewest(it);
    if (!isWanted()) return;
    const bytes = await inTurns(encodeSteps(state), TURN_MS.background, isWanted);
    if (bytes === UNWANTED || !isWanted()) return;
    await store.write([{ kind: "snapshot", height, bytes }]);
  };

  const run = async (): Promise<void> => {
    clearTimeout(timer);
    sinceMs = undefined;
    if (running) return;
    running = true;
    try {
      while (waiting !== undefined && sinceMs === undefined && !stopped) {
        const it = waiting;
        waiting = undefined;
        await make(it);
      }
    } catch (error) {
      // Nothing is lost by it: the blocks are there, and a store that fails has its next write tell the driver.
      log.error({ error: String(error) }, "the state of an epoch's end was not written");
    } finally {
      running = false;
    }
  };

  return {
    /** The state after an epoch's last block, once that is final and on disk; `inRun`: more may follow at once. */
    want(it: Executed, { inRun }: { readonly inRun: boolean }): void {
      if (stopped) return;
      waiting = it;
      if (!inRun) {
        void run();
        return;
      }
      sinceMs ??= performance.now();
      clearTimeout(timer);
      const leftMs = sinceMs + LATEST_MS - performance.now();
      timer = setTimeout(() => void run(), Math.max(0, Math.min(QUIET_MS, leftMs)));
    },
    /** Gives up what is not being written yet. */
    stop(): void {
      stopped = true;
      waiting = undefined;
      clearTimeout(timer);
    },
  };
}

/**
 * Why this node missed a view, for the operator: the engine's reason, unless this machine explains it.
 * Kept by the driver for the newest views, shown by node_status.
 */
import type { Report } from "../consensus/engine/protocol.ts";
import type { Fault } from "../consensus/primitives/faults.ts";
import { type Epoch, View } from "../consensus/primitives/units.ts";
import { proposerOf, type ValidatorSet } from "../consensus/types/validator-set.ts";
import type { MissedReason } from "../rpc/node-status.ts";
import type { Chain } from "./chain.ts";
import type { Lag } from "./lag.ts";
import type { Log } from "./log.ts";

export const MISSED_MAX = 32;

type EngineReason = Extract<Report, { kind: "missed-view" }>["reason"];

export type MissedView = {
  readonly epoch: Epoch;
  readonly view: View;
  /** Position of the view's proposer. */
  readonly proposer: number;
  readonly reason: MissedReason;
  /** What is wrong with an invalid block, if it was found wrong in full. */
  readonly fault?: Fault;
};

/** What this machine was busy with during the view. */
export type Circumstances = {
  readonly lagMs: number;
  /** More than this explains a missed view: a quarter of the proposal timeout. */
  readonly lagMaxMs: number;
  /** Final blocks were being taken from others. */
  readonly catchingUp: boolean;
  /** The block that was waited for has a timestamp that this machine's clock does not admit yet. */
  readonly aheadOfClock: boolean;
};

const REASONS: Readonly<Record<EngineReason, MissedReason>> = {
  "no-proposal": "no proposal",
  // The own turn, and no block came of it.
  "build-failed": "no proposal",
  late: "late",
  invalid: "invalid",
  "missing-parent": "missing parent",
  "inactive-proposer": "skipped as inactive",
};

/**
 * `passed` is a view that others ended before this node got there. An invalid block is invalid however
 * slow this machine is, a proposer that a quorum did without was silent, and what is stamped ahead of the clock
 * waits on a fast machine too; all else may be its own fault.
 */
export function reasonOf(
  reason: EngineReason | "passed",
  { lagMs, lagMaxMs, catchingUp, aheadOfClock }: Circumstances,
): MissedReason {
  if (reason === "invalid" || reason === "inactive-proposer") return REASONS[reason];
  if (reason === "missing-parent" && aheadOfClock) return "ahead of this clock";
  if (lagMs > lagMaxMs) return "event loop lag";
  if (catchingUp || reason === "passed") return "this node behind";
  return REASONS[reason];
}

type EnteredReport = Extract<Report, { kind: "entered-view" }>;
type MissedReport = Extract<Report, { kind: "missed-view" }>;

export type MissedComponents = {
  readonly lag: Pick<Lag, "worstSince">;
  wasBehindSince(sinceMs: number): boolean;
  readonly chain: Pick<Chain, "refusalOf" | "params">;
  readonly log: Log;
};

export function createMissedViews({ lagMaxMs }: { readonly lagMaxMs: number }, components: MissedComponents) {
  const { lag, wasBehindSince, chain, log } = components;
  const newest: MissedView[] = [];
  let current = { view: View(0), sinceMs: 0 };

  const add = (
    set: ValidatorSet,
    view: View,
    cause: Parameters<typeof reasonOf>[0],
    { blockHash, timestampMs = 0 }: Pick<MissedReport, "blockHash" | "timestampMs"> = {},
  ): void => {
    const { sinceMs } = current;
    const reason = reasonOf(cause, {
      lagMs: lag.worstSince(sinceMs),
      lagMaxMs,
      catchingUp: wasBehindSince(sinceMs),
      aheadOfClock: timestampMs > Date.now() + Number(chain.params.timestampAheadMs),
    });
    const fault = blockHash === undefined ? undefined : chain.refusalOf(blockHash);
    const proposer = proposerOf(set, view);
    newest.push({ epoch: set.epoch, view, proposer, reason, ...(fault === undefined ? {} : { fault }) });
    if (newest.length > MISSED_MAX) newest.shift();
    log.info({ view, proposer, reason, ...fault }, "view missed here");
  };

  return {
    /** The engine entered a view; without a seat (`self`) there is nothing to miss. */
    entered(set: ValidatorSet, self: number | undefined, { view, because }: EnteredReport): void {
      // Others went on without this node; of a long way only the end is told.
      if (because !== "start" && self !== undefined) {
        const first = Math.max(current.view + 1, view - MISSED_MAX);
        for (let passed = first; passed < view; passed++) add(set, View(passed), "passed");
      }
      current = { view, sinceMs: performance.now() };
    },
    /** The own vote for the view was nullify. */
    missed: (set: ValidatorSet, it: MissedReport): void => add(set, it.view, it.reason, it),
    /** The newest {@link MISSED_MAX}, oldest first. */
    all: (): readonly MissedView[] => [...newest],
  };
}

/**
 * What the parts of one engine share: its options, its knowledge, and the effects of the step at
 * hand. Made by engine.ts; the parts are functions that take it first.
 */
import type { Height, View } from "../primitives/units.ts";
import type { Proposal } from "../types/block.ts";
import type { Certificate } from "../types/certificate.ts";
import type { ValidatorSet } from "../types/validator-set.ts";
import type { Subject } from "../types/vote.ts";
import { type Blocks, createBlocks } from "./blocks.ts";
import type { Effect, EngineTimeouts, Report } from "./protocol.ts";
import { createTally, type Signatures, type Tally } from "./tally.ts";
import { createViews, type Views } from "./view-state.ts";

/** What the epoch's first block builds on: the last block of the epoch before, or genesis. */
export type Root = {
  readonly hash: Uint8Array;
  /** Its finalization, and the set that signed it; both undefined only for genesis. */
  readonly certificate: Certificate | undefined;
  readonly set: ValidatorSet | undefined;
};

/** What the disk has of this epoch after a restart. */
export type Restored = {
  /** Every own vote, with the proposal where the vote was one's own proposal. */
  readonly subjects: readonly { readonly subject: Subject; readonly proposal?: Omit<Proposal, "vote"> }[];
  /** The last finalized view's certificate and all stored ones above it. */
  readonly certificates: readonly Certificate[];
  readonly finalized: { readonly view: View; readonly hash: Uint8Array } | undefined;
};

export type EngineOptions = Signatures & {
  /** The chain's 32-byte tag. */
  readonly chain: Uint8Array;
  readonly set: ValidatorSet;
  /** Own position in the set; undefined for an observer. */
  readonly self: number | undefined;
  /** Height of the epoch's last block. */
  readonly lastHeight: Height;
  readonly intervalMs: number;
  readonly timeouts: EngineTimeouts;
  readonly root: Root;
  readonly restored?: Restored;
};

export type Core = {
  readonly options: EngineOptions;
  readonly views: Views;
  readonly blocks: Blocks;
  readonly tally: Tally;
  /** When each member was last heard. */
  readonly heardMs: number[];
  /** When certificates from a view on were last asked for. */
  readonly askedMs: Map<View, number>;
  /** When missing blocks were last asked for. */
  blocksAskedMs: number;
  effects: Effect[];
  nowMs: number;
  view: View;
  enteredMs: number;
  /** The certificate that opened the view. */
  entry: Certificate | undefined;
  finalizedView: View;
  finalizedHash: Uint8Array;
  finalizedMs: number;
  /** Deadlines of the current view; Infinity when passed or not set. */
  proposalDeadlineMs: number;
  notarizationDeadlineMs: number;
  retryMs: number;
  /** When the last finalization was last sent to stragglers of a finished epoch. */
  nudgedMs: number;
  /** A notarized block failed validation here, or certificates contradict each other: sign nothing. */
  halted: boolean;
  /** The epoch's last block is final: propose and vote no more. */
  finished: boolean;
};

export function createCore(options: EngineOptions): Core {
  return {
    options,
    views: createViews(),
    blocks: createBlocks(),
    tally: createTally(options.chain, options.set, options),
    heardMs: options.set.members.map(() => 0),
    askedMs: new Map(),
    blocksAskedMs: Number.NEGATIVE_INFINITY,
    effects: [],
    nowMs: 0,
    view: 1 as View,
    enteredMs: 0,
    entry: undefined,
    finalizedView: 0 as View,
    finalizedHash: options.root.hash,
    finalizedMs: 0,
    proposalDeadlineMs: Number.POSITIVE_INFINITY,
    notarizationDeadlineMs: Number.POSITIVE_INFINITY,
    retryMs: Number.POSITIVE_INFINITY,
    nudgedMs: Number.NEGATIVE_INFINITY,
    halted: false,
    finished: false,
  };
}

export function report(core: Core, it: Report): void {
  core.effects.push({ kind: "report", report: it });
}

/** Only of somebody else; own messages come back with no sender. */
export function blame(core: Core, from: number | undefined, reason: string): void {
  if (from !== undefined) report(core, { kind: "misbehaviour", from, reason });
}

/** Stops all voting here, once. */
export function diverge(core: Core, blockHash: Uint8Array): void {
  if (!core.halted) report(core, { kind: "diverged", blockHash });
  core.halted = true;
}

/** Asks for the certificates of some views, not more often than once a retry. */
export function fetchCertificates(core: Core, from: View, to: View): void {
  const asked = core.askedMs.get(from);
  if (asked !== undefined && core.nowMs < asked + core.options.timeouts.retryMs) return;
  if (core.askedMs.size >= 64) core.askedMs.clear();
  core.askedMs.set(from, core.nowMs);
  core.effects.push({ kind: "fetch", want: "certificates", epoch: core.options.set.epoch, from, to });
}

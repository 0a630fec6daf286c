/**
 * Casting the own votes: N, L and F. The flags of rules.ts are set here, before the `vote` effect
 * leaves. Called by engine.ts, timers.ts, proposals.ts, proposing.ts and certificates.ts.
 */
import type { View } from "../primitives/units.ts";
import type { Proposal } from "../types/block.ts";
import { nullifySubject, type Subject, VoteKind } from "../types/vote.ts";
import { type Core, report } from "./core.ts";
import type { Report } from "./protocol.ts";
import { mayFinalize, mayNotarize, mayNullify } from "./rules.ts";

type MissedReport = Extract<Report, { kind: "missed-view" }>;
/** Why a view is missed, and which block it was about. */
export type Missed = Pick<MissedReport, "reason" | "blockHash" | "timestampMs">;

/** Whether this engine signs at all. */
export const signs = ({ options, halted, finished }: Core): boolean =>
  options.self !== undefined && !halted && !finished;

/** Casts notarize in the current view; N1 and N3–N5 are the caller's, who knows the block. */
export function notarize(core: Core, subject: Subject, proposal?: Omit<Proposal, "vote">): void {
  const state = core.views.at(core.view);
  if (!signs(core) || subject.view !== core.view || !mayNotarize(state.own)) return;
  state.own.notarize = subject;
  state.proposal = proposal;
  core.effects.push(proposal === undefined ? { kind: "vote", subject } : { kind: "vote", subject, proposal });
}

/** L: casts nullify in the current view, or does nothing if it may not. */
export function nullify(core: Core, missed: Missed): void {
  const { own } = core.views.at(core.view);
  if (!signs(core) || own.nullify || !mayNullify(own)) return;
  own.nullify = true;
  core.effects.push({ kind: "vote", subject: nullifySubject(core.options.set.epoch, core.view) });
  report(core, { kind: "missed-view", view: core.view, ...missed });
  core.proposalDeadlineMs = core.notarizationDeadlineMs = Number.POSITIVE_INFINITY;
  core.retryMs = core.nowMs + core.options.timeouts.retryMs;
}

/** F: casts finalize in a view, current or not, once everything is there. */
export function finalize(core: Core, view: View): void {
  const state = core.views.peek(view);
  const notarized = state?.notarization?.subject; // F1
  if (state === undefined || notarized === undefined || !signs(core)) return;
  if (core.blocks.get(notarized.blockHash)?.verdict !== "valid") return; // F2
  if (!mayFinalize(state.own, notarized, core.finalizedView)) return;
  const subject = { ...notarized, kind: VoteKind.finalize };
  state.own.finalize = subject;
  core.effects.push({ kind: "vote", subject });
}

/** Sends the own votes of a view again; the driver makes nothing new of them. */
export function repeatVotes(core: Core, view: View, kinds: readonly VoteKind[]): void {
  const state = core.views.peek(view);
  if (state === undefined || !signs(core)) return;
  const { own, proposal } = state;
  if (own.notarize !== undefined && kinds.includes(VoteKind.notarize)) {
    const again = { kind: "vote", subject: own.notarize } as const;
    core.effects.push(proposal === undefined ? again : { ...again, proposal });
  }
  if (own.nullify && kinds.includes(VoteKind.nullify)) {
    core.effects.push({ kind: "vote", subject: nullifySubject(core.options.set.epoch, view) });
  }
  if (own.finalize !== undefined && kinds.includes(VoteKind.finalize)) {
    core.effects.push({ kind: "vote", subject: own.finalize });
  }
}

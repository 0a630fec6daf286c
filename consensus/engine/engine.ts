/**
 * Simplex for one epoch: step(input, now) → effects. Pure and synchronous; the driver
 * (node/driver.ts) feeds inputs one at a time and carries out the effects in their order.
 *
 * The protocol in brief (docs/protocol.md has the rules by label):
 *
 *   enter v+1   on any notarization, nullification or finalization of v
 *   P           its proposer builds on the highest certified view, with a nullification of each view
 *               in between
 *   N           the others notarize the first proposal that is valid in full
 *   L           whoever waits in vain nullifies, and says so again and again
 *   F           whoever holds a notarization, and did not nullify, finalizes
 *
 * Each rule is in one place: rules.ts (N2, L, F3–F5), proposals.ts (N1, N3–N5), proposing.ts (P),
 * casting.ts (F1, F2), timers.ts (L's repetition). N6 is the driver's.
 */
import { equalBytes } from "../primitives/bytes.ts";
import { invariant } from "../primitives/faults.ts";
import type { Epoch, View } from "../primitives/units.ts";
import type { Certificate } from "../types/certificate.ts";
import { proposerOf } from "../types/validator-set.ts";
import { VoteKind } from "../types/vote.ts";
import { repeatVotes } from "./casting.ts";
import { enterView, takeCertificate } from "./certificates.ts";
import { type Core, createCore, type EngineOptions, type Restored } from "./core.ts";
import { judgeCandidate, takeBlock, takeProposal, takeVerdict } from "./proposals.ts";
import { propose, takeBuilt } from "./proposing.ts";
import type { Effect, Input } from "./protocol.ts";
import { deadlineOf, skipInactive, takeTick } from "./timers.ts";
import { REPEATED_VIEWS } from "./view-state.ts";
import { takeVote } from "./votes.ts";

/** For the operator: why does nothing move? */
export type EngineStatus = {
  readonly epoch: Epoch;
  readonly view: View;
  readonly finalizedView: View;
  readonly proposer: number;
  readonly enteredMs: number;
  /** Of the current view. */
  readonly proposed: boolean;
  readonly notarized: boolean;
  readonly nullified: boolean;
  /** Views between the highest certified one and the current one that have no nullification here; 256 at most. */
  readonly missing: readonly View[];
  readonly banned: readonly number[];
  /** Signs nothing because a certified block failed validation here. */
  readonly halted: boolean;
  /** The epoch's last block is final. */
  readonly finished: boolean;
};

export type Engine = {
  /** Once, before any step: enters the highest view that the disk knows, and repeats own votes. */
  start(nowMs: number): readonly Effect[];
  step(input: Input, nowMs: number): readonly Effect[];
  /** When to send `tick`; Infinity if never. Monotonic milliseconds, as `nowMs`. */
  readonly deadline: number;
  readonly view: View;
  readonly finalizedView: View;
  /** The notarization of a view with all signatures heard since, for `lateCertificate`; undefined if not held. */
  lateCertificate(view: View): Certificate | undefined;
  status(): EngineStatus;
};

function dispatch(core: Core, input: Input): void {
  switch (input.kind) {
    case "proposal":
      takeProposal(core, input.proposal, input.from);
      return;
    case "vote":
      takeVote(core, input.vote, input.from);
      return;
    case "certificate":
      takeCertificate(core, input.certificate, "received", input.from);
      return;
    case "block":
      takeBlock(core, input.block, input.from);
      return;
    case "built":
      takeBuilt(core, input.view, input.block);
      return;
    case "checked":
      takeVerdict(core, input.blockHash, input.verdict);
      return;
    case "tick":
      takeTick(core);
      return;
  }
}

/** What may have become possible, whatever the input was. */
function advance(core: Core): void {
  if (core.finished || core.halted) return;
  judgeCandidate(core);
  propose(core);
  skipInactive(core);
}

/** Flags first, so that nothing cast before can be contradicted; then the highest view. */
function restore(core: Core, restored: Restored): void {
  const { finalized } = restored;
  if (finalized !== undefined) {
    core.finalizedView = finalized.view;
    core.finalizedHash = finalized.hash;
  }
  let highest = (core.finalizedView + 1) as View;
  for (const { subject, proposal } of restored.subjects) {
    invariant(subject.epoch === core.options.set.epoch, "restored votes are of the engine's epoch");
    const state = core.views.at(subject.view);
    if (subject.kind === VoteKind.nullify) state.own.nullify = true;
    else if (subject.kind === VoteKind.finalize) state.own.finalize = subject;
    else state.own.notarize = subject;
    state.proposal ??= proposal;
    if (subject.view > highest) highest = subject.view;
  }
  const ascending = [...restored.certificates].sort((a, b) => a.subject.view - b.subject.view);
  core.view = highest;
  enterView(core, highest, "start", undefined);
  for (const certificate of ascending) {
    if (certificate.subject.view === highest - 1) core.entry = certificate;
    takeCertificate(core, certificate, "restored", undefined);
  }
  for (const { subject, proposal } of restored.subjects) {
    if (proposal === undefined || subject.view <= core.finalizedView) continue;
    core.blocks.named(subject.blockHash, subject.view);
    core.views.at(subject.view).candidate ??= { subject, header: proposal.block.header, invalid: false };
    takeBlock(core, proposal.block, undefined);
  }
  const kinds = [VoteKind.notarize, VoteKind.nullify, VoteKind.finalize];
  for (let view = Math.max(core.finalizedView + 1, core.view - REPEATED_VIEWS); view <= core.view; view++) {
    repeatVotes(core, view as View, kinds);
  }
  if (core.views.peek(core.view)?.own.nullify === true) {
    core.proposalDeadlineMs = core.notarizationDeadlineMs = Number.POSITIVE_INFINITY;
    core.retryMs = core.nowMs + core.options.timeouts.retryMs;
  }
}

export function createEngine(options: EngineOptions): Engine {
  const { timeouts, set, self, root } = options;
  invariant(self === undefined || self < set.members.length, "the own position is in the set");
  invariant(timeouts.proposalMs > options.intervalMs, "a proposal has longer than the block interval");
  invariant(
    (root.certificate === undefined) === (root.set === undefined),
    "a root's certificate comes with its set",
  );
  invariant(
    root.certificate === undefined || equalBytes(root.certificate.subject.blockHash, root.hash),
    "root",
  );
  const core = createCore(options);
  let started = false;

  function run(nowMs: number, turn: () => void): readonly Effect[] {
    core.effects = [];
    // Time handed in never goes back here, whatever the caller's clock does.
    core.nowMs = Math.max(core.nowMs, nowMs);
    turn();
    advance(core);
    return core.effects;
  }

  return {
    start(nowMs) {
      invariant(!started, "an engine starts once");
      started = true;
      core.nowMs = core.finalizedMs = nowMs;
      core.heardMs.fill(nowMs);
      return run(nowMs, () => {
        if (options.restored === undefined) enterView(core, 1 as View, "start", undefined);
        else restore(core, options.restored);
      });
    },
    step(input, nowMs) {
      invariant(started, "an engine is started before it steps");
      return run(nowMs, () => dispatch(core, input));
    },
    get deadline() {
      return deadlineOf(core);
    },
    get view() {
      return core.view;
    },
    get finalizedView() {
      return core.finalizedView;
    },
    lateCertificate(view) {
      const notarization = core.views.peek(view)?.notarization;
      return notarization === undefined ? undefined : core.tally.extend(notarization);
    },
    status() {
      const { own, candidate } = core.views.at(core.view);
      const parent = core.views.parentBelow(core.view)?.subject.view ?? (0 as View);
      return {
        epoch: set.epoch,
        view: core.view,
        finalizedView: core.finalizedView,
        proposer: proposerOf(set, core.view),
        enteredMs: core.enteredMs,
        proposed: candidate !== undefined,
        notarized: own.notarize !== undefined,
        nullified: own.nullify,
        missing: core.views.between(parent, core.view).missing.slice(0, 256),
        banned: [...core.tally.banned],
        halted: core.halted,
        finished: core.finished,
      };
    },
  };
}

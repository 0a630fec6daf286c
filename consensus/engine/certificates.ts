/**
 * Taking certificates, assembled here or received: they open views, finalize, and say which blocks
 * must be had. A notarization is kept even when its view's nullification is known: the next proposer
 * may build on either. Called by engine.ts, votes.ts and proposals.ts.
 */
import { equalBytes } from "../primitives/bytes.ts";
import type { View } from "../primitives/units.ts";
import { type Certificate, CertificateType, signersOf, verifyCertificate } from "../types/certificate.ts";
import { proposerOf } from "../types/validator-set.ts";
import { type Subject, sameSubject, VoteKind } from "../types/vote.ts";
import { finalize } from "./casting.ts";
import { blame, type Core, diverge, report } from "./core.ts";
import { growth } from "./rules.ts";
import { certified, heldAs, REPEATED_VIEWS, VIEWS_KEPT, type ViewState } from "./view-state.ts";

/** Where a certificate comes from: the own tally, somebody else, or the own disk. */
export type Origin = "assembled" | "received" | "restored";

/**
 * Bounds what a long time without finality leaves: votes, blocks that nobody certified, and the own
 * proposals' bodies go. Certificates stay, since P and N4 need them: about 1 kB a view.
 */
function forgetOld(core: Core): void {
  core.tally.dropBelow((core.view - VIEWS_KEPT) as View);
  const recent = (core.view - REPEATED_VIEWS) as View;
  core.views.dropProposals(recent);
  if (recent > core.finalizedView) core.blocks.dropBelow(recent, core.views.certifiedBlocks());
}

export function enterView(
  core: Core,
  view: View,
  because: "start" | "notarization" | "nullification" | "finalization",
  entry: Certificate | undefined,
): void {
  const { timeouts, set } = core.options;
  const g = growth(view, core.finalizedView);
  core.view = view;
  core.enteredMs = core.nowMs;
  core.entry = entry;
  core.proposalDeadlineMs = core.nowMs + timeouts.proposalMs * g;
  core.notarizationDeadlineMs = core.nowMs + timeouts.notarizationMs * g;
  core.retryMs = Number.POSITIVE_INFINITY;
  forgetOld(core);
  report(core, { kind: "entered-view", view, proposer: proposerOf(set, view), because });
  fetchBlocks(core);
}

/** Whether a certificate of this epoch verifies; one that is held byte for byte has been verified. */
export function isCertified(core: Core, certificate: Certificate): boolean {
  const held = heldAs(core.views.peek(certificate.subject.view), certificate.subject);
  if (held !== undefined && CertificateType.equals(held, certificate)) return true;
  const { chain, set, verifyAggregate } = core.options;
  return verifyCertificate(chain, set, certificate, verifyAggregate);
}

/**
 * What is held of a view and cannot be beside this certificate, unless a third is Byzantine. The one
 * whose common signers are evidence comes first.
 */
function rivalOf(state: ViewState | undefined, { subject }: Certificate): Certificate | undefined {
  if (state === undefined) return undefined;
  const { notarization, nullification, finalization } = state;
  if (subject.kind === VoteKind.nullify) return finalization;
  const finalizing = subject.kind === VoteKind.finalize;
  if (finalizing && nullification !== undefined) return nullification;
  const blocks = finalizing ? [finalization, notarization] : [notarization, finalization];
  return blocks.find(
    (held) => held !== undefined && !sameSubject(held.subject, { ...subject, kind: held.subject.kind }),
  );
}

/** The block of a notarization or finalization has to be had, and validated (F2). */
function wantBlock(core: Core, certificate: Certificate): void {
  const { blockHash, view } = certificate.subject;
  const block = core.blocks.named(blockHash, view);
  if (block.verdict === "invalid") {
    diverge(core, blockHash);
    return;
  }
  if (block.header !== undefined) return;
  core.effects.push({ kind: "fetch", want: "block", blockHash, signers: signersOf(certificate) });
}

/** Blocks asked for at a time. */
const BLOCKS_ASKED_MAX = 8;

/** Asks again for the newest certified blocks that are still not here, not more often than once a retry. */
export function fetchBlocks(core: Core): void {
  if (core.nowMs < core.blocksAskedMs + core.options.timeouts.retryMs) return;
  core.blocksAskedMs = core.nowMs;
  const missing = core.views.certifying(
    (it) => it.view >= core.finalizedView && core.blocks.get(it.blockHash)?.header === undefined,
  );
  for (const view of missing.slice(-BLOCKS_ASKED_MAX)) {
    const certificate = certified(core.views.peek(view));
    if (certificate !== undefined) wantBlock(core, certificate);
  }
}

/** The epoch ends when its last block is final; known only once the block is. */
export function noteFinished(core: Core): void {
  const header = core.blocks.get(core.finalizedHash)?.header;
  if (core.finalizedView > 0 && header?.height === core.options.lastHeight) core.finished = true;
}

function raiseFinalized(core: Core, certificate: Certificate): void {
  core.finalizedView = certificate.subject.view;
  core.finalizedHash = certificate.subject.blockHash;
  core.finalizedMs = core.nowMs;
  const floor = Math.max(0, core.finalizedView - VIEWS_KEPT) as View;
  core.views.dropBelow(floor);
  core.tally.dropBelow(floor);
  core.blocks.dropBelow(core.finalizedView);
  core.effects.push({ kind: "finalize", certificate });
  noteFinished(core);
}

/** Whether the certificate can be relied upon; what is new about it is acted upon. */
export function takeCertificate(
  core: Core,
  certificate: Certificate,
  origin: Origin,
  from: number | undefined,
): boolean {
  const { subject } = certificate;
  if (subject.epoch !== core.options.set.epoch || core.finished) return false;
  const held = heldAs(core.views.peek(subject.view), subject);
  if (held !== undefined && sameSubject(held.subject, subject)) return true;
  const rival = rivalOf(core.views.peek(subject.view), certificate);
  const old = subject.view <= core.finalizedView && !isLastFinalized(core, subject);
  if (old && rival === undefined) return false;
  if (origin !== "assembled" && !isCertified(core, certificate)) {
    blame(core, from, "certificate that does not verify");
    return false;
  }
  if (rival !== undefined) {
    if (!core.halted) report(core, { kind: "contradiction", first: rival, second: certificate });
    diverge(core, subject.blockHash);
    return false;
  }
  const state = core.views.at(subject.view);
  // What opens a view is passed on by all, so that no sender can give it to some only.
  const opens = subject.view === core.view && subject.kind !== VoteKind.finalize;
  if (origin === "assembled" || (origin === "received" && opens)) {
    core.effects.push({ kind: "broadcast", certificate });
  } else if (origin === "received") {
    core.effects.push({ kind: "store", certificate });
  }
  const next = (subject.view + 1) as View;
  switch (subject.kind) {
    case VoteKind.notarize:
      state.notarization = certificate;
      wantBlock(core, certificate);
      finalize(core, subject.view);
      if (next > core.view) enterView(core, next, "notarization", certificate);
      break;
    case VoteKind.nullify:
      state.nullification = certificate;
      if (next > core.view) enterView(core, next, "nullification", certificate);
      break;
    default:
      state.finalization = certificate;
      wantBlock(core, certificate);
      if (subject.view > core.finalizedView) raiseFinalized(core, certificate);
      if (next > core.view) enterView(core, next, "finalization", certificate);
  }
  return true;
}

/** After a restart the certificate of the last finalized view may come late; a parent's is needed. */
const isLastFinalized = (core: Core, subject: Subject): boolean =>
  subject.view === core.finalizedView &&
  subject.kind !== VoteKind.nullify &&
  equalBytes(subject.blockHash, core.finalizedHash);

/**
 * Judging proposals and blocks of others: rules N1 and N3–N5 (N2 is in rules.ts; N6 is the
 * driver's, within the `vote` effect). Called by engine.ts.
 *
 * What the signature covers (the header's hash) can be invalid for good; what only travels beside it
 * (the justification, a body that doesn't match) says nothing about the block: that is missing, not
 * invalid.
 */
import { equalBytes } from "../primitives/bytes.ts";
import type { View } from "../primitives/units.ts";
import { type Block, blockHash, bodyRoot, type Header, type Proposal } from "../types/block.ts";
import { type Certificate, verifyCertificate } from "../types/certificate.ts";
import { proposerOf } from "../types/validator-set.ts";
import { isSubject, type Subject, sameSubject, signingRoot, VoteKind } from "../types/vote.ts";
import type { KnownBlock } from "./blocks.ts";
import { finalize, notarize, nullify } from "./casting.ts";
import { isCertified, noteFinished, takeCertificate } from "./certificates.ts";
import { blame, type Core, diverge, fetchCertificates } from "./core.ts";
import type { CheckVerdict } from "./protocol.ts";
import { mayNotarize } from "./rules.ts";
import { certified } from "./view-state.ts";
import { keyOf, takeVote } from "./votes.ts";

/** Whether a header can be this epoch's at all. */
function isWellPlaced(core: Core, header: Header): boolean {
  const { set, lastHeight } = core.options;
  if (header.epoch !== set.epoch || header.height > lastHeight) return false;
  if (header.view < 1 || header.parentView >= header.view) return false;
  return header.proposer === set.members[proposerOf(set, header.view)]?.validator;
}

/** N3: the block carries a valid certificate of exactly (parentView, parentHash). */
function isParentCertified(core: Core, { header, body }: Block): boolean {
  const { root, chain, set, verifyAggregate } = core.options;
  const [certificate] = body.parentCertificate;
  if (header.parentView === 0) {
    if (!equalBytes(header.parentHash, root.hash)) return false;
    if (root.set === undefined || certificate === undefined)
      return root.set === undefined && certificate === undefined;
    // Any finalization of the epoch's last block will do: two nodes may hold different ones.
    const { kind, blockHash: certifiedHash } = certificate.subject;
    if (kind !== VoteKind.finalize || !equalBytes(certifiedHash, root.hash)) return false;
    return verifyCertificate(chain, root.set, certificate, verifyAggregate);
  }
  if (certificate === undefined || certificate.subject.kind === VoteKind.nullify) return false;
  const { view, epoch, blockHash: parentHash } = certificate.subject;
  if (view !== header.parentView || epoch !== set.epoch || !equalBytes(parentHash, header.parentHash))
    return false;
  return isCertified(core, certificate);
}

/** Takes a block whose body is known to match: asks for its check, once, and for its parent. */
function admitBlock(core: Core, block: Block, known: KnownBlock, hash: Uint8Array): void {
  if (known.header !== undefined) return;
  known.header = block.header;
  if (block.header.height === core.options.lastHeight) known.block = block;
  noteFinished(core);
  if (!isWellPlaced(core, block.header) || !isParentCertified(core, block)) {
    takeVerdict(core, hash, "invalid");
    return;
  }
  const [certificate] = block.body.parentCertificate;
  if (certificate !== undefined) takeCertificate(core, certificate, "received", undefined);
  if (known.verdict === "unknown") core.effects.push({ kind: "check", block, blockHash: hash });
}

/** The driver's verdict (N5), or our own. A decided block stays decided. */
export function takeVerdict(core: Core, hash: Uint8Array, verdict: CheckVerdict): void {
  const known = core.blocks.get(hash);
  if (known === undefined || known.verdict === "valid" || known.verdict === "invalid") return;
  known.verdict = verdict;
  if (verdict === "pending") return;
  const certifying = core.views.certifying((subject) => equalBytes(subject.blockHash, hash));
  if (verdict === "invalid" && certifying.length > 0) diverge(core, hash);
  if (verdict === "valid") for (const view of certifying) finalize(core, view);
}

/** A block that was asked for. */
export function takeBlock(core: Core, block: Block, from: number | undefined): void {
  const hash = blockHash(block.header);
  const known = core.blocks.get(hash);
  if (known === undefined || known.header !== undefined) return;
  if (!equalBytes(bodyRoot(block.body), block.header.bodyRoot)) {
    blame(core, from, "body of another block");
    return;
  }
  admitBlock(core, block, known, hash);
}

/** Whether a block may stand in this view: made for it, or the epoch's last block once more. */
function fitsView(core: Core, subject: Subject, header: Header): boolean {
  if (header.view === subject.view) return header.parentView === subject.parentView;
  return header.height === core.options.lastHeight && header.view <= subject.parentView;
}

/** A proposal: its signature first, then the certificates it brings, then the block. */
export function takeProposal(core: Core, proposal: Proposal, from: number | undefined): void {
  const { set, chain, verifySignature } = core.options;
  const { block, vote } = proposal;
  const { subject, signer } = vote;
  if (subject.epoch !== set.epoch || subject.view <= core.finalizedView || core.finished) return;
  const hash = blockHash(block.header);
  if (subject.kind !== VoteKind.notarize || !isSubject(subject) || !equalBytes(subject.blockHash, hash)) {
    blame(core, from, "malformed proposal");
    return;
  }
  if (signer !== proposerOf(set, subject.view)) {
    blame(core, from, "proposal out of turn");
    return;
  }
  const first = core.views.peek(subject.view)?.candidate;
  if (first !== undefined && sameSubject(first.subject, subject)) return;
  if (!verifySignature(signingRoot(chain, subject), keyOf(core, signer), vote.signature)) {
    blame(core, from, "wrong signature");
    return;
  }
  if (!equalBytes(bodyRoot(block.body), block.header.bodyRoot)) {
    blame(core, from, "body of another block");
    return;
  }
  if (from === signer) core.heardMs[signer] = core.nowMs;
  takeBrought(core, proposal, from);
  takeVote(core, vote, from, true);
  if (subject.view > core.view + 1 || subject.view <= core.finalizedView) return;
  const state = core.views.at(subject.view);
  const known = state.candidate === undefined ? core.blocks.named(hash, subject.view) : core.blocks.get(hash);
  state.candidate ??= { subject, header: block.header, invalid: !fitsView(core, subject, block.header) };
  // Not the first one, but certified: it has to be had all the same.
  if (known !== undefined) admitBlock(core, block, known, hash);
}

/** The certificates that come with a proposal; the first that does not verify ends the effort. */
function takeBrought(core: Core, { block, justification }: Proposal, from: number | undefined): void {
  const parent = block.header.parentView === 0 ? [] : block.body.parentCertificate;
  for (const certificate of [...parent, ...justification.notarization, ...justification.nullifications]) {
    if (certificate.subject.view <= core.finalizedView) continue;
    if (!takeCertificate(core, certificate, "received", from)) return;
  }
}

/** N3 when the epoch's last block is proposed again: its certificate at exactly parentView. */
function certificateAgain(core: Core, { parentView, blockHash: hash }: Subject): Certificate | undefined {
  const certificate = certified(core.views.peek(parentView));
  return certificate !== undefined && equalBytes(certificate.subject.blockHash, hash)
    ? certificate
    : undefined;
}

/** N: votes for the current view's candidate as soon as nothing is missing. Called after every input. */
export function judgeCandidate(core: Core): void {
  const state = core.views.peek(core.view);
  const candidate = state?.candidate; // N1: the current view's, and the first
  if (state === undefined || candidate === undefined || !mayNotarize(state.own)) return;
  const { subject, header } = candidate;
  const known = core.blocks.get(subject.blockHash);
  const below = subject.parentView < core.finalizedView; // N3: not below the last finalized view
  if (candidate.invalid || below || known?.verdict === "invalid") {
    nullify(core, { reason: "invalid", blockHash: subject.blockHash });
    return;
  }
  const again = header.view !== subject.view;
  if (again && certificateAgain(core, subject) === undefined) {
    fetchCertificates(core, subject.parentView, subject.parentView);
    return;
  }
  const { missing } = core.views.between(subject.parentView, subject.view); // N4: a nullification for each
  const [first] = missing;
  if (first !== undefined) {
    fetchCertificates(core, first, (missing.at(-1) ?? first) as View);
    return;
  }
  if (known?.verdict !== "valid") return; // N5
  notarize(core, subject);
}

/**
 * Byzantine nodes by name: an honest node whose messages are replaced on their way out, one
 * recipient at a time. Used by scenarios.ts.
 */

import { toHex, uint64Bytes } from "../../consensus/primitives/bytes.ts";
import { hash } from "../../consensus/primitives/hash.ts";
import type { Epoch, Height, View } from "../../consensus/primitives/units.ts";
import { type Block, blockHash, bodyRoot, type Proposal } from "../../consensus/types/block.ts";
import { nullifySubject, type Subject, type Vote, VoteKind } from "../../consensus/types/vote.ts";
import { stateRootOf } from "./chain.ts";
import type { SimNode, Tamper } from "./machine.ts";

/** The last epoch whose set the ghost is in. */
export const LAST_EPOCH_OF_GHOST = 1 as Epoch;

const noise = (subject: Subject): Uint8Array => hash("beacon", subject.blockHash, uint64Bytes(subject.view));

function signProposal(node: SimNode, proposal: Proposal, block: Block): Proposal {
  const subject = { ...proposal.vote.subject, blockHash: blockHash(block.header) };
  return { ...proposal, block, vote: node.sign(subject) };
}

/** Two blocks for one view, each to a half; to some, both. */
export const equivocator: Tamper = (message, to, node) => {
  if (
    message.kind !== "proposal" ||
    message.proposal.block.header.view !== message.proposal.vote.subject.view
  ) {
    return [message];
  }
  const { block } = message.proposal;
  const header = { ...block.header, timestampMs: block.header.timestampMs + 1 };
  const other = {
    kind: "proposal",
    proposal: signProposal(node, message.proposal, { ...block, header }),
  } as const;
  return to % 3 === 0 ? [message] : to % 3 === 1 ? [other] : [other, message];
};

/** A second, different vote with every notarize and finalize, to half of the others. */
export const conflicter: Tamper = (message, to, node) => {
  if (message.kind !== "vote" || message.vote.subject.kind === VoteKind.nullify) return [message];
  const other = node.sign({ ...message.vote.subject, blockHash: noise(message.vote.subject) });
  const second = { kind: "vote", vote: other } as const;
  return to % 2 === 0 ? [message, second] : [second, message];
};

/** Nullifies and finalizes every view it votes in. */
export const nuller: Tamper = (message, _to, node) => {
  if (message.kind !== "vote" || message.vote.subject.kind !== VoteKind.notarize) return [message];
  const { subject } = message.vote;
  return [
    { kind: "vote", vote: node.sign(nullifySubject(subject.epoch, subject.view)) },
    message,
    { kind: "vote", vote: node.sign({ ...subject, kind: VoteKind.finalize }) },
  ];
};

/** Votes and proposes in others' names, and repeats its own with their number. */
export const impersonator: Tamper = (message, to, node) => {
  if (message.kind === "proposal") {
    const { vote } = message.proposal;
    const inNameOf = { ...vote, signer: (vote.signer + 1 + (to % 2)) % 4 };
    return [{ kind: "proposal", proposal: { ...message.proposal, vote: inNameOf } }, message];
  }
  if (message.kind !== "vote") return [message];
  const stolen: Vote = { ...message.vote, signer: (message.vote.signer + 1 + (to % 2)) % 4 };
  return [message, { kind: "vote", vote: stolen }, { kind: "vote", vote: node.sign(stolen.subject) }];
};

/** Its signatures are wrong, so that every aggregate with them is. */
export const forger: Tamper = (message) => {
  if (message.kind !== "vote") return [message];
  return [{ kind: "vote", vote: { ...message.vote, signature: new Uint8Array(96).fill(7) } }];
};

/** Votes for views long gone, and finalizes what it never saw. */
export const outdated: Tamper = (message, _to, node) => {
  if (message.kind !== "vote") return [message];
  const { subject } = message.vote;
  const view = Math.max(1, subject.view - 5) as View;
  return [
    message,
    { kind: "vote", vote: node.sign(nullifySubject(subject.epoch, view)) },
    {
      kind: "vote",
      vote: node.sign({ ...subject, kind: VoteKind.notarize, view, parentView: (view - 1) as View }),
    },
  ];
};

/** Proposes blocks with a wrong state root. */
export const invalid: Tamper = (message, _to, node) => {
  if (message.kind !== "proposal") return [message];
  const { block } = message.proposal;
  const header = { ...block.header, stateRoot: noise(message.proposal.vote.subject) };
  return [{ kind: "proposal", proposal: signProposal(node, message.proposal, { ...block, header }) }];
};

/** Shows its proposals to a bare quorum, its votes to every other node, and answers no request. */
export const withholder: Tamper = (message, to) => {
  if (message.kind === "block" || message.kind === "certificate") return [];
  if (message.kind === "proposal") return to < 3 ? [message] : [];
  return message.kind === "vote" && to % 2 === 0 ? [] : [message];
};

/** Builds on an older parent than the last, without the nullifications that this needs. */
export const skipper: Tamper = (message, _to, node) => {
  if (message.kind !== "proposal") return [message];
  const { block } = message.proposal;
  const { epoch, view, parentView } = block.header;
  const older = [...(node.disk.certificates.get(epoch)?.values() ?? [])].filter(
    (it) => it.subject.kind === VoteKind.notarize && it.subject.view < parentView && it.subject.view < view,
  );
  const certificate = older.at(-1);
  const parent = certificate && node.disk.blocks.get(toHex(certificate.subject.blockHash));
  if (certificate === undefined || parent === undefined) return [message];
  const body = { ...block.body, parentCertificate: [certificate], lateCertificate: [] };
  const height = (parent.header.height + 1) as Height;
  const header = {
    ...block.header,
    height,
    parentHash: certificate.subject.blockHash,
    parentView: certificate.subject.view,
    stateRoot: stateRootOf(parent.header.stateRoot, height),
    bodyRoot: bodyRoot(body),
  };
  const { proposal } = message;
  const subject = { ...proposal.vote.subject, parentView: header.parentView };
  const other = signProposal(node, { ...proposal, vote: { ...proposal.vote, subject } }, { header, body });
  return [
    { kind: "proposal", proposal: { ...other, justification: { nullifications: [], notarization: [] } } },
  ];
};

/** Votes and proposes in the epochs before and after, under their numbers. */
export const reconfigurer: Tamper = (message, _to, node) => {
  if (message.kind === "vote") {
    const { subject } = message.vote;
    const beside = [subject.epoch + 1, subject.epoch - 1].filter((epoch) => epoch >= 0);
    const votes = beside.map((epoch) => node.sign({ ...subject, epoch: epoch as Epoch }));
    return [...votes.map((vote) => ({ kind: "vote", vote }) as const), message];
  }
  if (message.kind !== "proposal") return [message];
  const { proposal } = message;
  const epoch = (proposal.block.header.epoch + 1) as Epoch;
  const header = { ...proposal.block.header, epoch };
  const moved = { ...proposal, vote: { ...proposal.vote, subject: { ...proposal.vote.subject, epoch } } };
  const other = signProposal(node, moved, { ...proposal.block, header });
  return [{ kind: "proposal", proposal: other }, message];
};

/**
 * Honest until three epochs after it left the set; then it signs two blocks, and a nullify beside a
 * finalize, for the last epoch in which it had a place, and votes in the present one as if it had one.
 */
export const ghost: Tamper = (message, _to, node) => {
  const left = (node.epoch - 3) as Epoch;
  if (left < LAST_EPOCH_OF_GHOST || message.kind !== "certificate") return [message];
  const { subject } = message.certificate;
  const old = { ...subject, kind: VoteKind.notarize, epoch: LAST_EPOCH_OF_GHOST, view: 1 as View };
  const block = { ...old, parentView: 0 as View, blockHash: noise(subject) };
  const subjects: Subject[] = [
    block,
    { ...block, blockHash: noise(block) },
    { ...block, kind: VoteKind.finalize },
    nullifySubject(block.epoch, block.view),
    { ...block, epoch: node.epoch, view: subject.view },
    nullifySubject(node.epoch, subject.view),
  ];
  return [message, ...subjects.map((it) => ({ kind: "vote", vote: node.sign(it) }) as const)];
};

/** Receives and says nothing. */
export const silent: Tamper = () => [];

export const BYZANTINE = {
  equivocator,
  conflicter,
  nuller,
  impersonator,
  forger,
  outdated,
  invalid,
  withholder,
  skipper,
  reconfigurer,
  ghost,
  silent,
};
export type ByzantineName = keyof typeof BYZANTINE;

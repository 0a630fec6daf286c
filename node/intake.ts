/**
 * What peers say to the engine: who may speak, of which epoch, and how often. Called by the network,
 * pushes into the driver's queue; nothing is verified here, that is the engine's.
 */
import type { Input } from "../consensus/engine/protocol.ts";
import { equalBytes } from "../consensus/primitives/bytes.ts";
import type { Epoch, View } from "../consensus/primitives/units.ts";
import type { Proposal } from "../consensus/types/block.ts";
import type { Certificate } from "../consensus/types/certificate.ts";
import type { Vote } from "../consensus/types/vote.ts";
import { createBuckets } from "./buckets.ts";
import type { Assembler } from "./compact.ts";
import type { CompactProposal } from "./network/compact.ts";
import type { PeerInfo } from "./network/network.ts";
import type { Witness } from "./witness.ts";

/** Certificates of a peer that holds no seat: each costs a pairing, and validators send them too. */
const STRANGER_PER_SECOND = 50;
const STRANGER_AT_ONCE = 64;
/** Messages of the next epoch that wait for it. */
const EARLY_MAX = 256;

export type IntakeComponents = {
  push(input: Input, mayDrop?: boolean): void;
  positionOf(blsKey: Uint8Array | undefined): number | undefined;
  epoch(): Epoch;
  view(): View;
  /** Whether it is this position's turn to propose in the view, and the view is still of use. */
  isInTurn(position: number, view: View): boolean;
  readonly assembler: Pick<Assembler, "assemble">;
  /** Of the next epoch's set. */
  nextMembers(): readonly { readonly blsKey: Uint8Array }[] | undefined;
  readonly witness: Pick<Witness, "observe">;
  /** A peer speaks of a later epoch. */
  onBehind(): void;
};

export function createIntake({
  push,
  positionOf,
  epoch,
  view,
  isInTurn,
  assembler,
  nextMembers,
  witness,
  onBehind,
}: IntakeComponents) {
  const early: (() => void)[] = [];
  const strangers = createBuckets({ leakPerSecond: STRANGER_PER_SECOND });

  /** In this epoch or the next: nobody else's messages are worth keeping. */
  const isSeated = ({ blsKey }: PeerInfo): boolean =>
    positionOf(blsKey) !== undefined ||
    (blsKey !== undefined && nextMembers()?.some((member) => equalBytes(member.blsKey, blsKey)) === true);

  /**
   * A message of another epoch says who is behind; it is nobody's fault. Those of the next one are kept:
   * others may have seen this epoch's last finalization a moment earlier.
   */
  const isOfThisEpoch = (of: number, from: PeerInfo, again: () => void): boolean => {
    if (of === epoch() + 1 && early.length < EARLY_MAX && isSeated(from)) early.push(again);
    if (of > epoch()) onBehind();
    return of === epoch();
  };

  const onVote = (vote: Vote, from: PeerInfo): void => {
    witness.observe(vote, from.blsKey, view());
    if (!isOfThisEpoch(vote.subject.epoch, from, () => onVote(vote, from))) return;
    const position = positionOf(from.blsKey);
    // Only a seated validator's own votes travel here; relayed ones would have to be verified one by one.
    if (position !== undefined) push({ kind: "vote", vote, from: position });
  };

  const onCertificate = (certificate: Certificate, from: PeerInfo): void => {
    const position = positionOf(from.blsKey);
    if (position === undefined) {
      if (strangers.level(from.peerId) >= STRANGER_AT_ONCE) return;
      strangers.add(from.peerId, 1);
    }
    if (!isOfThisEpoch(certificate.subject.epoch, from, () => onCertificate(certificate, from))) return;
    push({ kind: "certificate", certificate, from: position }, true);
  };

  const onProposal = (proposal: Proposal, from: PeerInfo): void => {
    if (!isOfThisEpoch(proposal.vote.subject.epoch, from, () => onProposal(proposal, from))) return;
    const position = positionOf(from.blsKey);
    if (position !== undefined) push({ kind: "proposal", proposal, from: position });
  };

  /** Only from the proposer itself: the parts that are missing here are asked of whoever sends it. */
  const onCompactProposal = (compact: CompactProposal, from: PeerInfo): void => {
    const { subject, signer } = compact.vote;
    if (!isOfThisEpoch(subject.epoch, from, () => onCompactProposal(compact, from))) return;
    if (positionOf(from.blsKey) !== signer || !isInTurn(signer, subject.view)) return;
    assembler.assemble(compact, from, (proposal) => onProposal(proposal, from));
  };

  return {
    onVote,
    onCertificate,
    onProposal,
    onCompactProposal,
    /** A new epoch has begun: what came too early is heard now. */
    onEpoch(): void {
      for (const again of early.splice(0)) again();
    },
  };
}

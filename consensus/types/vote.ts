/**
 * Votes. A vote signs 32 bytes, H(domain ‖ chain ‖ kind ‖ epoch ‖ view ‖ parentView ‖ blockHash);
 * for nullify the last two are zero. docs/protocol.md, "Objects".
 */
import { ContainerType, type ValueOf } from "@chainsafe/ssz";
import { equalBytes, uint64Bytes } from "../primitives/bytes.ts";
import { hash } from "../primitives/hash.ts";
import type { Epoch, View } from "../primitives/units.ts";
import { Bytes32, Bytes96, EpochType, uint8, uint16, ViewType, ZERO32 } from "./ssz.ts";

/** What one signs. The numbers are part of the signed message. */
export const VoteKind = { notarize: 1, nullify: 2, finalize: 3, reveal: 4 } as const;
export type VoteKind = 1 | 2 | 3;

export const SubjectType = new ContainerType({
  kind: uint8,
  epoch: EpochType,
  view: ViewType,
  /** The parent block's view as certified by the certificate that the block builds on; 0 for an epoch's first block. */
  parentView: ViewType,
  blockHash: Bytes32,
});
/** What a vote or a certificate is about. */
export type Subject = ValueOf<typeof SubjectType>;

export const VoteType = new ContainerType({
  subject: SubjectType,
  /** Position in the epoch's validator set. */
  signer: uint16,
  signature: Bytes96,
});
export type Vote = ValueOf<typeof VoteType>;

export function nullifySubject(epoch: Epoch, view: View): Subject {
  return { kind: VoteKind.nullify, epoch, view, parentView: 0 as View, blockHash: ZERO32 };
}

/** Whether kind and fields agree: nothing but zeros in a nullify, a known kind. */
export function isSubject(subject: Subject): boolean {
  if (subject.view < 1) return false;
  if (subject.kind === VoteKind.nullify)
    return subject.parentView === 0 && equalBytes(subject.blockHash, ZERO32);
  return (
    (subject.kind === VoteKind.notarize || subject.kind === VoteKind.finalize) &&
    subject.parentView < subject.view
  );
}

export function sameSubject(a: Subject, b: Subject): boolean {
  return (
    a.kind === b.kind &&
    a.epoch === b.epoch &&
    a.view === b.view &&
    a.parentView === b.parentView &&
    equalBytes(a.blockHash, b.blockHash)
  );
}

/** The 32 bytes that a vote signs. `chain` is the chain's 32-byte tag. */
export function signingRoot(chain: Uint8Array, subject: Subject): Uint8Array {
  return hash(
    "vote",
    chain,
    new Uint8Array([subject.kind]),
    uint64Bytes(subject.epoch),
    uint64Bytes(subject.view),
    uint64Bytes(subject.parentView),
    subject.blockHash,
  );
}

/** The 32 bytes that a proposer signs for the beacon: unique for each (epoch, view). */
export function revealRoot(chain: Uint8Array, epoch: Epoch, view: View): Uint8Array {
  return hash(
    "vote",
    chain,
    new Uint8Array([VoteKind.reveal]),
    uint64Bytes(epoch),
    uint64Bytes(view),
    uint64Bytes(0),
    ZERO32,
  );
}

/** What a validator signs to show that it holds its BLS key: without it, keys may not be aggregated. */
export function possessionRoot(chain: Uint8Array, blsKey: Uint8Array): Uint8Array {
  return hash("possession", chain, blsKey);
}

/**
 * Evidence: what no honest validator signs twice. Two votes of one signer, each verified on its own
 * (swapped signatures leave a sum valid), or two certificates that exclude each other: each sum proves
 * that all its signers took part, so whoever is in both equivocated. docs/protocol.md, "Evidence".
 *
 * Not evidence: notarize with nullify, duplicates, absence.
 */
import { ContainerType, UnionType } from "@chainsafe/ssz";
import { hash } from "../primitives/hash.ts";
import { type Certificate, CertificateType, signersOf } from "./certificate.ts";
import { decode, rootOf } from "./ssz.ts";
import { isSubject, type Subject, sameSubject, type Vote, VoteKind, VoteType } from "./vote.ts";

/** Pieces in a block. */
export const EVIDENCE_MAX = 16;

const VotePairType = new ContainerType({ first: VoteType, second: VoteType });
const CertificatePairType = new ContainerType({ first: CertificateType, second: CertificateType });
/** Selectors are places in this list: append only. */
export const EvidenceType = new UnionType([VotePairType, CertificatePairType]);

// The library's union loses which value belongs to which selector.
export type Evidence =
  | { readonly selector: 0; readonly value: { readonly first: Vote; readonly second: Vote } }
  | { readonly selector: 1; readonly value: { readonly first: Certificate; readonly second: Certificate } };

export type Offence = "conflicting-notarize" | "conflicting-finalize" | "nullify-finalize";

/** What signing both is; undefined if an honest validator may. */
export function offenceOf(first: Subject, second: Subject): Offence | undefined {
  if (!isSubject(first) || !isSubject(second)) return undefined;
  if (first.epoch !== second.epoch || first.view !== second.view) return undefined;
  const kinds = [first.kind, second.kind];
  if (kinds.includes(VoteKind.nullify)) {
    return kinds.includes(VoteKind.finalize) ? "nullify-finalize" : undefined;
  }
  if (first.kind !== second.kind || sameSubject(first, second)) return undefined;
  return first.kind === VoteKind.notarize ? "conflicting-notarize" : "conflicting-finalize";
}

/** Positions of those who signed both, ascending; empty for votes of different signers. */
export function culpritsOf({ selector, value }: Evidence): number[] {
  if (selector === 0) return value.first.signer === value.second.signer ? [value.first.signer] : [];
  const second = new Set(signersOf(value.second));
  return signersOf(value.first).filter((position) => second.has(position));
}

/** Names a piece of evidence in pools. */
export function evidenceId(evidence: Evidence): Uint8Array {
  return hash("evidence", rootOf(EvidenceType, evidence as never));
}

export const encodeEvidence = (evidence: Evidence): Uint8Array => EvidenceType.serialize(evidence as never);
export const decodeEvidence = (bytes: Uint8Array): Evidence | undefined =>
  decode(EvidenceType, bytes) as Evidence | undefined;

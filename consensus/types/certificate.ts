/**
 * Certificates: a subject, who signed it, and the sum of their signatures. Verification takes the
 * BLS function as an argument, so that a browser can pass another one.
 */
import { BitArray, ContainerType, ListCompositeType, type ValueOf } from "@chainsafe/ssz";
import { Bytes96, SignersType } from "./ssz.ts";
import type { ValidatorSet } from "./validator-set.ts";
import { weightOf } from "./validator-set.ts";
import { isSubject, type Subject, SubjectType, signingRoot } from "./vote.ts";

export const CertificateType = new ContainerType({
  subject: SubjectType,
  /** One bit a member of the epoch's set, in its order. */
  signers: SignersType,
  signature: Bytes96,
});
/** A notarization, a nullification or a finalization, by its subject's kind. */
export type Certificate = ValueOf<typeof CertificateType>;

/** None or one. */
export const OptionalCertificateType = new ListCompositeType(CertificateType, 1);

export type VerifyAggregate = (
  message: Uint8Array,
  keys: readonly Uint8Array[],
  signature: Uint8Array,
) => boolean;

export function signersOf(certificate: Certificate): number[] {
  const positions: number[] = [];
  for (let i = 0; i < certificate.signers.bitLen; i++) if (certificate.signers.get(i)) positions.push(i);
  return positions;
}

export function createCertificate(
  set: ValidatorSet,
  subject: Subject,
  positions: readonly number[],
  signature: Uint8Array,
): Certificate {
  const flags = set.members.map(() => false);
  for (const position of positions) flags[position] = true;
  return { subject, signers: BitArray.fromBoolArray(flags), signature };
}

/** Whether the certificate is of this set's epoch, carries a quorum of its weight, and its signature verifies. */
export function verifyCertificate(
  chain: Uint8Array,
  set: ValidatorSet,
  certificate: Certificate,
  verifyAggregate: VerifyAggregate,
): boolean {
  const { subject, signers, signature } = certificate;
  if (!isSubject(subject) || subject.epoch !== set.epoch || signers.bitLen !== set.members.length)
    return false;
  const positions = signersOf(certificate);
  if (weightOf(set, positions) < set.quorum) return false;
  const keys = positions.map((position) => set.members[position]?.blsKey ?? new Uint8Array(48));
  return verifyAggregate(signingRoot(chain, subject), keys, signature);
}

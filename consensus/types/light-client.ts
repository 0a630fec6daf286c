/**
 * The light client: follows validator sets by certificates alone and believes nothing else a node says.
 * Whoever knows the set of an epoch can check a finalization of any of its headers; the header's state
 * root proves the next epoch's set, an account, or that there is no such account; its body root proves
 * an included submission. The BLS function is an argument, so that a browser can pass its own.
 *
 * What is trusted at the start is the root of the genesis state, which is a chain's identity.
 * Total: whatever a node sends gives a value or a fault.
 */
import { ContainerType, ListCompositeType, type ValueOf } from "@chainsafe/ssz";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, equalBytes } from "../primitives/bytes.ts";
import { type Fault, fault } from "../primitives/faults.ts";
import { ACCOUNT_BUCKETS, type Account, AccountBucketType, bucketOf } from "./account.ts";
import { BodyType, blockHash, type Header, HeaderType, SUBMISSIONS_MAX } from "./block.ts";
import { CertificateType, type VerifyAggregate, verifyCertificate } from "./certificate.ts";
import { Bytes32, rootOf, uint16 } from "./ssz.ts";
import { nullifierOf, SubmissionType } from "./submission.ts";
import { createValidatorSet, SETS_KEPT, SetType, type ValidatorSet } from "./validator-set.ts";
import { VoteKind } from "./vote.ts";

/** Headers between the one that is asked about and the one that a finalization names. */
export const HEADERS_MAX = 256;
const BranchType = new ListCompositeType(Bytes32, 64);

/** A header, its descendants up to one that is finalized directly, and that finalization. */
export const FinalizedType = new ContainerType({
  headers: new ListCompositeType(HeaderType, HEADERS_MAX),
  finalization: CertificateType,
});
export type Finalized = ValueOf<typeof FinalizedType>;

/** A set and its branch to a state root. */
export const SetProofType = new ContainerType({ set: SetType, branch: BranchType });
/** The set of the epoch after the header's. */
export const EpochProofType = new ContainerType({ finalized: FinalizedType, next: SetProofType });
/** The whole bucket of an address, so that absence is proved as well. */
export const AccountProofType = new ContainerType({
  finalized: FinalizedType,
  accounts: AccountBucketType,
  branch: BranchType,
});
/** A submission at its place in a body. */
export const SubmissionProofType = new ContainerType({
  finalized: FinalizedType,
  index: uint16,
  submission: SubmissionType,
  branch: BranchType,
});
export type SetProof = ValueOf<typeof SetProofType>;
export type EpochProof = ValueOf<typeof EpochProofType>;
export type AccountProof = ValueOf<typeof AccountProofType>;
export type SubmissionProof = ValueOf<typeof SubmissionProofType>;

// Places in the state's tree (consensus/state/state.ts may not be imported here; a test holds them equal).
const STATE_WIDTH = 32;
const FIELD = { sets: 9, accounts: 11 } as const;

/** Generalized index of an epoch's set in the state. */
export const setGindex = (epoch: number): bigint =>
  BigInt(STATE_WIDTH + FIELD.sets) * BigInt(SETS_KEPT) + BigInt(epoch % SETS_KEPT);

/** Generalized index of an address's bucket in the state. */
export const accountGindex = (address: Uint8Array): bigint =>
  BigInt(STATE_WIDTH + FIELD.accounts) * BigInt(ACCOUNT_BUCKETS) + BigInt(bucketOf(address, ACCOUNT_BUCKETS));

/** Generalized index of a submission in a body. */
export const submissionGindex = (index: number): bigint =>
  BodyType.getPathInfo(["submissions", index]).gindex;

/** Whether a node of an SSZ tree has this root, by its siblings from below. */
export function isInTree(
  root: Uint8Array,
  gindex: bigint,
  leaf: Uint8Array,
  branch: readonly Uint8Array[],
): boolean {
  let at = gindex;
  let node = leaf;
  for (const sibling of branch) {
    if (at <= 1n) return false;
    node = sha256(at % 2n === 0n ? concatBytes(node, sibling) : concatBytes(sibling, node));
    at /= 2n;
  }
  return at === 1n && equalBytes(node, root);
}

export type LightOptions = {
  /** The chain's 32-byte tag. */
  readonly chain: Uint8Array;
  readonly verifyAggregate: VerifyAggregate;
};

/** The first of the headers, if the set finalized the last and they link up. */
export function verifyFinalized(
  set: ValidatorSet,
  { headers, finalization }: Finalized,
  { chain, verifyAggregate }: LightOptions,
): Header | Fault {
  const [header] = headers;
  if (header === undefined) return fault("light/finality", { problem: "no header" });
  for (const [i, at] of headers.entries()) {
    const below = headers[i - 1];
    if (at.epoch !== set.epoch) return fault("light/finality", { epoch: at.epoch, expected: set.epoch });
    if (below !== undefined && !equalBytes(at.parentHash, blockHash(below)))
      return fault("light/finality", { problem: "headers that do not link up", height: at.height });
  }
  const { kind, blockHash: certified } = finalization.subject;
  const top = headers.at(-1) ?? header;
  if (kind !== VoteKind.finalize || !equalBytes(certified, blockHash(top)))
    return fault("light/finality", { problem: "a certificate of something else" });
  if (!verifyCertificate(chain, set, finalization, verifyAggregate))
    return fault("light/finality", { problem: "a certificate that does not verify", height: top.height });
  return header;
}

/** A set, if it is the one of this epoch under this state root. */
export function verifySet(
  stateRoot: Uint8Array,
  epoch: number,
  { set, branch }: SetProof,
): ValidatorSet | Fault {
  if (set.epoch !== epoch || set.members.length === 0)
    return fault("light/branch", { problem: "the set of another epoch", epoch: set.epoch });
  if (!isInTree(stateRoot, setGindex(epoch), SetType.hashTreeRoot(set), branch))
    return fault("light/branch", { problem: "a set that is not under the state root", epoch });
  return createValidatorSet(set.epoch, set.members, set.seed);
}

/** The set of the epoch after `set`'s. Repeated, it leads from genesis to any epoch. */
export function nextSet(set: ValidatorSet, proof: EpochProof, options: LightOptions): ValidatorSet | Fault {
  const header = verifyFinalized(set, proof.finalized, options);
  return "code" in header ? header : verifySet(header.stateRoot, set.epoch + 1, proof.next);
}

export type ProvenAccount = {
  readonly header: Header;
  /** Undefined: at this header there is no such account. */
  readonly account: Account | undefined;
};

export function verifyAccount(
  set: ValidatorSet,
  address: Uint8Array,
  { finalized, accounts, branch }: AccountProof,
  options: LightOptions,
): ProvenAccount | Fault {
  const header = verifyFinalized(set, finalized, options);
  if ("code" in header) return header;
  const leaf = AccountBucketType.hashTreeRoot(accounts);
  if (!isInTree(header.stateRoot, accountGindex(address), leaf, branch))
    return fault("light/branch", { problem: "a bucket that is not under the state root" });
  return { header, account: accounts.find((it) => equalBytes(it.address, address)) };
}

/** The header of the final block that includes a submission with this nullifier. */
export function verifySubmission(
  set: ValidatorSet,
  nullifier: Uint8Array,
  { finalized, index, submission, branch }: SubmissionProof,
  options: LightOptions,
): Header | Fault {
  const header = verifyFinalized(set, finalized, options);
  if ("code" in header) return header;
  if (!equalBytes(nullifierOf(submission), nullifier))
    return fault("light/branch", { problem: "another submission" });
  const isIn =
    index < SUBMISSIONS_MAX &&
    isInTree(header.bodyRoot, submissionGindex(index), rootOf(SubmissionType, submission), branch);
  return isIn ? header : fault("light/branch", { problem: "a submission that is not in the body" });
}

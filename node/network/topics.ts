/**
 * What is gossiped: a closed list of topics, each with one SSZ type, a limit and strict decoding. Used by
 * gossip.ts, which sends and receives, and by whoever judges the messages (node/node.ts).
 */
import { createHash } from "node:crypto";
import { type ByteViews, ContainerType, ListCompositeType, type ValueOf } from "@chainsafe/ssz";
import { equalBytes } from "../../consensus/primitives/bytes.ts";
import type { FaultCode } from "../../consensus/primitives/faults.ts";
import { HeaderType } from "../../consensus/types/block.ts";
import { CertificateType } from "../../consensus/types/certificate.ts";
import { type Evidence, EvidenceType } from "../../consensus/types/evidence.ts";
import { decode } from "../../consensus/types/ssz.ts";
import { type Submission, SubmissionType, submissionContentRoot } from "../../consensus/types/submission.ts";
import { type Transaction, TransactionType } from "../../consensus/types/transaction.ts";

/** A finalized block's header, and a finalization of it: all that a follower needs to know that there is more. */
const FinalizedHeaderType = new ContainerType({ header: HeaderType, certificate: CertificateType });
export type FinalizedHeader = ValueOf<typeof FinalizedHeaderType>;

/** A larger one has no encoding. As many as of one peer are judged at once (gossip-queue.ts). */
export const BUNDLE_MAX = 32;
/**
 * Each has memory of its own: what {@link decode} gives are views of one piece, and of a bundle's submissions a
 * pool may hold a single one for long, which must not hold the others' bytes.
 */
class OwnMemoryType extends ContainerType<typeof SubmissionType.fields> {
  override value_deserializeFromBytes({ uint8Array }: ByteViews, start: number, end: number): Submission {
    const own = uint8Array.slice(start, end);
    const views = { uint8Array: own, dataView: new DataView(own.buffer) };
    return super.value_deserializeFromBytes(views, 0, own.length, true);
  }
}
/** Submissions that whoever made the bundle found valid, all of them: see node/bundles.ts. */
const BundleType = new ListCompositeType(new OwnMemoryType(SubmissionType.fields), BUNDLE_MAX);

export type GossipMessage =
  | { readonly topic: "transactions"; readonly value: Transaction }
  | { readonly topic: "submissions"; readonly value: readonly Submission[] }
  | { readonly topic: "headers"; readonly value: FinalizedHeader }
  | { readonly topic: "evidence"; readonly value: Evidence };
export type Topic = GossipMessage["topic"];

type Codec = { serialize(value: unknown): Uint8Array };
const KIB = 1024;

type TopicRule = {
  /** In the topic's id: it rises when the message's type changes, and nodes of two versions do not hear each other. */
  readonly version: number;
  readonly type: Parameters<typeof decode>[0];
  readonly bytesMax: number;
  /** What a message is that does not decode. */
  readonly malformed: FaultCode;
  /** What the type does not say. */
  isWellFormed?(value: unknown): boolean;
};

/** The same all over. Their roots cost much more than to look at their signatures, which all honest ones differ in. */
const isSame = (one: Submission, other: Submission): boolean =>
  equalBytes(one.signature, other.signature) &&
  equalBytes(submissionContentRoot(one), submissionContentRoot(other));
/** Of a signature: those of honest submissions hardly ever share it. */
const startOf = ({ signature }: Submission): number =>
  ((signature[0] ?? 0) << 16) | ((signature[1] ?? 0) << 8) | (signature[2] ?? 0);
/** Something, and nothing twice: each member is judged, counted and charged once. */
const isBundle = (value: unknown): boolean => {
  const bundle = value as readonly Submission[]; // what the topic's type has decoded
  if (new Set(bundle.map(startOf)).size === bundle.length) return bundle.length > 0;
  return !bundle.some((it, at) => bundle.slice(0, at).some((other) => isSame(it, other)));
};

export const TOPICS: Readonly<Record<Topic, TopicRule>> = {
  /** A holdout reveal of 64 slices is 94 kB. */
  transactions: {
    version: 1,
    type: TransactionType,
    bytesMax: 128 * KIB,
    malformed: "transaction/malformed",
  },
  /** A bundle: one is about 700 bytes with few outputs, 34 kB with all. */
  submissions: {
    version: 2,
    type: BundleType,
    bytesMax: 64 * KIB,
    malformed: "submission/malformed",
    isWellFormed: isBundle,
  },
  headers: { version: 1, type: FinalizedHeaderType, bytesMax: 2 * KIB, malformed: "block/malformed" },
  evidence: { version: 1, type: EvidenceType, bytesMax: 4 * KIB, malformed: "evidence/malformed" },
};
export const TOPIC_NAMES = Object.keys(TOPICS) as readonly Topic[];

export const topicId = (chainId: string, topic: Topic): string =>
  `/zkp/${chainId}/${topic}/${TOPICS[topic].version}`;

/** How many objects a message holds. */
export const objectsIn = ({ topic, value }: GossipMessage): number =>
  topic === "submissions" ? value.length : 1;

/** What a submission takes in a bundle: itself, and where it begins. */
export const bytesInBundle = (submission: Submission): number =>
  4 + SubmissionType.value_serializedSize(submission);

/** Undefined for what is no topic of this chain. */
export const topicOf = (chainId: string, id: string): Topic | undefined =>
  TOPIC_NAMES.find((topic) => topicId(chainId, topic) === id);

export const encodeGossip = ({ topic, value }: GossipMessage): Uint8Array =>
  (TOPICS[topic].type as Codec).serialize(value);

/** Undefined if it is too large, not the topic's one encoding, or no bundle. Holds none of the memory of what is given. */
export function decodeGossip(topic: Topic, bytes: Uint8Array): GossipMessage | undefined {
  const { type, bytesMax, isWellFormed = () => true } = TOPICS[topic];
  if (bytes.length > bytesMax) return undefined;
  const value = decode(type, bytes);
  return value === undefined || !isWellFormed(value) ? undefined : ({ topic, value } as GossipMessage);
}

/** A message is known by its topic and content alone: gossip carries no sender and no number. */
export function messageId(topicOfMessage: string, data: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(topicOfMessage).update("\n").update(data).digest());
}

/**
 * What is gossiped: a closed list of topics, each with one SSZ type, a limit and strict decoding. Used by
 * gossip.ts, which sends and receives, and by whoever judges the messages (node/node.ts).
 */
import { createHash } from "node:crypto";
import { ContainerType, type ValueOf } from "@chainsafe/ssz";
import type { FaultCode } from "../../consensus/primitives/faults.ts";
import { HeaderType } from "../../consensus/types/block.ts";
import { CertificateType } from "../../consensus/types/certificate.ts";
import { type Evidence, EvidenceType } from "../../consensus/types/evidence.ts";
import { decode } from "../../consensus/types/ssz.ts";
import { type Submission, SubmissionType } from "../../consensus/types/submission.ts";
import { type Transaction, TransactionType } from "../../consensus/types/transaction.ts";

/** A finalized block's header, and a finalization of it: all that a follower needs to know that there is more. */
const FinalizedHeaderType = new ContainerType({ header: HeaderType, certificate: CertificateType });
export type FinalizedHeader = ValueOf<typeof FinalizedHeaderType>;

export type GossipMessage =
  | { readonly topic: "transactions"; readonly value: Transaction }
  | { readonly topic: "submissions"; readonly value: Submission }
  | { readonly topic: "headers"; readonly value: FinalizedHeader }
  | { readonly topic: "evidence"; readonly value: Evidence };
export type Topic = GossipMessage["topic"];

type Codec = { serialize(value: unknown): Uint8Array };
const KIB = 1024;

type TopicRule = {
  readonly type: Parameters<typeof decode>[0];
  readonly bytesMax: number;
  /** What a message is that does not decode. */
  readonly malformed: FaultCode;
};

export const TOPICS: Readonly<Record<Topic, TopicRule>> = {
  /** A holdout reveal of 64 slices is 94 kB. */
  transactions: { type: TransactionType, bytesMax: 128 * KIB, malformed: "transaction/malformed" },
  /** 34 kB with all outputs. */
  submissions: { type: SubmissionType, bytesMax: 64 * KIB, malformed: "submission/malformed" },
  headers: { type: FinalizedHeaderType, bytesMax: 2 * KIB, malformed: "block/malformed" },
  evidence: { type: EvidenceType, bytesMax: 4 * KIB, malformed: "evidence/malformed" },
};
export const TOPIC_NAMES = Object.keys(TOPICS) as readonly Topic[];

export const topicId = (chainId: string, topic: Topic): string => `/zkp/${chainId}/${topic}/1`;

/** Undefined for what is no topic of this chain. */
export const topicOf = (chainId: string, id: string): Topic | undefined =>
  TOPIC_NAMES.find((topic) => topicId(chainId, topic) === id);

export const encodeGossip = ({ topic, value }: GossipMessage): Uint8Array =>
  (TOPICS[topic].type as Codec).serialize(value);

/** Undefined if it is too large or not the topic's one encoding. */
export function decodeGossip(topic: Topic, bytes: Uint8Array): GossipMessage | undefined {
  const { type, bytesMax } = TOPICS[topic];
  if (bytes.length > bytesMax) return undefined;
  const value = decode(type, bytes);
  return value === undefined ? undefined : ({ topic, value } as GossipMessage);
}

/** A message is known by its topic and content alone: gossip carries no sender and no number. */
export function messageId(topicOfMessage: string, data: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(topicOfMessage).update("\n").update(data).digest());
}

/**
 * What nodes say to each other unasked: one SSZ type a protocol, decoded strictly. Messages travel in
 * frames (frames.ts) whose limits stand here. Questions and answers are in requests.ts. Used by network.ts.
 */
import { ContainerType, UnionType, type ValueOf } from "@chainsafe/ssz";
import { type Certificate, CertificateType } from "../../consensus/types/certificate.ts";
import { Bytes48, Bytes96, decode } from "../../consensus/types/ssz.ts";
import { type Vote, VoteType } from "../../consensus/types/vote.ts";

const KIB = 1024;
/** The largest frame of each protocol; what is larger closes the stream before it is read. */
export const FRAME_BYTES_MAX = {
  votes: 4 * KIB,
  /** A block of 2 MiB and 256 nullifications. */
  blocks: 2560 * KIB,
  request: 1 * KIB,
  response: 2560 * KIB,
} as const;

/** Binds the sender's libp2p identity to a validator's key; the first message on a validator's votes stream. */
export const HelloType = new ContainerType({ blsKey: Bytes48, signature: Bytes96 });
export type Hello = ValueOf<typeof HelloType>;

// The library's unions lose which value belongs to which selector, so each has its own type here and
// is cast where it is encoded and decoded. Selectors are places in the lists: append only.
const VotesUnion = new UnionType([HelloType, VoteType, CertificateType]);
export type VotesMessage =
  | { readonly selector: 0; readonly value: Hello }
  | { readonly selector: 1; readonly value: Vote }
  | { readonly selector: 2; readonly value: Certificate };

type Encodable<T> = { serialize(value: T): Uint8Array };
export const encoder =
  <T>(type: unknown) =>
  (value: T): Uint8Array =>
    (type as Encodable<T>).serialize(value);

export const encodeVotesMessage = encoder<VotesMessage>(VotesUnion);
export const decodeVotesMessage = (bytes: Uint8Array): VotesMessage | undefined =>
  decode(VotesUnion, bytes) as VotesMessage | undefined;

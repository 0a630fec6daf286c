/**
 * What nodes say to each other: one SSZ type a protocol, decoded strictly. Messages travel in frames
 * (frames.ts) whose limits stand here. Used by network.ts and sync.ts; the node's chain layer sees
 * only {@link Request} and {@link Response}.
 */
import { ContainerType, ListCompositeType, NoneType, UnionType, type ValueOf } from "@chainsafe/ssz";
import type { Epoch, Height, View } from "../../consensus/primitives/units.ts";
import { type Block, BlockType } from "../../consensus/types/block.ts";
import {
  type Certificate,
  CertificateType,
  OptionalCertificateType,
} from "../../consensus/types/certificate.ts";
import { type Evidence, EvidenceType } from "../../consensus/types/evidence.ts";
import {
  Bytes32,
  Bytes48,
  Bytes96,
  decode,
  EpochType,
  HeightType,
  uint16,
  uint32,
  ViewType,
} from "../../consensus/types/ssz.ts";
import { type Submission, SubmissionType } from "../../consensus/types/submission.ts";
import { type Transaction, TransactionType } from "../../consensus/types/transaction.ts";
import { type Vote, VoteType } from "../../consensus/types/vote.ts";
import {
  type Parts,
  type PartsRequest,
  PartsRequestType,
  PartsType,
  partsRequestOf,
  partsRequestValue,
} from "./compact.ts";

const KIB = 1024;
/** The largest frame of each protocol; what is larger closes the stream before it is read. */
export const FRAME_BYTES_MAX = {
  votes: 4 * KIB,
  /** A block of 2 MiB and 256 nullifications. */
  blocks: 2560 * KIB,
  /** A holdout reveal of 64 slices is 94 kB, a submission with all its outputs 34 kB. */
  pool: 128 * KIB,
  request: 1 * KIB,
  response: 2560 * KIB,
} as const;

/** Whoever answers stops adding blocks or certificates here; the first block is always sent whole. */
export const RESPONSE_BYTES_MAX = 2 * 1024 * KIB;
export const BLOCKS_PER_RESPONSE_MAX = 128;
export const CERTIFICATES_PER_RESPONSE_MAX = 256;

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

const PoolUnion = new UnionType([TransactionType, SubmissionType, EvidenceType]);
export type PoolMessage =
  | { readonly selector: 0; readonly value: Transaction }
  | { readonly selector: 1; readonly value: Submission }
  | { readonly selector: 2; readonly value: Evidence };

type Encodable<T> = { serialize(value: T): Uint8Array };
const encoder =
  <T>(type: unknown) =>
  (value: T): Uint8Array =>
    (type as Encodable<T>).serialize(value);

export const encodeVotesMessage = encoder<VotesMessage>(VotesUnion);
export const decodeVotesMessage = (bytes: Uint8Array): VotesMessage | undefined =>
  decode(VotesUnion, bytes) as VotesMessage | undefined;
export const encodePoolMessage = encoder<PoolMessage>(PoolUnion);
export const decodePoolMessage = (bytes: Uint8Array): PoolMessage | undefined =>
  decode(PoolUnion, bytes) as PoolMessage | undefined;

export type Request =
  /** How far the peer is. */
  | { readonly kind: "tip" }
  /** Final blocks, ascending. */
  | { readonly kind: "blocks"; readonly fromHeight: Height; readonly count: number }
  /** Any block that the peer knows, final or speculative. */
  | { readonly kind: "block-by-hash"; readonly hash: Uint8Array }
  /** Certificates of all kinds, both ends included, ascending. */
  | { readonly kind: "certificates"; readonly epoch: Epoch; readonly fromView: View; readonly toView: View }
  /** Parts of a block that the peer has proposed. */
  | ({ readonly kind: "parts" } & PartsRequest);

export type Response =
  | {
      readonly kind: "tip";
      readonly height: Height;
      readonly epoch: Epoch;
      readonly finalizedHash: Uint8Array;
    }
  /** `certificate` is a finalization of the last block, where the peer has one. */
  | {
      readonly kind: "blocks";
      readonly blocks: readonly Block[];
      readonly certificate: Certificate | undefined;
    }
  | { readonly kind: "block-by-hash"; readonly block: Block | undefined }
  | { readonly kind: "certificates"; readonly certificates: readonly Certificate[] }
  /** In the order asked for, all of them. */
  | ({ readonly kind: "parts" } & Parts);

export type ResponseTo<R extends Request> = Extract<Response, { kind: R["kind"] }>;

const NOTHING = new NoneType();
const BlocksRequestType = new ContainerType({ fromHeight: HeightType, count: uint16 });
const BlockRequestType = new ContainerType({ hash: Bytes32 });
const CertificatesRequestType = new ContainerType({ epoch: EpochType, fromView: ViewType, toView: ViewType });
const RequestFrameType = new ContainerType({
  /** Chosen by whoever asks, repeated in the answer. */
  id: uint32,
  body: new UnionType([
    NOTHING,
    BlocksRequestType,
    BlockRequestType,
    CertificatesRequestType,
    PartsRequestType,
  ]),
});
type RequestBody =
  | { readonly selector: 0; readonly value: null }
  | { readonly selector: 1; readonly value: ValueOf<typeof BlocksRequestType> }
  | { readonly selector: 2; readonly value: ValueOf<typeof BlockRequestType> }
  | { readonly selector: 3; readonly value: ValueOf<typeof CertificatesRequestType> }
  | { readonly selector: 4; readonly value: ReturnType<typeof partsRequestValue> };

const TipType = new ContainerType({ height: HeightType, epoch: EpochType, finalizedHash: Bytes32 });
const BlocksType = new ContainerType({
  blocks: new ListCompositeType(BlockType, BLOCKS_PER_RESPONSE_MAX),
  certificate: OptionalCertificateType,
});
const OptionalBlockType = new ContainerType({ block: new ListCompositeType(BlockType, 1) });
const CertificatesType = new ContainerType({
  certificates: new ListCompositeType(CertificateType, CERTIFICATES_PER_RESPONSE_MAX),
});
const ResponseFrameType = new ContainerType({
  id: uint32,
  /** Selector 0: no answer. */
  body: new UnionType([NOTHING, TipType, BlocksType, OptionalBlockType, CertificatesType, PartsType]),
});
type ResponseBody =
  | { readonly selector: 0; readonly value: null }
  | { readonly selector: 1; readonly value: ValueOf<typeof TipType> }
  | { readonly selector: 2; readonly value: { blocks: Block[]; certificate: Certificate[] } }
  | { readonly selector: 3; readonly value: { block: Block[] } }
  | { readonly selector: 4; readonly value: { certificates: Certificate[] } }
  | { readonly selector: 5; readonly value: Parts };

type Framed<T> = { readonly id: number; readonly body: T };
const encodeRequestFrame = encoder<Framed<RequestBody>>(RequestFrameType);
const encodeResponseFrame = encoder<Framed<ResponseBody>>(ResponseFrameType);

export function encodeRequest(id: number, request: Request): Uint8Array {
  switch (request.kind) {
    case "tip":
      return encodeRequestFrame({ id, body: { selector: 0, value: null } });
    case "blocks":
      return encodeRequestFrame({ id, body: { selector: 1, value: request } });
    case "block-by-hash":
      return encodeRequestFrame({ id, body: { selector: 2, value: request } });
    case "certificates":
      return encodeRequestFrame({ id, body: { selector: 3, value: request } });
    case "parts":
      return encodeRequestFrame({ id, body: { selector: 4, value: partsRequestValue(request) } });
  }
}

export function decodeRequest(bytes: Uint8Array): { id: number; request: Request } | undefined {
  const frame = decode(RequestFrameType, bytes) as Framed<RequestBody> | undefined;
  if (frame === undefined) return undefined;
  const { id, body } = frame;
  switch (body.selector) {
    case 0:
      return { id, request: { kind: "tip" } };
    case 1:
      return { id, request: { kind: "blocks", ...body.value } };
    case 2:
      return { id, request: { kind: "block-by-hash", ...body.value } };
    case 3:
      return { id, request: { kind: "certificates", ...body.value } };
    case 4:
      return { id, request: { kind: "parts", ...partsRequestOf(body.value) } };
  }
}

export function encodeResponse(id: number, response: Response | undefined): Uint8Array {
  switch (response?.kind) {
    case undefined:
      return encodeResponseFrame({ id, body: { selector: 0, value: null } });
    case "tip":
      return encodeResponseFrame({ id, body: { selector: 1, value: response } });
    case "blocks": {
      const certificate = response.certificate === undefined ? [] : [response.certificate];
      return encodeResponseFrame({
        id,
        body: { selector: 2, value: { blocks: [...response.blocks], certificate } },
      });
    }
    case "block-by-hash": {
      const block = response.block === undefined ? [] : [response.block];
      return encodeResponseFrame({ id, body: { selector: 3, value: { block } } });
    }
    case "certificates":
      return encodeResponseFrame({
        id,
        body: { selector: 4, value: { certificates: [...response.certificates] } },
      });
    case "parts":
      return encodeResponseFrame({ id, body: { selector: 5, value: response } });
  }
}

/** `response` is undefined where the peer has no answer; the whole is undefined where the bytes are malformed. */
export function decodeResponse(
  bytes: Uint8Array,
): { id: number; response: Response | undefined } | undefined {
  const frame = decode(ResponseFrameType, bytes) as Framed<ResponseBody> | undefined;
  if (frame === undefined) return undefined;
  const { id, body } = frame;
  switch (body.selector) {
    case 0:
      return { id, response: undefined };
    case 1:
      return { id, response: { kind: "tip", ...body.value } };
    case 2:
      return {
        id,
        response: { kind: "blocks", blocks: body.value.blocks, certificate: body.value.certificate[0] },
      };
    case 3:
      return { id, response: { kind: "block-by-hash", block: body.value.block[0] } };
    case 4:
      return { id, response: { kind: "certificates", ...body.value } };
    case 5:
      return { id, response: { kind: "parts", ...body.value } };
  }
}

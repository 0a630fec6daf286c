/**
 * Questions and answers between nodes, in SSZ, decoded strictly. Framed and matched by sync.ts; asked and
 * answered by node/catch-up/, which verifies what it is told. Every answer keeps to
 * {@link RESPONSE_BYTES_MAX}, but for a single block that is larger with what surrounds it.
 */
import { ByteListType, ContainerType, ListCompositeType, NoneType, UnionType } from "@chainsafe/ssz";
import type { Epoch, Height, View } from "../../consensus/primitives/units.ts";
import { type Block, BlockType, type Header, HeaderType } from "../../consensus/types/block.ts";
import {
  type Certificate,
  CertificateType,
  OptionalCertificateType,
} from "../../consensus/types/certificate.ts";
import { type EpochProof, EpochProofType } from "../../consensus/types/light-client.ts";
import {
  Bytes32,
  decode,
  EpochType,
  HeightType,
  uint16,
  uint32,
  ViewType,
} from "../../consensus/types/ssz.ts";
import { CHUNK_BYTES, type Manifest, ManifestType } from "../store/manifest.ts";
import {
  type Parts,
  type PartsRequest,
  PartsRequestType,
  PartsType,
  partsRequestOf,
  partsRequestValue,
} from "./compact.ts";
import { encoder } from "./messages.ts";

/** Whoever answers stops adding here; the first block is always sent whole. */
export const RESPONSE_BYTES_MAX = 2 * 1024 * 1024;
export const BLOCKS_PER_RESPONSE_MAX = 128;
export const CERTIFICATES_PER_RESPONSE_MAX = 256;
export const HEADERS_PER_RESPONSE_MAX = 256;
/** A set of 128 seats with its branch has 9 KB. */
export const BOUNDARIES_PER_RESPONSE_MAX = 64;

export type Request =
  /** How far the peer is. */
  | { readonly kind: "tip" }
  /** Final blocks, ascending. */
  | { readonly kind: "blocks"; readonly fromHeight: Height; readonly count: number }
  /** Any block that the peer knows, final or speculative. */
  | { readonly kind: "block-by-hash"; readonly hash: Uint8Array }
  /** Certificates of all kinds, both ends included, ascending. */
  | { readonly kind: "certificates"; readonly epoch: Epoch; readonly fromView: View; readonly toView: View }
  /** The lowest block at or above a height, of its epoch, that was finalized directly. */
  | { readonly kind: "finalization"; readonly fromHeight: Height }
  /** Headers of final blocks, descending. */
  | { readonly kind: "headers"; readonly toHeight: Height; readonly count: number }
  /** The last blocks of epochs, their finalizations, and the sets that follow, ascending. */
  | { readonly kind: "epoch-boundaries"; readonly fromEpoch: Epoch; readonly count: number }
  /** Of the state after the block at this height, the last of an epoch. */
  | { readonly kind: "snapshot"; readonly height: Height }
  | { readonly kind: "snapshot-chunk"; readonly height: Height; readonly index: number }
  /** Parts of a block that the peer has proposed. */
  | ({ readonly kind: "parts" } & PartsRequest);

export type Response =
  | {
      readonly kind: "tip";
      readonly height: Height;
      readonly epoch: Epoch;
      readonly finalizedHash: Uint8Array;
      /** From here on the peer has all final blocks. */
      readonly lowestHeight: Height;
    }
  /** `certificate` is a finalization of the last block. Without one, no block of the answer has any. */
  | {
      readonly kind: "blocks";
      readonly blocks: readonly Block[];
      readonly certificate: Certificate | undefined;
    }
  | { readonly kind: "block-by-hash"; readonly block: Block | undefined }
  | { readonly kind: "certificates"; readonly certificates: readonly Certificate[] }
  | { readonly kind: "finalization"; readonly header: Header; readonly certificate: Certificate }
  | { readonly kind: "headers"; readonly headers: readonly Header[] }
  | { readonly kind: "epoch-boundaries"; readonly proofs: readonly EpochProof[] }
  | { readonly kind: "snapshot"; readonly manifest: Manifest }
  | { readonly kind: "snapshot-chunk"; readonly data: Uint8Array }
  /** In the order asked for, all of them. */
  | ({ readonly kind: "parts" } & Parts);

export type ResponseTo<R extends Request> = Extract<Response, { kind: R["kind"] }>;

// Selectors are places in the lists: append only.
const NOTHING = new NoneType();
const REQUESTS = [
  ["tip", NOTHING],
  ["blocks", new ContainerType({ fromHeight: HeightType, count: uint16 })],
  ["block-by-hash", new ContainerType({ hash: Bytes32 })],
  ["certificates", new ContainerType({ epoch: EpochType, fromView: ViewType, toView: ViewType })],
  ["finalization", new ContainerType({ fromHeight: HeightType })],
  ["headers", new ContainerType({ toHeight: HeightType, count: uint16 })],
  ["epoch-boundaries", new ContainerType({ fromEpoch: EpochType, count: uint16 })],
  ["snapshot", new ContainerType({ height: HeightType })],
  ["snapshot-chunk", new ContainerType({ height: HeightType, index: uint16 })],
  ["parts", PartsRequestType],
] as const;

const BlocksType = new ContainerType({
  blocks: new ListCompositeType(BlockType, BLOCKS_PER_RESPONSE_MAX),
  certificate: OptionalCertificateType,
});
const OptionalBlockType = new ContainerType({ block: new ListCompositeType(BlockType, 1) });
const RESPONSES = [
  ["none", NOTHING],
  [
    "tip",
    new ContainerType({
      height: HeightType,
      epoch: EpochType,
      finalizedHash: Bytes32,
      lowestHeight: HeightType,
    }),
  ],
  ["blocks", BlocksType],
  ["block-by-hash", OptionalBlockType],
  [
    "certificates",
    new ContainerType({
      certificates: new ListCompositeType(CertificateType, CERTIFICATES_PER_RESPONSE_MAX),
    }),
  ],
  ["finalization", new ContainerType({ header: HeaderType, certificate: CertificateType })],
  ["headers", new ContainerType({ headers: new ListCompositeType(HeaderType, HEADERS_PER_RESPONSE_MAX) })],
  [
    "epoch-boundaries",
    new ContainerType({ proofs: new ListCompositeType(EpochProofType, BOUNDARIES_PER_RESPONSE_MAX) }),
  ],
  ["snapshot", new ContainerType({ manifest: ManifestType })],
  ["snapshot-chunk", new ContainerType({ data: new ByteListType(CHUNK_BYTES) })],
  ["parts", PartsType],
] as const;

// The library's unions lose which value belongs to which selector: cast where they are encoded and decoded.
/** Chosen by whoever asks, and repeated in the answer. */
const RequestFrameType = new ContainerType({
  id: uint32,
  body: new UnionType(REQUESTS.map(([, type]) => type)),
});
const ResponseFrameType = new ContainerType({
  id: uint32,
  body: new UnionType(RESPONSES.map(([, type]) => type)),
});

type Body = { readonly selector: number; readonly value: unknown };
type Frame = { readonly id: number; readonly body: Body };
const encodeRequestFrame = encoder<Frame>(RequestFrameType);
const encodeResponseFrame = encoder<Frame>(ResponseFrameType);

const selectorOf = (table: readonly (readonly [string, unknown])[], kind: string): number =>
  table.findIndex(([name]) => name === kind);

function askedOf(request: Request): unknown {
  switch (request.kind) {
    case "tip":
      return null;
    case "parts":
      return partsRequestValue(request);
    default:
      return request;
  }
}

export function encodeRequest(id: number, request: Request): Uint8Array {
  const selector = selectorOf(REQUESTS, request.kind);
  return encodeRequestFrame({ id, body: { selector, value: askedOf(request) } });
}

export function decodeRequest(bytes: Uint8Array): { id: number; request: Request } | undefined {
  const frame = decode(RequestFrameType, bytes) as Frame | undefined;
  const [kind] = REQUESTS[frame?.body.selector ?? -1] ?? [];
  if (frame === undefined || kind === undefined) return undefined;
  if (kind === "parts") {
    const value = frame.body.value as ReturnType<typeof partsRequestValue>;
    return { id: frame.id, request: { kind, ...partsRequestOf(value) } };
  }
  return { id: frame.id, request: { kind, ...(frame.body.value as object | null) } as Request };
}

/** What none or one of is, as the list that SSZ has for it. */
const listOf = <T>(it: T | undefined): T[] => (it === undefined ? [] : [it]);

function encodable(response: Response | undefined): unknown {
  switch (response?.kind) {
    case undefined:
      return null;
    case "blocks":
      return { blocks: [...response.blocks], certificate: listOf(response.certificate) };
    case "block-by-hash":
      return { block: listOf(response.block) };
    default:
      return response;
  }
}

export function encodeResponse(id: number, response: Response | undefined): Uint8Array {
  const selector = selectorOf(RESPONSES, response?.kind ?? "none");
  return encodeResponseFrame({ id, body: { selector, value: encodable(response) } });
}

function responseOf({ selector, value }: Body): Response | undefined {
  const [kind] = RESPONSES[selector] ?? [];
  switch (kind) {
    case undefined:
    case "none":
      return undefined;
    case "blocks": {
      const { blocks, certificate } = value as { blocks: Block[]; certificate: Certificate[] };
      return { kind, blocks, certificate: certificate[0] };
    }
    case "block-by-hash":
      return { kind, block: (value as { block: Block[] }).block[0] };
    default:
      return { kind, ...(value as object) } as Response;
  }
}

/** `response` is undefined where the peer has no answer; the whole is undefined where the bytes are malformed. */
export function decodeResponse(
  bytes: Uint8Array,
): { id: number; response: Response | undefined } | undefined {
  const frame = decode(ResponseFrameType, bytes) as Frame | undefined;
  return frame === undefined ? undefined : { id: frame.id, response: responseOf(frame.body) };
}

/**
 * How the serialized state is cut into chunks, on disk and on the way to others, and the manifest that
 * names them. Equal states give equal manifests. Written by ops.ts, read by store.ts; the encoding is
 * that of the network's answers (network/requests.ts) as well.
 */
import { createHash } from "node:crypto";
import { ContainerType, ListCompositeType, type ValueOf } from "@chainsafe/ssz";
import { equalBytes } from "../../consensus/primitives/bytes.ts";
import { Bytes32, uint32 } from "../../consensus/types/ssz.ts";

/** What a slow line carries in a request's two seconds, four at a time. */
export const CHUNK_BYTES = 256 * 1024;
/** A snapshot of a state with some hundred thousand accounts. */
export const SNAPSHOT_BYTES_MAX = 256 * 1024 * 1024;
const CHUNKS_MAX = SNAPSHOT_BYTES_MAX / CHUNK_BYTES;

export const ManifestType = new ContainerType({
  /** Of the whole. */
  bytes: uint32,
  /** SHA-256 of each chunk; all but the last have {@link CHUNK_BYTES}. */
  chunks: new ListCompositeType(Bytes32, CHUNKS_MAX),
});
export type Manifest = ValueOf<typeof ManifestType>;

const digestOf = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash("sha256").update(bytes).digest());

export function chunksOf(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / CHUNK_BYTES) }, (_, i) =>
    bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES),
  );
}

export const manifestOf = (bytes: Uint8Array): Manifest => ({
  bytes: bytes.length,
  chunks: chunksOf(bytes).map(digestOf),
});

/** Whether a manifest of others is one: not empty, within the bound, as many chunks as its bytes need. */
export const isManifest = ({ bytes, chunks }: Manifest): boolean =>
  bytes > 0 && bytes <= SNAPSHOT_BYTES_MAX && chunks.length === Math.ceil(bytes / CHUNK_BYTES);

/** Whether these bytes are the manifest's chunk at this place. */
export function isChunk({ bytes, chunks }: Manifest, index: number, chunk: Uint8Array): boolean {
  const digest = chunks[index];
  const length = Math.min(CHUNK_BYTES, bytes - index * CHUNK_BYTES);
  return digest !== undefined && chunk.length === length && equalBytes(digestOf(chunk), digest);
}

/**
 * The state after an epoch's last block, from peers, in chunks. What decides is the state root in the
 * certified header; manifests and digests only say early which peer lies. Called by catch-up.ts.
 *
 * Honest nodes cut equal states into equal chunks, so peers with one manifest are asked together. The
 * smallest manifest comes first: whatever a liar makes us load before the truth is no larger than it.
 */
import { equalBytes, toHex } from "../../consensus/primitives/bytes.ts";
import { type Block, blockHash, bodyRoot } from "../../consensus/types/block.ts";
import type { Chain } from "../chain.ts";
import type { Log } from "../log.ts";
import { REQUESTS_AT_ONCE } from "../network/sync.ts";
import { CHUNK_BYTES, isChunk, isManifest, type Manifest, ManifestType } from "../store/manifest.ts";
import type { Asking } from "./asking.ts";
import type { Boundary } from "./boundaries.ts";

/** Different manifests that are tried for one boundary. */
const MANIFESTS_MAX = 8;

export type SnapshotComponents = {
  readonly chain: Pick<Chain, "adopt">;
  readonly log: Log;
  isStopped(): boolean;
  /** Chunks of so many are here. */
  onProgress(done: number, of: number): void;
};

type Offer = { readonly manifest: Manifest; readonly peerIds: string[] };

export function createSnapshots({ chain, log, isStopped, onProgress }: SnapshotComponents) {
  /** What peers offer of this height, the smallest first. */
  const offersOf = async ({ header }: Boundary, asking: Asking): Promise<Offer[]> => {
    const offers = new Map<string, Offer>();
    const askOne = async (peerId: string): Promise<void> => {
      const request = { kind: "snapshot", height: header.height } as const;
      const answer = await asking
        .among([peerId])
        .ask(request, ({ manifest }) => (isManifest(manifest) ? "right" : "wrong"));
      if (answer === undefined) return;
      const { manifest } = answer;
      const name = toHex(ManifestType.hashTreeRoot(manifest));
      const offer = offers.get(name) ?? { manifest, peerIds: [] as string[] };
      offer.peerIds.push(peerId);
      offers.set(name, offer);
    };
    await Promise.all(asking.peers().map(askOne));
    return [...offers.values()].sort((a, b) => a.manifest.bytes - b.manifest.bytes).slice(0, MANIFESTS_MAX);
  };

  /** All chunks of an offer, four at a time, from whoever made it. */
  const download = async (
    { header }: Boundary,
    { manifest, peerIds }: Offer,
    asking: Asking,
  ): Promise<Uint8Array | undefined> => {
    const whole = new Uint8Array(manifest.bytes);
    const count = manifest.chunks.length;
    const among = asking.among(peerIds);
    let next = 0;
    let done = 0;
    let isWhole = true;
    onProgress(0, count);
    const work = async (): Promise<void> => {
      while (isWhole && !isStopped() && next < count) {
        const index = next++;
        const chunk = await among.ask(
          { kind: "snapshot-chunk", height: header.height, index },
          ({ data }) => (isChunk(manifest, index, data) ? "right" : "wrong"),
          index,
        );
        if (chunk === undefined) {
          isWhole = false;
          return;
        }
        whole.set(chunk.data, index * CHUNK_BYTES);
        onProgress(++done, count);
      }
    };
    await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, work));
    return done === count ? whole : undefined;
  };

  const blockOf = async ({ hash }: Boundary, asking: Asking): Promise<Block | undefined> => {
    const answer = await asking.ask({ kind: "block-by-hash", hash }, ({ block }) => {
      if (block === undefined) return "nothing";
      const { header, body } = block;
      const isIt = equalBytes(blockHash(header), hash) && equalBytes(bodyRoot(body), header.bodyRoot);
      return isIt ? "right" : "wrong";
    });
    return answer?.block;
  };

  return {
    /** Puts the node where the boundary is; false if peers do not give what leads there. */
    async take(boundary: Boundary, asking: Asking): Promise<boolean> {
      const { height } = boundary.header;
      const offers = await offersOf(boundary, asking);
      const block = offers.length === 0 ? undefined : await blockOf(boundary, asking);
      if (block === undefined) return false;
      for (const offer of offers) {
        const bytes = await download(boundary, offer, asking);
        if (isStopped()) return false;
        if (bytes === undefined) continue;
        if ((await chain.adopt(block, boundary.certificate, bytes)) !== undefined) {
          log.info({ height, bytes: bytes.length }, "state taken from a snapshot");
          return true;
        }
        for (const peerId of offer.peerIds) asking.lies(peerId, "snapshot");
      }
      return false;
    },
  };
}

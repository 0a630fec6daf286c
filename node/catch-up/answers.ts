/**
 * What this node answers to others who catch up. Reads only, and no more than an answer may hold: whoever
 * asks much gets a part, and asks again. Made by node.ts for the network.
 */
import { epochOfHeight, type Params } from "../../consensus/primitives/params.ts";
import { Height } from "../../consensus/primitives/units.ts";
import { type Block, BlockType, type Header } from "../../consensus/types/block.ts";
import type { Certificate } from "../../consensus/types/certificate.ts";
import { type EpochProof, EpochProofType } from "../../consensus/types/light-client.ts";
import type { Chain } from "../chain.ts";
import { partsOf } from "../network/compact.ts";
import {
  BLOCKS_PER_RESPONSE_MAX,
  BOUNDARIES_PER_RESPONSE_MAX,
  HEADERS_PER_RESPONSE_MAX,
  RESPONSE_BYTES_MAX,
  type Request,
  type Response,
  type ResponseTo,
} from "../network/requests.ts";
import type { Store } from "../store/store.ts";

/** Blocks are read from disk for their headers alone, so that a question must not read too many. */
const HEADERS_READ_BYTES_MAX = 8 * 1024 * 1024;

type AnswerTo<Kind extends Request["kind"]> = ResponseTo<Extract<Request, { kind: Kind }>>;

/** The last height of the epoch that a height belongs to. */
const lastOfEpoch = (height: number, params: Params): number =>
  (epochOfHeight(height, params) + 1) * Number(params.epochHeights);

/**
 * Final blocks from a height, of one epoch, as many as fit: up to the last one that has its finalization,
 * or all of them if none has.
 */
function blocksFrom(store: Store, from: number, count: number, params: Params): AnswerTo<"blocks"> {
  const to = Math.min(
    store.head()?.height ?? 0,
    from + Math.min(count, BLOCKS_PER_RESPONSE_MAX) - 1,
    lastOfEpoch(from, params),
  );
  const blocks: Block[] = [];
  let certificate: Certificate | undefined;
  let covered = 0;
  let bytes = 0;
  for (let height = from; height <= to; height++) {
    const block = store.blockAt(Height(height));
    if (block === undefined) break;
    bytes += BlockType.value_serializedSize(block as never);
    if (bytes > RESPONSE_BYTES_MAX && blocks.length > 0) break;
    blocks.push(block);
    const finalization = store.finalizationAt(Height(height));
    if (finalization === undefined) continue;
    certificate = finalization;
    covered = blocks.length;
  }
  return { kind: "blocks", blocks: covered === 0 ? blocks : blocks.slice(0, covered), certificate };
}

async function finalizationFrom(
  store: Store,
  from: Height,
  params: Params,
): Promise<AnswerTo<"finalization"> | undefined> {
  const to = Math.min(store.head()?.height ?? 0, lastOfEpoch(from, params));
  const height = from > to ? undefined : await store.finalizedFrom(from, Height(to));
  const header = height === undefined ? undefined : store.headerAt(height)?.header;
  const certificate = height === undefined ? undefined : store.finalizationAt(height);
  if (header === undefined || certificate === undefined) return undefined;
  return { kind: "finalization", header, certificate };
}

function headersTo(store: Store, to: Height, count: number): AnswerTo<"headers"> {
  const headers: Header[] = [];
  let read = 0;
  if (to > (store.head()?.height ?? 0)) return { kind: "headers", headers };
  for (
    let height: number = to;
    height > 0 && headers.length < Math.min(count, HEADERS_PER_RESPONSE_MAX) && read < HEADERS_READ_BYTES_MAX;
    height--
  ) {
    const found = store.headerAt(Height(height));
    if (found === undefined) break;
    headers.push(found.header);
    read += found.blockBytes;
  }
  return { kind: "headers", headers };
}

function boundariesFrom(store: Store, from: number, count: number): AnswerTo<"epoch-boundaries"> {
  const proofs: EpochProof[] = [];
  let bytes = 0;
  for (let i = 0; i < Math.min(count, BOUNDARIES_PER_RESPONSE_MAX); i++) {
    const proof = Number.isSafeInteger(from + i) ? store.epochProof(from + i) : undefined;
    if (proof === undefined) break;
    bytes += EpochProofType.value_serializedSize(proof);
    if (bytes > RESPONSE_BYTES_MAX) break;
    proofs.push(proof);
  }
  return { kind: "epoch-boundaries", proofs };
}

/** Answers what other nodes ask. */
export function createAnswers(
  chain: Chain,
  store: Store,
): (request: Request) => Promise<Response | undefined> {
  return async (request) => {
    switch (request.kind) {
      case "tip": {
        const { height, hash, state } = chain.final();
        const lowestHeight = store.lowest();
        return { kind: "tip", height, epoch: state.epoch, finalizedHash: hash, lowestHeight };
      }
      case "blocks":
        return blocksFrom(store, Math.max(1, request.fromHeight), request.count, chain.params);
      case "block-by-hash":
        return {
          kind: "block-by-hash",
          block: chain.find(request.hash)?.block ?? store.blockByHash(request.hash),
        };
      case "certificates": {
        const { epoch, fromView, toView } = request;
        return { kind: "certificates", certificates: await store.certificates(epoch, fromView, toView) };
      }
      case "parts": {
        // From the block itself: what was in the pool may be gone from there.
        const block = chain.find(request.hash)?.block ?? store.blockByHash(request.hash);
        const parts = block === undefined ? undefined : partsOf(block, request);
        return parts === undefined ? undefined : { kind: "parts", ...parts };
      }
      case "finalization":
        return finalizationFrom(store, Height(Math.max(1, request.fromHeight)), chain.params);
      case "headers":
        return headersTo(store, request.toHeight, request.count);
      case "epoch-boundaries":
        return boundariesFrom(store, request.fromEpoch, request.count);
      case "snapshot": {
        const manifest = store.manifest(request.height);
        return manifest === undefined ? undefined : { kind: "snapshot", manifest };
      }
      case "snapshot-chunk": {
        const data = store.chunk(request.height, request.index);
        return data === undefined ? undefined : { kind: "snapshot-chunk", data };
      }
    }
  };
}

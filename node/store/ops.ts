/**
 * What can be written, and how each operation becomes puts and deletes of one LevelDB batch. The store
 * (store.ts) calls `translate` for one list of operations at a time, in order, with nothing else
 * being written meanwhile.
 */
import { ContainerType, type Type, type ValueOf } from "@chainsafe/ssz";
import { equalBytes, uint64Bytes } from "../../consensus/primitives/bytes.ts";
import { FaultError, invariant } from "../../consensus/primitives/faults.ts";
import type { Epoch, Height, View } from "../../consensus/primitives/units.ts";
import { type Block, BlockType, JustificationType, type Proposal } from "../../consensus/types/block.ts";
import { type Certificate, CertificateType } from "../../consensus/types/certificate.ts";
import { type EpochProof, EpochProofType } from "../../consensus/types/light-client.ts";
import {
  Bytes32,
  decode,
  EpochType,
  HeightType,
  uint16,
  uint32,
  uint64,
  ViewType,
} from "../../consensus/types/ssz.ts";
import { type Subject, SubjectType, type Vote, VoteType } from "../../consensus/types/vote.ts";
import { keys, lastPart } from "./keys.ts";
import { chunksOf, ManifestType, manifestOf, SNAPSHOT_BYTES_MAX } from "./manifest.ts";

/** Newest snapshots that are kept. */
export const SNAPSHOTS_KEPT = 2;
export const RECORD_BYTES_MAX = 64 * 1024;
export const META_BYTES_MAX = 4096;
/** Meta key of the lowest height from which on all final blocks are held. */
export const LOWEST = "lowest";

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** The finalized tip and the last finalized view: the floor below which nothing is voted on. */
export const HeadType = new ContainerType({
  height: HeightType,
  hash: Bytes32,
  epoch: EpochType,
  view: ViewType,
});
export type Head = ValueOf<typeof HeadType>;

/** Where a transaction or a proof was included. */
export const PlaceType = new ContainerType({ height: HeightType, index: uint32 });
export type Place = ValueOf<typeof PlaceType>;

/** Where a proof was included, and which slot it was for: the state forgets that when the round settles. */
export const ProofPlaceType = new ContainerType({
  place: PlaceType,
  task: Bytes32,
  epoch: EpochType,
  slot: uint16,
  podId: Bytes32,
});
export type ProofPlace = ValueOf<typeof ProofPlaceType>;

/** A proposal without its block, which has its own place and which the vote names. */
export const OwnProposalType = new ContainerType({ vote: VoteType, justification: JustificationType });

/** Ordinals count own votes without a gap, so that a hole in LevelDB's log is noticed (see store.ts). */
export const OwnVoteType = new ContainerType({ ordinal: uint64, subject: SubjectType });

export type StoreOp =
  /** The own vote, and for a proposer the proposal that it signs: it is sent again after a restart, never rebuilt. */
  | { readonly kind: "own-vote"; readonly subject: Subject; readonly proposal?: Proposal }
  /** Somebody else's vote, as evidence to come; the newest replaces one before it. */
  | { readonly kind: "seen-vote"; readonly vote: Vote }
  /** A block that is not final yet. */
  | { readonly kind: "block"; readonly hash: Uint8Array; readonly block: Block }
  | { readonly kind: "certificate"; readonly certificate: Certificate }
  /** A final block; `block` where it was never stored, `certificate` where it was finalized directly. */
  | {
      readonly kind: "finalized";
      readonly height: Height;
      readonly hash: Uint8Array;
      readonly block?: Block;
      readonly certificate?: Certificate;
    }
  | { readonly kind: "head"; readonly head: Head }
  | { readonly kind: "snapshot"; readonly height: Height; readonly bytes: Uint8Array }
  /** The state at this height came from others: between the head before and it there are no blocks here. Goes first. */
  | { readonly kind: "base"; readonly height: Height }
  /** Verified, or made of the own final block. */
  | { readonly kind: "epoch-proof"; readonly epoch: Epoch; readonly proof: EpochProof }
  | { readonly kind: "transaction"; readonly id: Uint8Array; readonly place: Place }
  | { readonly kind: "proof"; readonly id: Uint8Array; readonly at: ProofPlace }
  | { readonly kind: "record"; readonly namespace: string; readonly key: string; readonly value: JsonValue }
  | { readonly kind: "meta"; readonly key: string; readonly value: Uint8Array };

export type BatchOp =
  | { readonly type: "put"; readonly key: string; readonly value: Uint8Array }
  | { readonly type: "del"; readonly key: string };

/** What translation must know of what is already stored; the store applies the changes once the batch is on disk. */
export type WriteView = {
  get: (key: string) => Uint8Array | undefined;
  /** Whether a block is known to be on disk, by its key. One that is there and not known is written again. */
  holds: (key: string) => boolean;
  head: Head | undefined;
  /** Ordinal of the next own vote. */
  nextVote: number;
  /** Epoch of the newest own vote. */
  voteEpoch: Epoch;
  /** Heights of the snapshots, ascending. */
  snapshots: readonly Height[];
  /** Every final block from this height on is here. */
  lowest: Height;
  /** Keys of the blocks marked as not final, by height. */
  speculativeAt(height: Height): readonly string[] | Promise<readonly string[]>;
  /** Of the same, the lowest ones up to a height. */
  speculativeUpTo(height: Height): Promise<readonly string[]>;
};

const EMPTY = new Uint8Array(0);
const textBytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const put = (key: string, value: Uint8Array): BatchOp => ({ type: "put", key, value });
const del = (key: string): BatchOp => ({ type: "del", key });

/** A stored value, which must decode: what does not was damaged on disk. */
export function decodeStored<T>(type: Type<T>, key: string, bytes: Uint8Array): T {
  const value = decode(type, bytes);
  if (value === undefined) throw new FaultError("node/store-corrupt", { key });
  return value;
}

/** Below 0, 0 or above 0: by epoch, then by view. */
export function compareViews(
  a: { readonly epoch: Epoch; readonly view: View },
  b: { readonly epoch: Epoch; readonly view: View },
): number {
  return a.epoch === b.epoch ? a.view - b.view : a.epoch - b.epoch;
}

/** Translates one call's operations. Changes `view` as it goes; the caller passes a copy and keeps it on success. */
export async function translate(ops: readonly StoreOp[], view: WriteView): Promise<BatchOp[]> {
  const batch: BatchOp[] = [];
  const stored = view.get;
  /** Later operations of the list see what earlier ones will have written. */
  const fresh = new Map<string, Uint8Array>();
  const held = view.holds;
  view.get = (key) => fresh.get(key) ?? stored(key);
  view.holds = (key) => fresh.has(key) || held(key);
  for (const op of ops) {
    // Only some must wait, and a block brings hundreds that don't.
    const translated = translateOne(op, view);
    for (const it of translated instanceof Promise ? await translated : translated) {
      if (it.type === "put") fresh.set(it.key, it.value);
      batch.push(it);
    }
  }
  return batch;
}

function translateOne(op: StoreOp, view: WriteView): BatchOp[] | Promise<BatchOp[]> {
  switch (op.kind) {
    case "own-vote":
      return ownVote(op, view);
    case "seen-vote": {
      const { subject, signer } = op.vote;
      const { epoch, view: at, kind } = subject;
      return [put(keys.seenVote(epoch, at, kind, signer), VoteType.serialize(op.vote))];
    }
    case "block":
      return block(op, view);
    case "certificate":
      return [put(keys.certificate(op.certificate.subject), CertificateType.serialize(op.certificate))];
    case "finalized":
      return finalized(op, view);
    case "head":
      return head(op.head, view);
    case "snapshot":
      return snapshot(op, view);
    case "base":
      return base(op.height, view);
    case "epoch-proof":
      return [put(keys.epochProof(op.epoch), EpochProofType.serialize(op.proof))];
    case "transaction":
      return [put(keys.transaction(op.id), PlaceType.serialize(op.place))];
    case "proof":
      return [put(keys.proof(op.id), ProofPlaceType.serialize(op.at))];
    case "record": {
      const value = textBytes(JSON.stringify(op.value));
      invariant(
        value.length <= RECORD_BYTES_MAX,
        `record ${op.namespace}/${op.key} of ${value.length} bytes`,
      );
      return [put(keys.record(op.namespace, op.key), value)];
    }
    case "meta":
      invariant(op.value.length <= META_BYTES_MAX, `meta ${op.key} of ${op.value.length} bytes`);
      return [put(keys.meta(op.key), op.value)];
  }
}

/** A block's bytes are the most of what is written, and written once, however many votes are about it. */
function block(
  { hash, block: it }: Pick<Extract<StoreOp, { kind: "block" }>, "hash" | "block">,
  view: WriteView,
): BatchOp[] {
  const { height } = it.header;
  const key = keys.block(hash);
  if (view.holds(key)) return [];
  if (view.get(keys.finalHash(height)) !== undefined) return []; // decided: already stored, or lost for good
  return [put(key, BlockType.serialize(it)), put(keys.speculative(height, hash), EMPTY)];
}

function ownVote(op: Extract<StoreOp, { kind: "own-vote" }>, view: WriteView): BatchOp[] {
  const { subject, proposal } = op;
  const key = keys.ownVote(subject);
  const batch: BatchOp[] = [];
  const known = view.get(key);
  if (known === undefined) {
    // Ordinals must rise with epochs, or pruning old epochs would leave holes in them.
    invariant(
      subject.epoch >= view.voteEpoch,
      `own vote of epoch ${subject.epoch} after epoch ${view.voteEpoch}`,
    );
    batch.push(put(key, OwnVoteType.serialize({ ordinal: view.nextVote, subject })));
    view.nextVote += 1;
    view.voteEpoch = subject.epoch;
  } else {
    // The signer refuses before it gets here; a stored vote is never replaced, whoever asks.
    const stored = decodeStored(OwnVoteType, key, known).subject;
    invariant(SubjectType.equals(stored, subject), `second own vote in view ${subject.view}`);
  }
  if (proposal !== undefined) {
    const { vote, justification, block: proposed } = proposal;
    invariant(SubjectType.equals(vote.subject, subject), "a proposal's vote is the own vote");
    batch.push(
      ...block({ hash: subject.blockHash, block: proposed }, view),
      put(keys.ownProposal(subject.epoch, subject.view), OwnProposalType.serialize({ vote, justification })),
    );
  }
  return batch;
}

async function finalized(op: Extract<StoreOp, { kind: "finalized" }>, view: WriteView): Promise<BatchOp[]> {
  const { height, hash, block: it, certificate } = op;
  const known = view.get(keys.finalHash(height));
  invariant(known === undefined || equalBytes(known, hash), `a second final block at height ${height}`);
  const mark = keys.speculative(height, hash);
  const batch = [put(keys.finalHash(height), hash), del(mark)];
  if (certificate !== undefined) {
    batch.push(put(keys.finalization(height), CertificateType.serialize(certificate)));
  }
  // Blocks that lost at this height can never be final: they go in the same batch.
  for (const other of await view.speculativeAt(height)) {
    if (other !== mark) batch.push(del(other), del(`b/${lastPart(other)}`));
  }
  const key = keys.block(hash);
  if (it !== undefined && !view.holds(key)) batch.push(put(key, BlockType.serialize(it)));
  return batch;
}

function head(next: Head, view: WriteView): BatchOp[] {
  const last = view.head;
  if (last !== undefined) {
    invariant(next.height >= last.height, `head goes back from height ${last.height} to ${next.height}`);
    invariant(compareViews(next, last) >= 0, `floor goes back from view ${last.epoch}/${last.view}`);
    invariant(
      next.height > last.height || equalBytes(next.hash, last.hash),
      `head changes at height ${next.height}`,
    );
  }
  view.head = next;
  return [put(keys.meta("head"), HeadType.serialize(next))];
}

function snapshot(op: Extract<StoreOp, { kind: "snapshot" }>, view: WriteView): BatchOp[] {
  invariant(op.bytes.length <= SNAPSHOT_BYTES_MAX, `snapshot of ${op.bytes.length} bytes`);
  const heights = [...new Set([...view.snapshots, op.height])].sort((a, b) => a - b);
  const old = heights.slice(0, -SNAPSHOTS_KEPT);
  view.snapshots = heights.slice(-SNAPSHOTS_KEPT);
  return [
    put(keys.snapshot(op.height), ManifestType.serialize(manifestOf(op.bytes))),
    ...chunksOf(op.bytes).map((chunk, index) => put(keys.chunk(op.height, index), chunk)),
    ...old.flatMap((height) => withoutSnapshot(height, view)),
  ];
}

function withoutSnapshot(height: Height, view: WriteView): BatchOp[] {
  const key = keys.snapshot(height);
  const stored = view.get(key);
  const count = stored === undefined ? 0 : decodeStored(ManifestType, key, stored).chunks.length;
  return [del(key), ...Array.from({ length: count }, (_, index) => del(keys.chunk(height, index)))];
}

/** Blocks that were not final below it are decided, one way or the other, by blocks that are not here. */
async function base(height: Height, view: WriteView): Promise<BatchOp[]> {
  invariant(height > view.lowest, `blocks are held from height ${view.lowest}, not from ${height}`);
  view.lowest = height;
  const marks = await view.speculativeUpTo(height);
  return [
    put(keys.meta(LOWEST), uint64Bytes(height)),
    ...marks.flatMap((mark) => [del(mark), del(`b/${lastPart(mark)}`)]),
  ];
}

/**
 * The node's disk: LevelDB with one writer. Every write is one synced batch, awaited by whoever acts
 * upon it, and writes follow each other in the order of the calls. Opened by node/main and devnet;
 * written by the driver, the signer and the chain; read by those and by the RPC.
 *
 * LevelDB tolerates a torn tail of its log by itself, but silently skips a damaged part before it.
 * Own votes therefore carry ordinals: a hole among them is found at opening, and nothing is signed.
 */
import { equalBytes, uint64Bytes } from "../../consensus/primitives/bytes.ts";
import { FaultError } from "../../consensus/primitives/faults.ts";
import { Epoch, Height } from "../../consensus/primitives/units.ts";
import {
  type Block,
  BlockType,
  type Header,
  HeaderType,
  type Proposal,
} from "../../consensus/types/block.ts";
import { type Certificate, CertificateType } from "../../consensus/types/certificate.ts";
import { type EpochProof, EpochProofType } from "../../consensus/types/light-client.ts";
import { type Subject, type Vote, type VoteKind, VoteType } from "../../consensus/types/vote.ts";
import { keys, lastPart, ranges } from "./keys.ts";
import { type Level, openLevel } from "./level.ts";
import { type Manifest, ManifestType } from "./manifest.ts";
import { createMarks, MARKS_READ_MAX } from "./marks.ts";
import {
  decodeStored,
  type Head,
  HeadType,
  type JsonValue,
  LOWEST,
  OwnProposalType,
  OwnVoteType,
  type Place,
  PlaceType,
  type ProofPlace,
  ProofPlaceType,
  type StoreOp,
  translate,
  type WriteView,
} from "./ops.ts";
import { createTurns } from "./turns.ts";

/** 3: own proposals without their blocks, proofs with their slots. */
const VERSION = 3;
/** Callers await each write, so this many waiting is a bug. */
const WRITES_WAITING_MAX = 1024;
/** Entries deleted in one batch while pruning. */
const PRUNE_BATCH = 1000;
const RANGE_LIMIT_MAX = 1024;
/** A stored block begins with its header. */
const HEADER_BYTES = HeaderType.fixedSize ?? 0;

export type StoreOptions = {
  /** The chain's 32-byte tag: a folder of another chain is refused. */
  readonly chain?: Uint8Array;
};

export type Store = Awaited<ReturnType<typeof openStore>>;

/** Opens the folder, creating it if there is none. Throws node/store-locked, -corrupt, -failed, node/chain-mismatch. */
export async function openStore(dir: string, options: StoreOptions = {}) {
  const db = await openLevel(dir);
  try {
    return await serve(db, dir, options);
  } catch (error) {
    await db.close();
    throw error;
  }
}

async function serve(db: Level, dir: string, { chain }: StoreOptions) {
  const alone = createTurns(WRITES_WAITING_MAX);
  const get = (key: string): Uint8Array | undefined => db.get(key);

  const prunedBelowKey = keys.meta("pruned-below");
  let prunedBelow = Epoch(readCount(get(prunedBelowKey)));
  const votes = await checkVotes(db, dir, prunedBelow);
  const found = await db.keys(ranges.allSpeculative(), MARKS_READ_MAX);
  const marks = createMarks(found.length < MARKS_READ_MAX ? found : undefined);
  let state: Omit<WriteView, "get" | "holds" | "speculativeAt" | "speculativeUpTo"> = {
    head: readHead(get(keys.meta("head"))),
    nextVote: votes.next,
    voteEpoch: votes.epoch > prunedBelow ? votes.epoch : prunedBelow,
    snapshots: (await db.keys(ranges.snapshots(), RANGE_LIMIT_MAX)).map((key) =>
      Height(Number.parseInt(lastPart(key), 16)),
    ),
    lowest: Height(Math.max(1, readCount(get(keys.meta(LOWEST))))),
  };

  const deleteBefore = async (prefix: Parameters<typeof ranges.before>[0], epoch: Epoch): Promise<void> => {
    for (;;) {
      // Ends: each pass deletes what it found, and nothing is written below the floor any more.
      const old = await db.keys(ranges.before(prefix, epoch), PRUNE_BATCH);
      if (old.length === 0) return;
      await db.commit(old.map((key) => ({ type: "del", key })));
    }
  };

  const write = (ops: readonly StoreOp[]): Promise<void> =>
    alone(async () => {
      const view: WriteView = {
        ...state,
        get,
        holds: marks.holds,
        speculativeAt: (height) => marks.at(height) ?? db.keys(ranges.speculative(height), RANGE_LIMIT_MAX),
        speculativeUpTo: (height) => db.keys(ranges.speculativeUpTo(height), RANGE_LIMIT_MAX),
      };
      const batch = await translate(ops, view);
      if (batch.length === 0) return;
      await db.commit(batch);
      marks.note(batch);
      const { head, nextVote, voteEpoch, snapshots, lowest } = view;
      state = { head, nextVote, voteEpoch, snapshots, lowest };
    });

  const version = get(keys.meta("version"));
  if (version !== undefined && readCount(version) !== VERSION) {
    throw new FaultError("node/store-corrupt", {
      folder: dir,
      version: readCount(version),
      expected: VERSION,
    });
  }
  const known = get(keys.meta("chain"));
  if (chain !== undefined && known !== undefined && !equalBytes(chain, known)) {
    throw new FaultError("node/chain-mismatch", { folder: dir });
  }
  await write([
    ...(version === undefined
      ? [{ kind: "meta", key: "version", value: uint64Bytes(VERSION) } as const]
      : []),
    ...(chain !== undefined && known === undefined
      ? [{ kind: "meta", key: "chain", value: chain } as const]
      : []),
  ]);

  const blockByHash = (hash: Uint8Array): Block | undefined => {
    const bytes = get(keys.block(hash));
    return bytes === undefined ? undefined : (decodeStored(BlockType, "b/", bytes) as Block);
  };
  const hashAt = (height: Height): Uint8Array | undefined => get(keys.finalHash(height));
  const manifest = (height: Height): Manifest | undefined => {
    const key = keys.snapshot(height);
    const bytes = get(key);
    return bytes === undefined ? undefined : decodeStored(ManifestType, key, bytes);
  };

  return {
    /** All operations in one synced batch, after the writes asked before. Resolves when they are on disk. */
    write,
    /** The finalized head as last written. */
    head: (): Head | undefined => state.head,
    /** Any stored block: final, or speculative at a height that is not final yet. */
    blockByHash,
    hashAt,
    /** The final block at a height. */
    blockAt(height: Height): Block | undefined {
      const hash = hashAt(height);
      return hash === undefined ? undefined : blockByHash(hash);
    },
    /** The finalization of exactly this height's block, if it was finalized directly. */
    finalizationAt(height: Height): Certificate | undefined {
      const bytes = get(keys.finalization(height));
      return bytes === undefined ? undefined : decodeStored(CertificateType, "x/", bytes);
    },
    /** Without reading what is in its body; how large the block is goes with it. */
    headerAt(height: Height): { readonly header: Header; readonly blockBytes: number } | undefined {
      const hash = hashAt(height);
      const bytes = hash === undefined ? undefined : get(keys.block(hash));
      if (bytes === undefined) return undefined;
      const front = bytes.slice(0, HEADER_BYTES);
      return { header: decodeStored(HeaderType, "b/", front), blockBytes: bytes.length };
    },
    /** The lowest height in this range, both ends included, whose block was finalized directly. */
    async finalizedFrom(from: Height, to: Height): Promise<Height | undefined> {
      const [key] = await db.keys(ranges.finalizations(from, to), 1);
      return key === undefined ? undefined : Height(Number.parseInt(lastPart(key), 16));
    },
    /** Final blocks are here from this height to the head without a gap: 1, or where a snapshot was taken. */
    lowest: (): Height => state.lowest,
    /** The end of an epoch, its finalization, and the next set. */
    epochProof(epoch: number): EpochProof | undefined {
      const key = keys.epochProof(epoch);
      const bytes = get(key);
      return bytes === undefined ? undefined : decodeStored(EpochProofType, key, bytes);
    },
    /** Certificates of the views, both ends included, ascending; `limit` at most 1024. */
    async certificates(epoch: Epoch, fromView: number, toView: number, limit = 256): Promise<Certificate[]> {
      if (toView < fromView) return [];
      const found = await db.entries(
        ranges.certificates(epoch, fromView, toView),
        Math.min(limit, RANGE_LIMIT_MAX),
      );
      return found.map(([key, bytes]) => decodeStored(CertificateType, key, bytes));
    },
    /** The own vote of a kind in a view. */
    ownVote(epoch: Epoch, view: number, kind: VoteKind): Subject | undefined {
      const key = keys.ownVote({ epoch, view, kind } as Subject);
      const bytes = get(key);
      return bytes === undefined ? undefined : decodeStored(OwnVoteType, key, bytes).subject;
    },
    /** The first vote of this kind heard of a signer; see node/witness.ts. */
    seenVote(epoch: Epoch, view: number, kind: number, signer: number): Vote | undefined {
      const key = keys.seenVote(epoch, view, kind, signer);
      const bytes = get(key);
      return bytes === undefined ? undefined : decodeStored(VoteType, key, bytes);
    },
    /** Forgets heard votes of the epochs before `epoch`. */
    pruneSeen: (epoch: Epoch): Promise<void> => alone(() => deleteBefore("w", epoch)),
    /** Own votes of an epoch by view; all of them, because a restart replays them. */
    async ownVotes(epoch: Epoch): Promise<Subject[]> {
      const found: Subject[] = [];
      for await (const [key, bytes] of db.scan(ranges.ownVotes(epoch))) {
        found.push(decodeStored(OwnVoteType, key, bytes).subject);
      }
      return found;
    },
    /** No own vote was cast in a later epoch, and none may be cast in an earlier one. */
    voteEpoch: (): Epoch => state.voteEpoch,
    /** Undefined as well once another block was final at its height: nobody would vote for it any more. */
    ownProposal(epoch: Epoch, view: number): Proposal | undefined {
      const key = keys.ownProposal(epoch, view);
      const bytes = get(key);
      if (bytes === undefined) return undefined;
      const { vote, justification } = decodeStored(OwnProposalType, key, bytes);
      const block = blockByHash(vote.subject.blockHash);
      return block === undefined ? undefined : { block, vote, justification };
    },
    /** Heights of the stored snapshots, ascending: at most two. */
    snapshotHeights: (): readonly Height[] => state.snapshots,
    manifest,
    chunk: (height: Height, index: number): Uint8Array | undefined => get(keys.chunk(height, index)),
    /** All chunks in one; undefined without the snapshot, or if one of them is missing. */
    snapshot(height: Height): Uint8Array | undefined {
      const known = manifest(height);
      if (known === undefined) return undefined;
      const whole = new Uint8Array(known.bytes);
      let at = 0;
      for (let index = 0; index < known.chunks.length; index++) {
        const chunk = get(keys.chunk(height, index));
        if (chunk === undefined || at + chunk.length > whole.length) return undefined;
        whole.set(chunk, at);
        at += chunk.length;
      }
      return at === whole.length ? whole : undefined;
    },
    transaction(id: Uint8Array): Place | undefined {
      const bytes = get(keys.transaction(id));
      return bytes === undefined ? undefined : decodeStored(PlaceType, "t/", bytes);
    },
    proof(id: Uint8Array): ProofPlace | undefined {
      const bytes = get(keys.proof(id));
      return bytes === undefined ? undefined : decodeStored(ProofPlaceType, "z/", bytes);
    },
    record(namespace: string, key: string): JsonValue | undefined {
      const bytes = get(keys.record(namespace, key));
      return bytes === undefined ? undefined : parseRecord(`${namespace}/${key}`, bytes);
    },
    /** Records of a namespace by key, after `after`; `limit` at most 1024. */
    async records(
      namespace: string,
      { after, limit = 100 }: { after?: string; limit?: number } = {},
    ): Promise<{ key: string; value: JsonValue }[]> {
      const found = await db.entries(ranges.records(namespace, after), Math.min(limit, RANGE_LIMIT_MAX));
      return found.map(([key, bytes]) => ({ key: lastPart(key), value: parseRecord(key, bytes) }));
    },
    meta: (key: string): Uint8Array | undefined => get(keys.meta(key)),
    /** Votes of earlier epochs are forgotten, so nothing may be signed there. */
    prunedBelow: (): Epoch => prunedBelow,
    /** Deletes own votes, own proposals and certificates of the epochs before `epoch`. */
    pruneEpoch: (epoch: Epoch): Promise<void> =>
      alone(async () => {
        if (epoch <= prunedBelow) return;
        // First the floor, then the votes: a crash in between must not make a forgotten view look fresh.
        await db.commit([{ type: "put", key: prunedBelowKey, value: uint64Bytes(epoch) }]);
        prunedBelow = epoch;
        if (state.voteEpoch < epoch) state = { ...state, voteEpoch: epoch };
        for (const prefix of ["v", "p", "c"] as const) {
          await deleteBefore(prefix, epoch);
        }
      }),
    /** Waits for the writes asked before, then closes. */
    close: (): Promise<void> => alone(() => db.close()),
  };
}

/** Next ordinal and newest epoch of the own votes. Throws node/store-corrupt if some are missing. */
async function checkVotes(
  db: Level,
  dir: string,
  prunedBelow: Epoch,
): Promise<{ next: number; epoch: Epoch }> {
  const ordinals: number[] = [];
  let epoch = Epoch(0);
  // A prune that was cut short leaves holes, but only below its floor.
  for await (const [key, bytes] of db.scan(ranges.ownVotesFrom(prunedBelow))) {
    const vote = decodeStored(OwnVoteType, key, bytes);
    ordinals.push(vote.ordinal);
    epoch = vote.subject.epoch;
  }
  ordinals.sort((a, b) => a - b);
  const first = ordinals[0] ?? 0;
  const gap = ordinals.findIndex((ordinal, i) => ordinal !== first + i);
  if (gap >= 0) throw new FaultError("node/store-corrupt", { folder: dir, missingVote: first + gap });
  return { next: first + ordinals.length, epoch };
}

function readCount(bytes: Uint8Array | undefined): number {
  if (bytes === undefined) return 0;
  if (bytes.length !== 8) throw new FaultError("node/store-corrupt", { bytes: bytes.length });
  return Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
}

function readHead(bytes: Uint8Array | undefined): Head | undefined {
  return bytes === undefined ? undefined : decodeStored(HeadType, "head", bytes);
}

function parseRecord(key: string, bytes: Uint8Array): JsonValue {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as JsonValue;
  } catch (error) {
    throw new FaultError("node/store-corrupt", { key }, error);
  }
}

/**
 * The only holder of the validator's BLS key. It signs a vote only when no earlier vote forbids it,
 * and only after the vote is on disk. Called by the driver for the engine's effect `vote`
 * (docs/protocol.md, "Durable before sent").
 *
 * The signer floor is a small file outside the database with a lease (epoch, view): nothing beyond the
 * lease was ever signed. Lease and database carry the same serial, raised first in the database and
 * then in the file, also at each start; so a file ahead of the database means that the database is lost
 * or an older copy. Then nothing is signed until finality is seen beyond the lease, and nothing at or
 * below the lease ever again.
 */
import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { SecretKey } from "@chainsafe/blst";
import { ContainerType, type ValueOf } from "@chainsafe/ssz";
import { z } from "zod";
import { toHex } from "../consensus/primitives/bytes.ts";
import { FaultError, invariant } from "../consensus/primitives/faults.ts";
import { Epoch, View } from "../consensus/primitives/units.ts";
import { EpochType, uint64, ViewType } from "../consensus/types/ssz.ts";
import {
  isSubject,
  possessionRoot,
  revealRoot,
  type Subject,
  sameSubject,
  signingRoot,
  VoteKind,
} from "../consensus/types/vote.ts";
import { helloRoot } from "./network/hello.ts";
import { compareViews, decodeStored, type StoreOp } from "./store/ops.ts";
import type { Store } from "./store/store.ts";
import { createTurns } from "./store/turns.ts";

/** Views signed on one lease: one more synced file in so many views. */
export const LEASE_VIEWS = 64;
/** Votes that may wait for the disk; the engine asks for a few at a time. */
const VOTES_WAITING_MAX = 256;
const META = "signer";

type Point = { readonly epoch: Epoch; readonly view: View };

/** The database's side of the floor. */
const RecordType = new ContainerType({
  serial: uint64,
  epoch: EpochType,
  view: ViewType,
  /** Nothing at or below this is ever signed: a lease that a lost database may have used. */
  forbiddenEpoch: EpochType,
  forbiddenView: ViewType,
});
type SignerRecord = ValueOf<typeof RecordType>;

const natural = z.number().int().min(0);
const FloorFile = z.strictObject({
  version: z.literal(1),
  chain: z.string(),
  publicKey: z.string(),
  serial: natural,
  epoch: natural,
  view: natural,
});

export type SignerOptions = {
  readonly secretKey: SecretKey;
  /** The chain's 32-byte tag. */
  readonly chain: Uint8Array;
  /** Outside the database's folder. */
  readonly floorFile: string;
};

export type SignerComponents = {
  readonly store: Pick<Store, "write" | "ownVote" | "voteEpoch" | "prunedBelow" | "meta">;
};

export type Signer = Awaited<ReturnType<typeof createSigner>>;

export async function createSigner(options: SignerOptions, { store }: SignerComponents) {
  const { secretKey, chain, floorFile } = options;
  const blsKey = secretKey.toPublicKey().toBytes();
  const names = { version: 1, chain: toHex(chain), publicKey: toHex(blsKey) } as const;

  const file = await readFloor(floorFile, names);
  const meta = store.meta(META);
  const stored = meta === undefined ? undefined : decodeStored(RecordType, META, meta);
  let record: SignerRecord = stored ?? {
    serial: 0,
    epoch: Epoch(0),
    view: View(0),
    forbiddenEpoch: Epoch(0),
    forbiddenView: View(0),
  };
  /** The lease of a database that is gone; set until finality is seen beyond it. */
  let lost: (Point & { readonly serial: number }) | undefined;
  const alone = createTurns(VOTES_WAITING_MAX);

  /** Database first, then file: a crash in between leaves the file behind, which is harmless. */
  const advance = async (next: SignerRecord): Promise<void> => {
    await store.write([{ kind: "meta", key: META, value: RecordType.serialize(next) }]);
    await writeFloor(floorFile, { ...names, serial: next.serial, epoch: next.epoch, view: next.view });
    record = next;
  };
  // A lease that was never raised covers no signature: wiping the data before the first vote is harmless.
  if (file !== undefined && file.serial > record.serial && (file.epoch > 0 || file.view > 0)) {
    lost = { epoch: Epoch(file.epoch), view: View(file.view), serial: file.serial };
  } else {
    await advance({ ...record, serial: Math.max(record.serial, file?.serial ?? 0) + 1 });
  }

  const checkFloor = ({ epoch, view }: Point): void => {
    if (lost !== undefined) {
      throw new FaultError("node/signer-floor", {
        epoch,
        view,
        leaseEpoch: lost.epoch,
        leaseView: lost.view,
      });
    }
    const forbidden = { epoch: record.forbiddenEpoch, view: record.forbiddenView };
    if (compareViews({ epoch, view }, forbidden) <= 0) {
      throw new FaultError("node/signer-floor", {
        epoch,
        view,
        leaseEpoch: forbidden.epoch,
        leaseView: forbidden.view,
      });
    }
    // Votes of pruned epochs are forgotten, and after an epoch's first vote the one before is closed.
    if (epoch < store.prunedBelow() || epoch < store.voteEpoch()) {
      throw new FaultError("node/signer-floor", { epoch, view, signedEpoch: store.voteEpoch() });
    }
  };

  const signVote = (subject: Subject, extraOps: readonly StoreOp[]): Promise<Uint8Array> =>
    alone(async () => {
      invariant(isSubject(subject), "a subject is well formed");
      checkFloor(subject);
      checkConflicts(store, subject);
      if (compareViews(subject, record) > 0) {
        const lease = { epoch: subject.epoch, view: View(subject.view + LEASE_VIEWS) };
        await advance({ ...record, ...lease, serial: record.serial + 1 });
      }
      await store.write([...withVote(subject, extraOps)]);
      return secretKey.sign(signingRoot(chain, subject)).toBytes();
    });

  return {
    blsKey,
    /**
     * The vote's signature, once vote and `extraOps` are durable in one batch. Asking again for the same
     * subject gives the same signature. Throws node/vote-conflict, node/signer-floor, node/store-failed.
     */
    signVote,
    /** Tells of finality; lifts the floor's block once it is beyond the lease. */
    observeFinalized: (epoch: Epoch, view: View): Promise<void> =>
      alone(async () => {
        if (lost === undefined || compareViews({ epoch, view }, lost) <= 0) return;
        const { serial, ...lease } = lost;
        await advance({
          ...record,
          ...lease,
          serial: serial + 1,
          forbiddenEpoch: lease.epoch,
          forbiddenView: lease.view,
        });
        lost = undefined;
      }),
    /** The lease that finality must pass before anything is signed; undefined if the signer is free to sign. */
    blockedBy: (): Point | undefined =>
      lost === undefined ? undefined : { epoch: lost.epoch, view: lost.view },
    /** The beacon's reveal: unique for each (epoch, view), so that it needs no record. */
    reveal: (epoch: Epoch, view: View): Uint8Array =>
      secretKey.sign(revealRoot(chain, epoch, view)).toBytes(),
    /** Proof of possession of the key, for registration. */
    possession: (): Uint8Array => secretKey.sign(possessionRoot(chain, blsKey)).toBytes(),
    /** Binds a libp2p identity (its multihash bytes) to the key; fits the network's `identity`. */
    signHello: (peerId: Uint8Array): Uint8Array => secretKey.sign(helloRoot(chain, peerId)).toBytes(),
  };
}

/** The vote comes first; extra operations may carry the same vote with its proposal. */
function withVote(subject: Subject, extraOps: readonly StoreOp[]): readonly StoreOp[] {
  const carried = extraOps.some((op) => op.kind === "own-vote");
  for (const op of extraOps) {
    invariant(
      op.kind !== "own-vote" || sameSubject(op.subject, subject),
      "only the vote asked for is made durable",
    );
  }
  return carried ? extraOps : [{ kind: "own-vote", subject }, ...extraOps];
}

/** Rules N2, L, F3, F4 and one vote of a kind a view, against what is on disk. Throws node/vote-conflict. */
function checkConflicts(store: SignerComponents["store"], subject: Subject): void {
  const { epoch, view, kind } = subject;
  const conflict = (rule: string): FaultError =>
    new FaultError("node/vote-conflict", { epoch, view, kind, rule });
  const own = store.ownVote(epoch, view, kind as VoteKind);
  if (own !== undefined) {
    if (!sameSubject(own, subject)) throw conflict("one vote of a kind a view");
    return; // the same again: it was allowed once, and signing is deterministic
  }
  const notarize = store.ownVote(epoch, view, VoteKind.notarize);
  const nullify = store.ownVote(epoch, view, VoteKind.nullify);
  const finalize = store.ownVote(epoch, view, VoteKind.finalize);
  const sameBlock = (vote: Subject | undefined): boolean =>
    vote === undefined || sameSubject(vote, { ...subject, kind: vote.kind });
  if (kind === VoteKind.notarize) {
    if (nullify !== undefined) throw conflict("N2: nullify was cast in the view");
    if (!sameBlock(finalize)) throw conflict("N2: finalize was cast for another block");
  }
  if (kind === VoteKind.nullify && finalize !== undefined) throw conflict("L: finalize was cast in the view");
  if (kind === VoteKind.finalize) {
    if (nullify !== undefined) throw conflict("F3: nullify was cast in the view");
    if (!sameBlock(notarize)) throw conflict("F4: notarize was cast for another block");
  }
}

async function readFloor(
  file: string,
  names: { readonly chain: string; readonly publicKey: string },
): Promise<z.infer<typeof FloorFile> | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new FaultError("node/signer-floor", { file, problem: "cannot be read" }, error);
  }
  let floor: z.infer<typeof FloorFile>;
  try {
    floor = FloorFile.parse(JSON.parse(text));
  } catch (error) {
    throw new FaultError("node/signer-floor", { file, problem: "is damaged" }, error);
  }
  if (floor.chain !== names.chain) throw new FaultError("node/chain-mismatch", { file });
  if (floor.publicKey !== names.publicKey)
    throw new FaultError("node/signer-floor", { file, problem: "belongs to another key" });
  return floor;
}

/** Write aside, sync, rename, sync the folder: after a crash there is the old file or the new one. */
async function writeFloor(file: string, floor: z.infer<typeof FloorFile>): Promise<void> {
  const aside = `${file}.tmp`;
  try {
    const handle = await open(aside, "w", 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(floor)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(aside, file);
    const folder = await open(dirname(file), "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    throw new FaultError("node/signer-floor", { file, problem: "cannot be written" }, error);
  }
}

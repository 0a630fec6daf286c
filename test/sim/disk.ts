/**
 * A node's disk: what is written is durable only after a sync, and a crash drops the rest. Own votes
 * and their order are checked here too: the disk is where a conflicting vote would be seen first.
 */
import { toHex } from "../../consensus/primitives/bytes.ts";
import type { Epoch, Height, View } from "../../consensus/primitives/units.ts";
import { type Block, blockHash, type Proposal } from "../../consensus/types/block.ts";
import type { Certificate } from "../../consensus/types/certificate.ts";
import { type Subject, sameSubject } from "../../consensus/types/vote.ts";

export type StoredVote = { readonly subject: Subject; readonly proposal?: Omit<Proposal, "vote"> };

export type Disk = {
  readonly blocks: Map<string, Block>;
  readonly votes: Map<Epoch, StoredVote[]>;
  /** By epoch, then `${view}/${kind}`. */
  readonly certificates: Map<Epoch, Map<string, Certificate>>;
  /** Of each finished epoch's last block. */
  readonly boundaries: Map<Epoch, Certificate>;
  finalized: { epoch: Epoch; view: View; hash: Uint8Array; height: Height };
};

/** A change that is lost if the crash comes before the sync. */
export type Write = (disk: Disk) => void;

export function createDisk(genesis: Uint8Array): Disk {
  return {
    blocks: new Map(),
    votes: new Map(),
    certificates: new Map(),
    boundaries: new Map(),
    finalized: { epoch: 0 as Epoch, view: 0 as View, hash: genesis, height: 0 as Height },
  };
}

export const writeBlock =
  (block: Block): Write =>
  (disk) =>
    disk.blocks.set(toHex(blockHash(block.header)), block);

export const writeVote =
  (vote: StoredVote): Write =>
  (disk) => {
    const votes = disk.votes.get(vote.subject.epoch) ?? [];
    disk.votes.set(vote.subject.epoch, votes);
    if (!votes.some((it) => sameSubject(it.subject, vote.subject))) votes.push(vote);
  };

export const writeCertificate =
  (certificate: Certificate): Write =>
  (disk) => {
    const { epoch, view, kind } = certificate.subject;
    const certificates = disk.certificates.get(epoch) ?? new Map<string, Certificate>();
    disk.certificates.set(epoch, certificates);
    certificates.set(`${view}/${kind}`, certificate);
  };

/** What a disk could lose that does not sync certificates: all above the finalized one. */
export function forgetCertificates(disk: Disk): void {
  for (const [epoch, certificates] of disk.certificates) {
    for (const [name, { subject }] of certificates) {
      const above =
        epoch === disk.finalized.epoch ? subject.view > disk.finalized.view : epoch > disk.finalized.epoch;
      if (above) certificates.delete(name);
    }
  }
}

/**
 * Makes whole proposals of compact ones: what the own pool holds by name, and what is missing from the
 * proposer. Called by the intake with proposals of whoever's turn it is; hands whole ones back, so that
 * neither driver nor engine knows. Nothing of an incomplete proposal is executed, voted on or refused: to the
 * engine it has not come yet, and if it never does, the view ends as without a proposal.
 */
import { equalBytes, toHex } from "../consensus/primitives/bytes.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import type { View } from "../consensus/primitives/units.ts";
import { BLOCK_BYTES_MAX, type Block, blockHash, type Proposal } from "../consensus/types/block.ts";
import { type Submission, SubmissionType, submissionContentRoot } from "../consensus/types/submission.ts";
import { type Transaction, TransactionType, transactionContentRoot } from "../consensus/types/transaction.ts";
import type { Log } from "./log.ts";
import type { CompactProposal, Parts } from "./network/compact.ts";
import type { Network, PeerInfo } from "./network/network.ts";

/** Incomplete proposals: of one peer, and of all, each at most a block's bytes. Those nearest to the current view stay. */
const OF_PEER_MAX = 2;
const PENDING_MAX = 16;
/** How long a proposal may wait for its parts, and how often they are asked for within that. */
const PENDING_MS = 6_000;
const ASKED_MAX = 3;

export type AssemblerComponents = {
  readonly chain: { find(hash: Uint8Array): { readonly block: Block | undefined } | undefined };
  readonly store: { blockByHash(hash: Uint8Array): Block | undefined };
  /** What has come by itself, by the root of all its bytes; verified or not. */
  readonly pool: {
    transaction(root: Uint8Array): Transaction | undefined;
    submission(root: Uint8Array): Submission | undefined;
  };
  readonly network: Pick<Network, "request" | "blame">;
  readonly log: Log;
  /** The current one. */
  view(): View;
};

export type AssemblerCounts = {
  /** Proposals that came compact: complete at once, after a fetch, and given up. */
  readonly complete: number;
  readonly fetched: number;
  readonly givenUp: number;
  readonly pending: number;
};

type Pending = {
  readonly peerId: string;
  readonly compact: CompactProposal;
  readonly untilMs: number;
  dropped: boolean;
};

export type Assembler = ReturnType<typeof createAssembler>;

export function createAssembler({ chain, store, pool, network, log, view }: AssemblerComponents) {
  /** By peer, block and view: nobody's silence holds up what another one sends. */
  const pending = new Map<string, Pending>();
  const counts = { complete: 0, fetched: 0, givenUp: 0 };

  const drop = (name: string): void => {
    const it = pending.get(name);
    if (it === undefined) return;
    it.dropped = true;
    pending.delete(name);
    counts.givenUp += 1;
  };

  /**
   * Adds one; where there are too many, the furthest from the current view goes. Views far away cost a liar
   * nothing, and near ones are whose turn it is.
   */
  const add = (name: string, it: Pending): void => {
    pending.set(name, it);
    const dropFurthest = (all: readonly (readonly [string, Pending])[]): void => {
      const distance = ([, { compact }]: readonly [string, Pending]): number =>
        Math.abs(compact.vote.subject.view - view());
      const [furthest] = all.toSorted((a, b) => distance(b) - distance(a));
      if (furthest !== undefined) drop(furthest[0]);
    };
    const ofPeer = [...pending].filter(([, { peerId }]) => peerId === it.peerId);
    if (ofPeer.length > OF_PEER_MAX) dropFurthest(ofPeer);
    if (pending.size > PENDING_MAX) dropFurthest([...pending]);
  };

  /** Asks the proposer, a few times if it is slow; undefined if that comes to nothing. */
  const complete = async (it: Pending, hash: Uint8Array, found: Found): Promise<Block | undefined> => {
    for (let asked = 0; asked < ASKED_MAX && !it.dropped && performance.now() < it.untilMs; asked++) {
      refresh(it.compact, found, pool);
      const missing = { transactions: gaps(found.transactions), submissions: gaps(found.submissions) };
      if (missing.transactions.length + missing.submissions.length === 0) return blockOf(it.compact, found);
      try {
        const parts = await network.request(it.peerId, { kind: "parts", hash, ...missing });
        if (!fill(it.compact, found, missing, parts)) {
          network.blame(it.peerId, "parts of another block");
          return undefined;
        }
        return sizeOf(found) > BLOCK_BYTES_MAX ? undefined : blockOf(it.compact, found);
      } catch (error) {
        log.debug({ peer: it.peerId, error: String(error) }, "parts of a proposal did not come");
        if (!(error instanceof FaultError && error.code === "node/request-timeout")) return undefined;
      }
    }
    return undefined;
  };

  return {
    /** Gives the whole proposal to `done`, at once where nothing is missing; or never. */
    assemble(compact: CompactProposal, { peerId }: PeerInfo, done: (proposal: Proposal) => void): void {
      const { vote, justification } = compact;
      const { header } = compact.block;
      const hash = blockHash(header);
      // A proposal sent again, or an epoch's last block proposed again.
      const known = chain.find(hash)?.block ?? store.blockByHash(hash);
      const found = known === undefined ? lookUp(compact, pool) : NOTHING_FOUND;
      const block = known ?? (isComplete(found) ? blockOf(compact, found) : undefined);
      if (block !== undefined) {
        counts.complete += 1;
        done({ block, vote, justification });
        return;
      }
      const name = `${peerId} ${toHex(hash)} ${vote.subject.view}`;
      if (pending.has(name)) return;
      const it: Pending = { peerId, compact, untilMs: performance.now() + PENDING_MS, dropped: false };
      add(name, it);
      void complete(it, hash, found).then((whole) => {
        if (it.dropped) return;
        pending.delete(name);
        if (whole === undefined) {
          counts.givenUp += 1;
          log.warn({ peer: peerId, view: vote.subject.view }, "a compact proposal stayed incomplete");
          return;
        }
        counts.fetched += 1;
        done({ block: whole, vote, justification });
      });
    },
    counts: (): AssemblerCounts => ({ ...counts, pending: pending.size }),
    stop(): void {
      for (const name of [...pending.keys()]) drop(name);
    },
  };
}

/** What is here of a body, in its order. */
type Found = {
  readonly transactions: (Transaction | undefined)[];
  readonly submissions: (Submission | undefined)[];
};
const NOTHING_FOUND: Found = { transactions: [], submissions: [] };
type Places = { readonly transactions: readonly number[]; readonly submissions: readonly number[] };

function lookUp({ block: { body } }: CompactProposal, pool: AssemblerComponents["pool"]): Found {
  return {
    transactions: body.transactions.map((root) => pool.transaction(root)),
    submissions: body.submissions.map((root) => pool.submission(root)),
  };
}

/** What has come in the meantime. */
function refresh(
  { block: { body } }: CompactProposal,
  { transactions, submissions }: Found,
  pool: AssemblerComponents["pool"],
): void {
  for (const at of gaps(transactions))
    transactions[at] = pool.transaction(body.transactions[at] ?? new Uint8Array(32));
  for (const at of gaps(submissions))
    submissions[at] = pool.submission(body.submissions[at] ?? new Uint8Array(32));
}

const gaps = (values: readonly unknown[]): number[] =>
  values.flatMap((value, at) => (value === undefined ? [at] : []));

const isComplete = ({ transactions, submissions }: Found): boolean =>
  !transactions.includes(undefined) && !submissions.includes(undefined);

const present = <T>(values: readonly (T | undefined)[]): T[] => values.filter((it) => it !== undefined);

function sizeOf({ transactions, submissions }: Found): number {
  let bytes = 0;
  for (const it of present(transactions)) bytes += TransactionType.value_serializedSize(it);
  for (const it of present(submissions)) bytes += SubmissionType.value_serializedSize(it);
  return bytes;
}

/** Puts the parts into their places; false if there are others, or one isn't what its name says. */
function fill({ block: { body } }: CompactProposal, found: Found, missing: Places, parts: Parts): boolean {
  const put = <T>(
    places: readonly number[],
    names: readonly Uint8Array[],
    values: readonly T[],
    rootOf: (value: T) => Uint8Array,
    into: (T | undefined)[],
  ): boolean =>
    places.length === values.length &&
    places.every((at, i) => {
      const [value, name] = [values[i], names[at]];
      if (value === undefined || name === undefined || !equalBytes(rootOf(value), name)) return false;
      into[at] = value;
      return true;
    });
  return (
    put(
      missing.transactions,
      body.transactions,
      parts.transactions,
      transactionContentRoot,
      found.transactions,
    ) &&
    put(missing.submissions, body.submissions, parts.submissions, submissionContentRoot, found.submissions)
  );
}

function blockOf({ block: { header, body } }: CompactProposal, found: Found): Block {
  const { beaconReveal, parentCertificate, lateCertificate, evidence } = body;
  return {
    header,
    body: {
      beaconReveal,
      parentCertificate,
      lateCertificate,
      transactions: present(found.transactions),
      submissions: present(found.submissions),
      evidence,
    },
  };
}

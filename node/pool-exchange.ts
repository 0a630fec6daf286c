/**
 * Keeps the pools of neighbours alike: a new peer is asked at once, and one of the peers every few seconds,
 * which ids wait there; what is lacking here is fetched and goes through the one door. So whoever was away,
 * or refused something a moment too early, has it a little later. What is fetched is not gossiped again:
 * the others ask for themselves. Made by node.ts.
 */
import { fromHex, toHex } from "../consensus/primitives/bytes.ts";
import type { Verdict } from "../consensus/primitives/faults.ts";
import { evidenceId } from "../consensus/types/evidence.ts";
import { nullifierOf } from "../consensus/types/submission.ts";
import { transactionId } from "../consensus/types/transaction.ts";
import type { EvidencePool } from "./evidence.ts";
import type { Log } from "./log.ts";
import type { Mempool } from "./mempool.ts";
import type { Network } from "./network/network.ts";
import {
  decodeIds,
  decodeObjects,
  POOL_OBJECTS_MAX,
  type PoolObject,
  type PoolView,
} from "./network/pool.ts";

const ROUND_MS = 3_000;
/** Peers that are being asked; a new one beyond that is asked in some later round. */
const ASKED_AT_ONCE_MAX = 8;
/** Objects of one peer under admission at once; it takes no more of anybody. */
const ADMITTED_AT_ONCE = 32;
/** An object that is not taken is fetched again so often at most; so many are remembered. */
const TRIES_MAX = 3;
const TRIED_MAX = 8_192;

/** What waits here, as peers may see it. */
export function poolView(
  mempool: Pick<Mempool, "ids" | "transaction" | "submission">,
  evidence: Pick<EvidencePool, "all">,
): PoolView {
  const evidenceById = (): Map<string, PoolObject> =>
    new Map(evidence.all().map((value) => [toHex(evidenceId(value)), { topic: "evidence", value }]));
  return {
    ids: () => [...[...evidenceById().keys()].map((id) => fromHex(id, 32)), ...mempool.ids()],
    object(id) {
      // Most of what waits, and looked at without hexadecimal text: a neighbour's list has thousands.
      const submission = mempool.submission(id);
      if (submission !== undefined) return { topic: "submissions", value: submission };
      const name = toHex(id);
      const transaction = mempool.transaction(name);
      if (transaction !== undefined) return { topic: "transactions", value: transaction };
      return evidence.all().length === 0 ? undefined : evidenceById().get(name);
    },
  };
}

export type PoolExchangeComponents = {
  /** The chain's tag. */
  readonly chain: Uint8Array;
  readonly pool: PoolView;
  readonly network: Pick<Network, "peers" | "askPool">;
  /** The one door. */
  admit(object: PoolObject, peerId: string): Promise<Verdict>;
  readonly log: Log;
};
export type PoolExchange = ReturnType<typeof createPoolExchange>;

export function createPoolExchange({ chain, pool, network, admit, log }: PoolExchangeComponents) {
  const asked = new Set<string>();
  const fetching = new Set<string>();
  /** How often an object was not taken. */
  const tries = new Map<string, number>();
  let stopped = false;

  const idOf = ({ topic, value }: PoolObject): Uint8Array => {
    if (topic === "transactions") return transactionId(chain, value);
    return topic === "submissions" ? nullifierOf(value) : evidenceId(value);
  };
  const isLacking = (id: Uint8Array): boolean =>
    pool.object(id) === undefined && !fetching.has(toHex(id)) && (tries.get(toHex(id)) ?? 0) < TRIES_MAX;
  const admitOne = async (object: PoolObject, peerId: string): Promise<void> => {
    const id = toHex(idOf(object));
    const verdict = await admit(object, peerId);
    if (verdict.kind === "accept") return;
    const before = verdict.kind === "reject" ? TRIES_MAX : (tries.get(id) ?? 0);
    tries.delete(id);
    if (tries.size >= TRIED_MAX) tries.delete(tries.keys().next().value ?? "");
    tries.set(id, before + 1);
  };

  const take = async (peerId: string): Promise<void> => {
    const lacking = (decodeIds(await network.askPool(peerId, { kind: "ids" })) ?? []).filter(isLacking);
    const names = lacking.map(toHex);
    for (const name of names) fetching.add(name);
    try {
      await fetchAll(peerId, lacking);
    } finally {
      for (const name of names) fetching.delete(name);
    }
  };

  const fetchAll = async (peerId: string, lacking: Uint8Array[]): Promise<void> => {
    while (lacking.length > 0 && !stopped) {
      const wanted = new Set(lacking.slice(0, POOL_OBJECTS_MAX).map(toHex));
      const question = { kind: "objects", ids: lacking.slice(0, POOL_OBJECTS_MAX) } as const;
      const objects = decodeObjects(await network.askPool(peerId, question)) ?? [];
      const found = objects.filter((it) => wanted.delete(toHex(idOf(it))));
      // As many as fit were sent: the rest is asked for again, unless nothing came.
      if (found.length === 0) return;
      const answered = question.ids.findLastIndex((id) => !wanted.has(toHex(id))) + 1;
      lacking.splice(0, answered);
      while (found.length > 0) {
        await Promise.all(found.splice(0, ADMITTED_AT_ONCE).map((it) => admitOne(it, peerId)));
      }
    }
  };

  const ask = (peerId: string): void => {
    if (stopped || asked.has(peerId) || asked.size >= ASKED_AT_ONCE_MAX) return;
    asked.add(peerId);
    take(peerId)
      .catch((error: unknown) => log.debug({ peer: peerId, error: String(error) }, "a pool was not learnt"))
      .finally(() => asked.delete(peerId));
  };
  let turn = 0;
  const timer = setInterval(() => {
    const peers = network.peers();
    const peer = peers[turn++ % Math.max(1, peers.length)];
    if (peer !== undefined) ask(peer.peerId);
  }, ROUND_MS);

  return {
    /** A peer has just connected. */
    ask,
    stop(): void {
      stopped = true;
      clearInterval(timer);
    },
  };
}

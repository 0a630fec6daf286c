/**
 * Gossiped messages without a verdict. A few of each peer are judged at once; the others wait for their
 * turn, the peers one after the other, so that a burst of one is neither lost nor in others' way: what is
 * dropped here, no peer sends again. Bounded by number and bytes, of a peer and of all; what is judged at once is
 * counted in objects, of which a message may hold many (topics.ts), for that is what admission has places for.
 * Made by gossip.ts.
 */

/**
 * Objects judged at once, of a peer and of all: less than admission's places, which pools learnt by question use
 * too. A peer's may not be fewer than a message holds.
 */
const JUDGED_OF_PEER_MAX = 96;
const JUDGED_MAX = 288;
/** Messages, those that wait for their turn included. */
const UNDECIDED_OF_PEER_MAX = 1_024;
const UNDECIDED_MAX = 4_096;
const BYTES_OF_PEER_MAX = 4 * 1024 * 1024;
const BYTES_MAX = 16 * 1024 * 1024;

type Waiting = {
  /** How many objects it holds. */
  readonly weight: number;
  readonly bytes: number;
  /** Must not reject. */
  readonly judge: () => Promise<void>;
};
type Peer = { judged: number; count: number; bytes: number; readonly waiting: Waiting[] };

export type GossipQueue = ReturnType<typeof createGossipQueue>;

export function createGossipQueue() {
  /** Whose turn it is comes first; a peer with nothing undecided takes no memory. */
  const peers = new Map<string, Peer>();
  let [judged, count, bytes] = [0, 0, 0];

  const run = async (peerId: string, peer: Peer, it: Waiting): Promise<void> => {
    peer.judged += it.weight;
    judged += it.weight;
    try {
      await it.judge();
    } finally {
      judged -= it.weight;
      count -= 1;
      bytes -= it.bytes;
      peer.judged -= it.weight;
      peer.count -= 1;
      peer.bytes -= it.bytes;
      if (peer.count === 0) peers.delete(peerId);
      next();
    }
  };
  /** What is too heavy for any place has its turn alone. */
  const fits = (taken: number, { weight }: Waiting, max: number): boolean =>
    taken === 0 || taken + weight <= max;
  const next = (): void => {
    // Whoever had a turn goes to the end, where this loop comes to it again.
    for (const [peerId, peer] of peers) {
      const [it] = peer.waiting;
      if (it === undefined || !fits(peer.judged, it, JUDGED_OF_PEER_MAX)) continue;
      // Nobody overtakes it, or light ones would keep a heavy one waiting for ever.
      if (!fits(judged, it, JUDGED_MAX)) return;
      peer.waiting.shift();
      peers.delete(peerId);
      peers.set(peerId, peer);
      void run(peerId, peer, it);
    }
  };

  return {
    /** Judges it at once or when its turn comes; false if there is no room. */
    add(peerId: string, it: Waiting): boolean {
      const peer = peers.get(peerId) ?? { judged: 0, count: 0, bytes: 0, waiting: [] };
      if (count >= UNDECIDED_MAX || peer.count >= UNDECIDED_OF_PEER_MAX) return false;
      if (bytes + it.bytes > BYTES_MAX || peer.bytes + it.bytes > BYTES_OF_PEER_MAX) return false;
      peers.set(peerId, peer);
      peer.waiting.push(it);
      peer.count += 1;
      peer.bytes += it.bytes;
      count += 1;
      bytes += it.bytes;
      next();
      return true;
    },
    /** Messages without a verdict. */
    size: (): number => count,
    /** What waits will not be judged; what is under way ends by itself. */
    stop(): void {
      for (const [peerId, peer] of peers) {
        for (const it of peer.waiting.splice(0)) {
          count -= 1;
          bytes -= it.bytes;
          peer.count -= 1;
          peer.bytes -= it.bytes;
        }
        if (peer.count === 0) peers.delete(peerId);
      }
    },
  };
}

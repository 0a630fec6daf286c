/**
 * What a peer may do on its streams: how often it may break the rules of encoding, speak without a seat,
 * and ask. Kept by peer id, not by connection: hanging up does not clear anything. Asked by network.ts;
 * what false objects cost is in node/relay-limits.ts.
 */
import { createBuckets } from "../buckets.ts";

/** A peer that breaks the encoding so often is disconnected and refused for a while; one strike a minute is forgotten. */
const STRIKES_MAX = 3;
const STRIKES_FORGIVEN_PER_SECOND = 1 / 60;
const REFUSED_MS = 10_000;
const REFUSED_MAX = 1024;
/**
 * Votes and proposals of who is no validator as far as this node knows. It may be this node that is behind,
 * so only what no honest validator would send is too much: points are messages, and 16 KiB each.
 */
const UNSEATED_PER_SECOND = 200;
const UNSEATED_AT_ONCE = 2_000;
const UNSEATED_BYTES_A_POINT = 16 * 1024;
/** Requests of one peer; past it they are refused, politely. */
const REQUESTS_PER_SECOND = 100;
const REQUESTS_AT_ONCE_MAX = 256;
/**
 * Bytes of answers to one peer: a block of 2 MiB takes some 15 ms to read and encode. At once may go the largest
 * snapshot; nobody executes blocks faster than the rest allows.
 */
const ANSWER_BYTES_PER_SECOND = 32 * 1024 * 1024;
const ANSWER_BYTES_AT_ONCE = 320 * 1024 * 1024;
/** Under way for one peer, on all of its streams. */
const ANSWERS_IN_HAND_MAX = 8;

export type PenaltiesOptions = {
  /** Of a clock that never goes back. */
  readonly nowMs?: () => number;
};
export type Penalties = ReturnType<typeof createPenalties>;

export function createPenalties({ nowMs = () => performance.now() }: PenaltiesOptions = {}) {
  /** Until when peers are refused. */
  const refused = new Map<string, number>();
  const strikes = createBuckets({ leakPerSecond: STRIKES_FORGIVEN_PER_SECOND, nowMs });
  const unseated = createBuckets({ leakPerSecond: UNSEATED_PER_SECOND, nowMs });
  const requests = createBuckets({ leakPerSecond: REQUESTS_PER_SECOND, nowMs });
  const answerBytes = createBuckets({ leakPerSecond: ANSWER_BYTES_PER_SECOND, nowMs });
  const answering = new Map<string, number>();

  return {
    isRefused: (peerId: string): boolean => (refused.get(peerId) ?? 0) > nowMs(),
    refuse(peerId: string): void {
      refused.delete(peerId);
      if (refused.size >= REFUSED_MAX) refused.delete(refused.keys().next().value ?? "");
      refused.set(peerId, nowMs() + REFUSED_MS);
    },
    /** True if it was one too many. */
    strike: (peerId: string): boolean => Math.ceil(strikes.add(peerId, 1)) >= STRIKES_MAX,
    /** Something of a peer without a seat was dropped; true if it was too much. */
    isTooMuchUnseated: (peerId: string, bytes: number): boolean =>
      unseated.add(peerId, 1 + bytes / UNSEATED_BYTES_A_POINT) > UNSEATED_AT_ONCE,
    /** Undefined, and nothing done, where the peer asks too much. */
    async answering(peerId: string, answer: () => Promise<Uint8Array>): Promise<Uint8Array | undefined> {
      const inHand = answering.get(peerId) ?? 0;
      if (inHand >= ANSWERS_IN_HAND_MAX || requests.level(peerId) >= REQUESTS_AT_ONCE_MAX) return undefined;
      if (answerBytes.level(peerId) >= ANSWER_BYTES_AT_ONCE) return undefined;
      requests.add(peerId, 1);
      answering.set(peerId, inHand + 1);
      try {
        const bytes = await answer();
        answerBytes.add(peerId, bytes.length);
        return bytes;
      } finally {
        const left = (answering.get(peerId) ?? 1) - 1;
        if (left > 0) answering.set(peerId, left);
        else answering.delete(peerId);
      }
    },
  };
}

/**
 * How long jobs wait for company before they are verified: a proof in a full batch costs a twelfth of one alone.
 * Called by verify.ts, which has the clock and the timer.
 *
 * Whoever waits alone waits as long as its caller says. While company keeps coming within that time it waits on,
 * because a burst is best gathered to its end or to a full batch, but never longer than four times that.
 */

/** So many don't wait. */
export const FULL = 128;
/** So many go together where they are there: a burst comes by 32, and what is left over would go in a small batch. */
export const BATCH_MAX = 2 * FULL;
const PATIENCE = 4;

export type Patient = {
  /** When it goes in any case. */
  lastMs: number;
};

export function createPatience() {
  /** When company will have stopped coming, should none come until then. */
  let lullMs = 0;
  return {
    /** Something comes that may wait `waitMs`; `waiting` are those before it. The latest that it goes. */
    arrive: (nowMs: number, waitMs: number, waiting: readonly Patient[]): number => {
      lullMs = waiting.length === 0 ? nowMs + waitMs : Math.max(lullMs, nowMs + waitMs);
      // Who comes in a hurry takes along what waits: it may be waited for by the same.
      if (waitMs === 0) for (const it of waiting) it.lastMs = nowMs;
      return nowMs + PATIENCE * waitMs;
    },
    /** How long those that wait still do. */
    leftMs: (nowMs: number, waiting: readonly Patient[]): number =>
      waiting.reduce((least, { lastMs }) => Math.min(least, lastMs), lullMs) - nowMs,
  };
}

/**
 * Keeps this thread answering while there is much to do: other events have their turn within long pieces of
 * work, and between many short ones. What one turn of the event loop gives to long work is shared by all of it.
 * Used by admission, chain, proposer, rpc/server.ts, scoring, snapshots, verification and catch-up/boundaries.ts.
 */
import type { Steps } from "../consensus/primitives/steps.ts";

/**
 * How far into a turn's share each kind of work may begin with something more: what others wait for gets further
 * than what nobody waits for. Everything gets something in each turn.
 */
export const TURN_MS = { blocks: 2, background: 1 } as const;

/** Resolves after the events that wait now have had their turn. */
export const aTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

let turnBeganMs: number | undefined;
/** For how long the long work of this turn has gone on: since the first that asked in it. */
function turnMs(): number {
  const nowMs = performance.now();
  if (turnBeganMs === undefined) {
    turnBeganMs = nowMs;
    setImmediate(() => {
      turnBeganMs = undefined;
    });
  }
  return nowMs - turnBeganMs;
}

/**
 * To be awaited before each of many short pieces of work that events bring together: once those of one turn have
 * taken `budgetMs`, the others wait for the next, in the order they came. One is let in after the other, so that
 * the clock is looked at when the work before is done, not when it is asked for. Its share is its own: what is
 * admitted must not wait for the blocks that are executed meanwhile.
 */
export function createPacer(budgetMs: number): () => Promise<void> {
  let turn: Promise<void> | undefined;
  let startMs = 0;
  const letIn = async (): Promise<void> => {
    if (turn !== undefined && performance.now() - startMs >= budgetMs) await turn;
    if (turn !== undefined) return;
    startMs = performance.now();
    turn = aTurn().then(() => {
      turn = undefined;
    });
  };
  let last = Promise.resolve();
  return () => {
    last = last.then(letIn);
    return last;
  };
}

/** What long work is worth when nobody wants it any more. */
export const UNWANTED = Symbol("unwanted");

/** Drives a long piece of work to its end, some steps a turn; between two turns it may become unwanted. */
export async function inTurns<T>(
  steps: Steps<T>,
  budgetMs: number,
  isWanted: () => boolean = () => true,
): Promise<T | typeof UNWANTED> {
  for (;;) {
    do {
      const step = steps.next();
      if (step.done === true) return step.value;
    } while (turnMs() < budgetMs);
    await aTurn();
    if (!isWanted()) return UNWANTED;
  }
}

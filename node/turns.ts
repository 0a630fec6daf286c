/**
 * Keeps this thread answering while there is much to do: other events have their turn within long pieces of
 * work, and between many short ones. Used by admission, chain, scoring, verification and
 * catch-up/boundaries.ts.
 */

/** Resolves after the events that wait now have had their turn. */
export const aTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * To be awaited before each of many short pieces of work that events bring together: once those of one turn have
 * taken `budgetMs`, the others wait for the next, in the order they came. One is let in after the other, so that
 * the clock is looked at when the work before is done, not when it is asked for.
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

/**
 * Keeps this thread answering while there is much to do: other events have their turn within long pieces of
 * work, and between many short ones. Used by admission, chain, scoring and verification.
 */

/** Resolves after the events that wait now have had their turn. */
export const aTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * To be awaited before each of many short pieces of work that events bring together: once those of one turn have
 * taken `budgetMs`, the others wait for the next, in the order they came.
 */
export function createPacer(budgetMs: number): () => Promise<void> {
  let turn: Promise<void> | undefined;
  let startMs = 0;
  return async () => {
    for (;;) {
      if (turn === undefined) {
        startMs = performance.now();
        turn = aTurn().then(() => {
          turn = undefined;
        });
        return;
      }
      if (performance.now() - startMs < budgetMs) return;
      await turn;
    }
  };
}

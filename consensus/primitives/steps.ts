/**
 * Long pure work cut into steps: a generator that yields wherever others may have their turn, and knows neither
 * who they are nor how long it took. The node drives it between other events (node/turns.ts); {@link allAtOnce}
 * drives the same code to its end, so that both give the same result. Used by the transition, its checks and
 * the state's encoding.
 */

export type Steps<T> = Generator<undefined, T, undefined>;

export function allAtOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** `map`, a step for each element. */
export function* eachStep<T, U>(items: Iterable<T>, apply: (item: T, index: number) => U): Steps<U[]> {
  const results: U[] = [];
  for (const item of items) {
    results.push(apply(item, results.length));
    yield;
  }
  return results;
}

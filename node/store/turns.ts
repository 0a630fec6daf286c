/** Work done one piece at a time, in the order of the calls. Used by the store for writes and by the signer for votes. */
import { invariant } from "../../consensus/primitives/faults.ts";

/** More than `waitingMax` pieces waiting is a bug of whoever asks without awaiting. */
export function createTurns(waitingMax: number): <T>(work: () => Promise<T>) => Promise<T> {
  let waiting = 0;
  let last: Promise<void> = Promise.resolve();
  return async (work) => {
    invariant(waiting < waitingMax, `${waiting} pieces of work wait for their turn`);
    waiting += 1;
    const before = last;
    const { promise, resolve } = Promise.withResolvers<void>();
    last = promise;
    try {
      await before;
      return await work();
    } finally {
      waiting -= 1;
      resolve();
    }
  };
}

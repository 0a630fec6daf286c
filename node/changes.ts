/** Long polls: wait until a question about the node has an answer, asking again at every change. */
import { FaultError } from "../consensus/primitives/faults.ts";

const WAITERS_MAX = 1_024;

export type Changes = ReturnType<typeof createChanges>;

export function createChanges() {
  const waiters = new Set<() => void>();
  return {
    /** Something changed: a block became final, something was pooled or refused. */
    notify(): void {
      for (const wake of [...waiters]) wake();
    },
    /** The first answer that is not undefined, or undefined when the time is over or the caller is gone. */
    async until<T>(
      question: () => T | undefined,
      timeoutMs: number,
      signal: AbortSignal,
    ): Promise<T | undefined> {
      const first = question();
      if (first !== undefined || timeoutMs === 0) return first;
      if (waiters.size >= WAITERS_MAX) throw new FaultError("rpc/busy", { waiting: waiters.size });
      const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
      const wake = (): void => {
        try {
          const answer = question();
          if (answer !== undefined) resolve(answer);
        } catch (error) {
          reject(error);
        }
      };
      const giveUp = (): void => resolve(undefined);
      const timer = setTimeout(giveUp, timeoutMs);
      waiters.add(wake);
      signal.addEventListener("abort", giveUp, { once: true });
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
        waiters.delete(wake);
        signal.removeEventListener("abort", giveUp);
      }
    },
  };
}

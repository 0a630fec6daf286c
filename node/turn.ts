/**
 * One turn of the driver: what it has to write, and what may leave once that is on disk. One synced batch
 * before anything is sent; votes join it through the signer.
 */
import type { StoreOp } from "./store/ops.ts";
import type { Store } from "./store/store.ts";

export type Turn = ReturnType<typeof createTurn>;

/** `together`: what is sent within it may leave in one piece. */
export function createTurn(store: Pick<Store, "write">, together: (send: () => void) => void) {
  let ops: StoreOp[] = [];
  let sends: (() => void)[] = [];
  return {
    add(op: StoreOp, send?: () => void): void {
      ops.push(op);
      if (send !== undefined) sends.push(send);
    },
    /** Writes all that waits, by `write` together with something of its own, and then sends it, and `last` of all. */
    async flush(write?: (waiting: readonly StoreOp[]) => Promise<void>, last?: () => void): Promise<void> {
      const [waiting, leaving] = [ops, sends];
      ops = [];
      sends = [];
      if (write !== undefined) await write(waiting);
      else if (waiting.length > 0) await store.write(waiting);
      if (last !== undefined) leaving.push(last);
      if (leaving.length === 0) return;
      together(() => {
        for (const send of leaving) send();
      });
    },
  };
}

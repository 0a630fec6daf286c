/**
 * What a devnet's owner wants to know while it runs and when it ends: height, finality, proofs, coins, and
 * the accuracy of each round's model on rows that nobody trained on. Asks the nodes' public RPC only.
 */
import { equalBytes, fromHex } from "../consensus/primitives/bytes.ts";
import { FEATURE_SCALE, type Rows } from "../consensus/work/gradient.ts";
import { createClient } from "../pod/client.ts";
import type { ResultOf } from "../rpc/methods.ts";

export type ChainStatus = ResultOf<"chain_status">;

export type DevnetStatus = {
  readonly chain: ChainStatus;
  /** On the test rows after each settled round, parts of 1. */
  readonly accuracy: readonly number[];
};

export type Summary = {
  readonly height: number;
  readonly finalizedHeight: number;
  readonly epochs: number;
  readonly proofs: { readonly verified: number; readonly rejected: number };
  readonly mintedNzkp: string;
  readonly accuracy: readonly number[];
  /** Node → state root at the highest height that all running nodes have finalized. */
  readonly stateRoots: Readonly<Record<string, string>>;
  readonly restarts: number;
};

export type Monitor = {
  status(signal?: AbortSignal): Promise<DevnetStatus>;
  summary(restarts: number, signal?: AbortSignal): Promise<Summary>;
};

type Node = { readonly name: string; readonly rpc: string };

/** `nodes()`: those that are meant to run now. */
export function createMonitor(nodes: () => readonly Node[], task: string, test: Rows): Monitor {
  const accuracyOf = new Map<string, number>();
  let epoch = "";

  const accuracies = async (chain: ChainStatus, signal: AbortSignal | undefined): Promise<number[]> => {
    if (chain.epoch !== epoch) {
      const client = createClient({ rpc: nodes().map(({ rpc }) => rpc) });
      const { rounds } = await client.call("task_get", { task }, { signal });
      for (const round of rounds) accuracyOf.set(round.epoch, accuracy(round.model.map(Number), test));
      epoch = chain.epoch;
    }
    return [...accuracyOf.values()];
  };

  return {
    status: async (signal) => {
      const chain = await createClient({ rpc: nodes().map(({ rpc }) => rpc) }).call(
        "chain_status",
        {},
        { signal },
      );
      return { chain, accuracy: await accuracies(chain, signal) };
    },
    summary: async (restarts, signal) => {
      const running = nodes();
      const all = await Promise.all(
        running.map(({ rpc }) => createClient({ rpc }).call("chain_status", {}, { signal })),
      );
      const heights = all.map(({ finalizedHeight }) => Number(finalizedHeight));
      const common = String(Math.min(...heights));
      const roots = await Promise.all(
        running.map(async ({ name, rpc }): Promise<[string, string]> => {
          const block = await createClient({ rpc }).call("chain_block", { height: common }, { signal });
          return [name, block.stateRoot];
        }),
      );
      const newest = all.reduce((a, b) => (Number(b.finalizedHeight) > Number(a.finalizedHeight) ? b : a));
      epoch = "";
      return {
        height: Math.max(...all.map(({ height }) => Number(height))),
        finalizedHeight: Number(newest.finalizedHeight),
        epochs: Number(newest.epoch),
        proofs: {
          verified: Math.max(...all.map(({ proofs }) => proofs.verified)),
          rejected: all.reduce((sum, { proofs }) => sum + proofs.rejected, 0),
        },
        mintedNzkp: newest.supply.minted,
        accuracy: (await accuracies(newest, signal)).map((value) => Math.round(value * 10_000) / 10_000),
        stateRoots: Object.fromEntries(roots),
        restarts,
      };
    },
  };
}

/** Part of the rows that the model puts on the right side. */
export function accuracy(model: readonly number[], { features, x, y }: Rows): number {
  let right = 0;
  for (const [i, label] of y.entries()) {
    let z = (model[features] ?? 0) * FEATURE_SCALE;
    for (let j = 0; j < features; j++) z += (model[j] ?? 0) * (x[i * features + j] ?? 0);
    if (z > 0 === (label === 1)) right++;
  }
  return y.length === 0 ? 0 : right / y.length;
}

/** Every nzkp is somewhere: what was there at genesis and what was minted, against where it is now or was burned. */
export function supplyGap({ supply }: ChainStatus): bigint {
  const { genesis, minted, circulating, staked, bonded, escrowed, locked, treasury, burned } = supply;
  const made = BigInt(genesis) + BigInt(minted);
  return (
    made -
    [circulating, staked, bonded, escrowed, locked, treasury, burned].reduce(
      (sum, part) => sum + BigInt(part),
      0n,
    )
  );
}

export function sameRoots(roots: Readonly<Record<string, string>>): boolean {
  const [first, ...others] = Object.values(roots).map((root) => fromHex(root, 32));
  return first !== undefined && others.every((root) => equalBytes(root, first));
}

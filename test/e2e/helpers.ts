/** A small, fast devnet of real processes for end-to-end tests, and what they all ask of it. */
import { type Devnet, type DevnetEvent, type DevnetOptions, startDevnet } from "../../devnet/devnet.ts";
import { waitFor } from "../../pod/wait.ts";
import type { ResultOf } from "../../rpc/methods.ts";

export type Status = ResultOf<"chain_status">;

export const START_MS = 180_000;

/** Generated data in a small shape, four blocks a second; nothing on disk outlives it. */
export function startSmallDevnet(options: Partial<DevnetOptions> = {}): Promise<Devnet> {
  return startDevnet({
    shape: "gradient-8x4",
    features: 4,
    blockIntervalMs: 250,
    rpcPort: 0,
    logLevel: "warn",
    ...options,
  });
}

export const statusOf = (devnet: Devnet, node?: number): Promise<Status> =>
  devnet.client(node).call("chain_status", {});

/** The first status of a node that `ready` accepts. */
export function statusWhen(
  devnet: Devnet,
  what: string,
  ready: (status: Status) => boolean,
  node?: number,
): Promise<Status> {
  const look = async (): Promise<Status | undefined> => {
    const status = await statusOf(devnet, node);
    return ready(status) ? status : undefined;
  };
  return waitFor(what, look, { timeoutMs: 120_000, everyMs: 100 });
}

export async function blockAt(
  devnet: Devnet,
  node: number,
  height: number,
): Promise<ResultOf<"chain_block">> {
  return devnet.client(node).call("chain_block", { height: String(height) });
}

/** Ids of all proofs in the finalized chain up to a height. */
export async function proofsUpTo(devnet: Devnet, height: number): Promise<string[]> {
  const found: string[] = [];
  for (let at = 1; at <= height; at++) found.push(...(await blockAt(devnet, 0, at)).submissions);
  return found;
}

/** nzkp that each pod's events told of. */
export function rewardsIn(events: readonly DevnetEvent[]): Map<string, bigint> {
  const rewards = new Map<string, bigint>();
  for (const event of events) {
    if (event.kind !== "pod" || "notice" in event.event || event.event.reward === undefined) continue;
    rewards.set(event.pod, (rewards.get(event.pod) ?? 0n) + BigInt(event.event.reward.amount));
  }
  return rewards;
}

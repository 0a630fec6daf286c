/**
 * What a devnet keeps on disk: DIR/devnet.json, which says what it is and where everything listens, and the
 * paths beside it. Written by the plan and at each start, read by the CLI, tests and whoever wants the URLs.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { FaultError } from "../consensus/primitives/faults.ts";
import { readJson, writeJson } from "../pod/folder.ts";
import { AddressText, Hash, hexOf, Uint64 } from "../rpc/encoding.ts";

const Port = z.number().int().min(1).max(65_535);

export const DevnetFile = z.strictObject({
  version: z.literal(1),
  chainId: z.string(),
  /** Of the devnet's own process while it runs. */
  pid: z.number().int().optional(),
  /** The options that made the chain, as JSON: a later start must agree with them. */
  options: z.record(z.string(), z.json()),
  task: z.strictObject({
    id: Hash,
    name: z.string(),
    shape: z.string(),
    rows: z.number(),
    features: z.number(),
  }),
  /** Public development accounts; the first is the faucet's. */
  accounts: z.array(z.strictObject({ address: AddressText, balance: Uint64, seed: hexOf(32) })),
  nodes: z.array(
    z.strictObject({
      name: z.string(),
      dir: z.string(),
      rpc: z.string(),
      rpcPort: Port,
      p2pPort: Port,
      peerId: z.string(),
      pid: z.number().int().optional(),
    }),
  ),
  pods: z.array(
    z.strictObject({
      name: z.string(),
      dir: z.string(),
      rpc: z.string(),
      podId: Hash,
      account: AddressText,
      pid: z.number().int().optional(),
    }),
  ),
  sponsor: z.strictObject({ dir: z.string(), account: AddressText }),
});
export type DevnetFile = z.output<typeof DevnetFile>;

export const paths = (dir: string) => ({
  devnet: join(dir, "devnet.json"),
  genesis: join(dir, "genesis.json"),
  faucet: join(dir, "faucet.json"),
  node: (i: number) => join(dir, `node-${i}`),
  pod: (i: number) => join(dir, "pods", `clinic-${i}`),
  sponsor: join(dir, "sponsor"),
  sponsorKey: join(dir, "sponsor", "account.json"),
  pool: join(dir, "sponsor", "pool.json"),
  /** Rows that nobody trains or is paid on: the devnet's own measure. */
  test: join(dir, "test.json"),
});

/** The devnet kept in `dir`; undefined if there is none. */
export async function readDevnet(dir: string): Promise<DevnetFile | undefined> {
  const { devnet } = paths(dir);
  return (await exists(devnet)) ? readJson(devnet, DevnetFile) : undefined;
}

/** It holds the seeds of accounts: for the owner's eyes. */
export async function writeDevnet(dir: string, file: DevnetFile): Promise<void> {
  await writeJson(paths(dir).devnet, file, 0o600);
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}

/** Whether a process of this id is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** @throws `node/store-locked` if another devnet runs in this folder */
export function checkUnlocked(dir: string, file: DevnetFile): void {
  if (file.pid !== undefined && file.pid !== process.pid && isAlive(file.pid)) {
    throw new FaultError("node/store-locked", { dir, pid: file.pid });
  }
}

/** A node's own configuration: config.json in its folder. Paths are relative to the folder. */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import { FaultError } from "../consensus/primitives/faults.ts";
import { LOG_LEVELS } from "./log.ts";

const NodeConfig = z.strictObject({
  name: z.string().min(1).max(64),
  genesis: z.string(),
  /** Multiaddr to listen on. */
  listen: z.string(),
  /** Multiaddrs to keep connected, with /p2p/…; the own one may be among them. */
  peers: z.array(z.string()).max(1_000),
  rpc: z.strictObject({ host: z.string(), port: z.number().int().min(0).max(65_535) }),
  networkKey: z.string(),
  /** A validator's BLS key; without it the node only follows. */
  blsKey: z.string().optional(),
  /** The validator's account. */
  accountKey: z.string().optional(),
  /** Development chains only: the account that dev_faucet spends from. */
  faucetKey: z.string().optional(),
  /** False: a node far behind executes every block instead of taking a state from its peers. */
  snapshotSync: z.boolean().default(true),
  logLevel: z.enum(LOG_LEVELS).default("info"),
});
export type NodeConfig = z.output<typeof NodeConfig>;

export async function loadConfig(dir: string): Promise<NodeConfig> {
  const file = join(dir, "config.json");
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new FaultError("config/invalid", { file, expected: "a JSON file" }, error);
  }
  const result = NodeConfig.safeParse(json);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new FaultError("config/invalid", {
      file,
      field: issue?.path.join(".") ?? "",
      expected: issue?.message ?? "",
    });
  }
  const path = (name: string): string => resolve(dir, name);
  const { blsKey, accountKey, faucetKey, ...rest } = result.data;
  return {
    ...rest,
    genesis: path(rest.genesis),
    networkKey: path(rest.networkKey),
    ...(blsKey === undefined ? {} : { blsKey: path(blsKey) }),
    ...(accountKey === undefined ? {} : { accountKey: path(accountKey) }),
    ...(faucetKey === undefined ? {} : { faucetKey: path(faucetKey) }),
  };
}

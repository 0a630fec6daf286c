/** `zkp node init`: a folder with new keys and a configuration, for a node that joins a running chain. */
import { access, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { FaultError } from "../consensus/primitives/faults.ts";
import { formatAddress } from "../consensus/types/address.ts";
import { addressOf } from "../consensus/types/transaction.ts";
import { anyPorts } from "../devnet/ports.ts";
import { loadConfig, type NodeConfig } from "../node/config.ts";
import { createKey, libp2pKey, loadKey, peerIdOf, saveKey } from "../node/keys.ts";
import { writeJson } from "../pod/folder.ts";
import { globalsOf, parseCount, print } from "./options.ts";

const EXAMPLES = `Examples:
  zkp node init --dir mynet/node-4 --like mynet/node-0      genesis and peers of a node on this machine
  zkp node init --dir mynet/reader --like mynet/node-0 --follower   follows and serves RPC, never votes
  zkp node init --dir n --genesis genesis.json --peer /ip4/10.0.0.1/tcp/9000/p2p/12D3…
`;

type Flags = {
  readonly dir: string;
  readonly like?: string;
  readonly genesis?: string;
  readonly peer?: readonly string[];
  readonly host: string;
  readonly port?: number;
  readonly rpcPort?: number;
  readonly follower?: boolean;
};

export function addNodeInit(node: Command): void {
  node
    .command("init")
    .description("make keys and a configuration for a new node")
    .addHelpText("before", EXAMPLES)
    .requiredOption("--dir <dir>", "the new folder")
    .option("--like <dir>", "another node's folder: its genesis, its peers and itself as one")
    .option("--genesis <file>", "the chain's genesis document")
    .option("--peer <address...>", "multiaddrs with /p2p/…")
    .option("--host <ip>", "address to listen on", "127.0.0.1")
    .option("--port <port>", "for other nodes; any free one if absent", parseCount)
    .option("--rpc-port <port>", "any free one if absent", parseCount)
    .option(
      "--follower",
      "without a validator's keys: follows finality, serves RPC, passes on what it is sent",
    )
    .action(async (flags: Flags, command: Command) => {
      const made = await init(flags);
      print(globalsOf(command), made, () =>
        [
          `keys and config.json in ${made.dir}; the seeds are for your eyes only`,
          `${made.account === undefined ? "" : `account ${made.account}   `}RPC ${made.rpc}`,
          `next: zkp node start --dir ${made.dir}${made.account === undefined ? "" : `, then zkp validator join --dir ${made.dir} --stake ZKP`}`,
        ].join("\n"),
      );
    });
}

/** Genesis, peers and, on development chains, the faucet of another node on this machine. */
async function likeOf(dir: string): Promise<Pick<NodeConfig, "genesis" | "peers" | "faucetKey">> {
  const { genesis, peers, listen, networkKey, faucetKey } = await loadConfig(dir);
  if (listen.endsWith("/tcp/0"))
    throw new FaultError("config/invalid", { dir, field: "listen", expected: "a fixed port" });
  const peerId = peerIdOf(await libp2pKey((await loadKey(networkKey, "network")).seed));
  return { genesis, peers: [...peers, `${listen}/p2p/${peerId}`], faucetKey };
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false; // whatever the reason, there is nothing here that would be replaced
  }
}

type Made = {
  readonly dir: string;
  readonly role: "follower" | "validator";
  /** A follower has none. */
  readonly account?: string;
  readonly rpc: string;
};

async function init(flags: Flags): Promise<Made> {
  const { dir, like, host, follower = false } = flags;
  const config = join(dir, "config.json");
  if (await exists(config)) throw new FaultError("config/invalid", { dir, problem: "holds a node already" });
  const other = like === undefined ? undefined : await likeOf(like);
  const genesis = flags.genesis === undefined ? other?.genesis : resolve(flags.genesis);
  if (genesis === undefined)
    throw new FaultError("config/usage", { option: "--genesis", expected: "it or --like" });
  const [port, rpcPort] = await anyPorts(2);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const account = createKey("account");
  for (const key of [createKey("network"), ...(follower ? [] : [createKey("bls"), account])])
    await saveKey(join(dir, `${key.kind}.json`), key);
  const rpc = { host: "127.0.0.1", port: flags.rpcPort ?? rpcPort ?? 0 };
  await writeJson(
    config,
    {
      name: dir.split(/[\\/]/).findLast((part) => part !== "") ?? "node",
      genesis,
      listen: `/ip4/${host}/tcp/${flags.port ?? port ?? 0}`,
      peers: [...(other?.peers ?? []), ...(flags.peer ?? [])],
      rpc,
      ...(follower ? {} : { blsKey: "bls.json", accountKey: "account.json" }),
      networkKey: "network.json",
      ...(other?.faucetKey === undefined ? {} : { faucetKey: other.faucetKey }),
      logLevel: "info",
    },
    0o644,
  );
  const url = `http://${rpc.host}:${rpc.port}`;
  if (follower) return { dir, role: "follower", rpc: url };
  return { dir, role: "validator", account: formatAddress(addressOf(account.publicKey)), rpc: url };
}

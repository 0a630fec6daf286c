/**
 * A chain of validators on this machine without tasks, so without circuits: a genesis, a folder for each
 * node, and the nodes as real processes. Called by end-to-end tests and the finality bench.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toHex } from "../../consensus/primitives/bytes.ts";
import type { ParamName } from "../../consensus/primitives/params.ts";
import { zkp } from "../../consensus/primitives/units.ts";
import { formatAddress } from "../../consensus/types/address.ts";
import { addressOf } from "../../consensus/types/transaction.ts";
import { possessionRoot } from "../../consensus/types/vote.ts";
import { type Child, createChild } from "../../devnet/child.ts";
import { anyPorts } from "../../devnet/ports.ts";
import { GenesisDocument } from "../../genesis/document.ts";
import { chainTag } from "../../genesis/state.ts";
import { blsSecretKey, createKey, devKey, type Key, libp2pKey, peerIdOf, saveKey } from "../../node/keys.ts";
import { nodeArgs } from "../../node/process.ts";
import { type Client, createClient } from "../../pod/client.ts";
import { waitFor } from "../../pod/wait.ts";
import { createGate, type Gate } from "./gate.ts";

export type LocalChainOptions = {
  readonly chainId: string;
  readonly validators: number;
  readonly params: Partial<Record<ParamName, string>>;
  readonly logLevel?: string;
  /** In nzkp. */
  readonly stake?: bigint;
  /** A node whose connections, in either direction, go through gates that the test can cut. */
  readonly gated?: number;
};

export type StartOptions = {
  /** Another entry point than node/main.ts, and what it is given after `--dir DIR`. */
  readonly entry?: string;
  readonly args?: readonly string[];
  readonly onLine?: (line: string) => void;
  /** Called instead of noting the end in `crashes`; it is not started again. */
  readonly onEnd?: (how: string, errors: string) => void;
};

export type LocalChain = Awaited<ReturnType<typeof createLocalChain>>;

export async function createLocalChain(options: LocalChainOptions) {
  const { chainId, validators, params, logLevel = "info", stake = zkp(1_000), gated } = options;
  const dir = await mkdtemp(join(tmpdir(), `zkp-${chainId}-`));
  const dirOf = (i: number): string => join(dir, `node-${i}`);
  const keys = Array.from({ length: validators }, () => ({
    bls: createKey("bls"),
    account: createKey("account"),
    network: createKey("network"),
  }));
  const nameOf = ({ publicKey }: Key): string => formatAddress(addressOf(publicKey));
  const faucet = devKey("account", "account-0");
  const document = GenesisDocument.parse({
    chainId,
    preset: "dev",
    params,
    timeMs: String(Date.now()),
    accounts: [faucet, ...keys.map(({ account }) => account)].map((key) => ({
      address: nameOf(key),
      balance: String(zkp(50_000)),
    })),
    validators: keys.map(({ bls, account }, i) => ({
      name: `node-${i}`,
      publicKey: toHex(account.publicKey),
      blsKey: toHex(bls.publicKey),
      possession: toHex(
        blsSecretKey(bls.seed)
          .sign(possessionRoot(chainTag(chainId), bls.publicKey))
          .toBytes(),
      ),
      stake: String(stake),
    })),
    circuits: [],
    pods: [],
    tasks: [],
  });
  await writeFile(join(dir, "genesis.json"), JSON.stringify(document));
  await saveKey(join(dir, "faucet.json"), faucet);
  const ports = await anyPorts(2 * validators);
  const ids = await Promise.all(keys.map(async ({ network }) => peerIdOf(await libp2pKey(network.seed))));
  const gates = new Map<number, Gate>();
  if (gated !== undefined) for (let i = 0; i < validators; i++) gates.set(i, await createGate(ports[i] ?? 0));
  /** How node `from` reaches node `to`. */
  const addressOfNode = (from: number, to: number): string => {
    const gate = from === gated || to === gated ? gates.get(to) : undefined;
    return `/ip4/127.0.0.1/tcp/${gate?.port ?? ports[to]}/p2p/${ids[to]}`;
  };
  for (const [i, own] of keys.entries()) {
    await mkdir(dirOf(i));
    for (const key of Object.values(own)) await saveKey(join(dirOf(i), `${key.kind}.json`), key);
    await writeFile(
      join(dirOf(i), "config.json"),
      JSON.stringify({
        name: `node-${i}`,
        genesis: "../genesis.json",
        listen: `/ip4/127.0.0.1/tcp/${ports[i]}`,
        peers: keys.flatMap((_, j) => (j === i ? [] : [addressOfNode(i, j)])),
        rpc: { host: "127.0.0.1", port: ports[validators + i] },
        blsKey: "bls.json",
        accountKey: "account.json",
        networkKey: "network.json",
        faucetKey: "../faucet.json",
        logLevel,
      }),
    );
  }
  const children: Child[] = [];
  const crashes: string[] = [];
  const rpcOf = (i: number): string => `http://127.0.0.1:${ports[validators + i]}`;
  const clients = new Map<number, Client>();
  const client = (i = 0): Client => {
    const known = clients.get(i) ?? createClient({ rpc: rpcOf(i) });
    clients.set(i, known);
    return known;
  };

  return {
    dir,
    dirOf,
    document,
    rpcOf,
    client,
    /** How nodes ended by themselves. */
    crashes,
    /** The process of node-i, started. Folders beyond the genesis validators are the caller's to make. */
    start(i: number, { entry, args = [], onLine, onEnd }: StartOptions = {}): Child {
      const child = createChild({
        name: `node-${i}`,
        args: [...nodeArgs(dirOf(i), entry), ...args],
        onLine: onLine ?? (() => undefined),
        onCrash({ name, how, errors }) {
          if (onEnd === undefined) crashes.push(`${name} ${how} ${errors}`);
          else {
            void child.stop();
            onEnd(how, errors);
          }
        },
      });
      children.push(child);
      child.start();
      return child;
    },
    /** A node's finalized height once it is at least so high; a node that is not up yet is asked again. */
    finalAt: (height: number, i = 0, timeoutMs = 60_000): Promise<number> =>
      waitFor(
        `node-${i} at height ${height}`,
        async () => {
          try {
            const { finalizedHeight } = await client(i).call("chain_status", {});
            return Number(finalizedHeight) >= height ? Number(finalizedHeight) : undefined;
          } catch {
            return undefined; // the node is not up yet
          }
        },
        { timeoutMs, everyMs: 100 },
      ),
    /** Ends the gated node's connections, and lets it connect again. */
    cut(): void {
      for (const gate of gates.values()) gate.cut();
    },
    heal(): void {
      for (const gate of gates.values()) gate.open();
    },
    async stop(): Promise<void> {
      await Promise.all(children.map((child) => child.stop()));
      await Promise.all([...gates.values()].map((gate) => gate.stop()));
      await rm(dir, { recursive: true, force: true });
    },
  };
}

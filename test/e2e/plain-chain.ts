/**
 * A chain of real processes without pods, tasks and circuits: four validators with keys of their own, one
 * folder each, and the command line. For tests of nodes rather than of work.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
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
import { type Client, createClient } from "../../pod/client.ts";
import { waitFor } from "../../pod/wait.ts";

const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const MAIN = fileURLToPath(new URL("../../node/main.ts", import.meta.url));
const VALIDATORS = 4;
const run = promisify(execFile);

export type PlainChainOptions = {
  readonly chainId: string;
  readonly params: Partial<Record<ParamName, string>>;
};
export type PlainChain = Awaited<ReturnType<typeof startPlainChain>>;

async function writeFolders(dir: string, { chainId, params }: PlainChainOptions): Promise<void> {
  const chain = chainTag(chainId);
  const keys = Array.from({ length: VALIDATORS }, () => ({
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
      possession: toHex(blsSecretKey(bls.seed).sign(possessionRoot(chain, bls.publicKey)).toBytes()),
      stake: String(zkp(1_000)),
    })),
    circuits: [],
    pods: [],
    tasks: [],
  });
  await writeFile(join(dir, "genesis.json"), JSON.stringify(document));
  await saveKey(join(dir, "faucet.json"), faucet);
  const ports = await anyPorts(2 * VALIDATORS);
  const addresses = await Promise.all(
    keys.map(
      async ({ network }, i) =>
        `/ip4/127.0.0.1/tcp/${ports[i]}/p2p/${peerIdOf(await libp2pKey(network.seed))}`,
    ),
  );
  for (const [i, own] of keys.entries()) {
    const folder = join(dir, `node-${i}`);
    await mkdir(folder);
    for (const key of Object.values(own)) await saveKey(join(folder, `${key.kind}.json`), key);
    await writeFile(
      join(folder, "config.json"),
      JSON.stringify({
        name: `node-${i}`,
        genesis: "../genesis.json",
        listen: `/ip4/127.0.0.1/tcp/${ports[i]}`,
        peers: addresses.filter((_, j) => j !== i),
        rpc: { host: "127.0.0.1", port: ports[VALIDATORS + i] },
        blsKey: "bls.json",
        accountKey: "account.json",
        networkKey: "network.json",
        faucetKey: "../faucet.json",
      }),
    );
  }
}

/** Resolves when a first block is final. */
export async function startPlainChain(options: PlainChainOptions) {
  const dir = await mkdtemp(join(tmpdir(), "zkp-plain-"));
  const children = new Map<number, Child>();
  const crashes: string[] = [];
  const dirOf = (i: number): string => join(dir, `node-${i}`);
  const configOf = async (i: number): Promise<{ rpc: { port: number } }> =>
    JSON.parse(await readFile(join(dirOf(i), "config.json"), "utf8")) as { rpc: { port: number } };
  const rpcOf = async (i: number): Promise<string> => `http://127.0.0.1:${(await configOf(i)).rpc.port}`;

  await writeFolders(dir, options);
  const it = {
    dir,
    dirOf,
    configOf,
    /** What any process did that it should not. */
    crashes,
    clientOf: async (i: number): Promise<Client> => createClient({ rpc: await rpcOf(i) }),
    /** Starts the node of a folder; the same child again after a kill. */
    startNode(i: number): void {
      const child =
        children.get(i) ??
        createChild({
          name: `node-${i}`,
          args: [MAIN, "--dir", dirOf(i)],
          onLine: () => undefined,
          onCrash: ({ name, how, errors }) => void crashes.push(`${name} ${how} ${errors}`),
        });
      children.set(i, child);
      child.start();
    },
    killNode: async (i: number): Promise<void> => children.get(i)?.kill(),
    /** A command, asked of node 0. */
    async cli(...args: string[]): Promise<Record<string, unknown>> {
      const { stdout } = await run(process.execPath, [CLI, "--rpc", await rpcOf(0), "--json", ...args]);
      return JSON.parse(stdout) as Record<string, unknown>;
    },
    /** What a node gives once `look` accepts it; a node that is not up yet is waited for. */
    when: <T>(what: string, look: () => Promise<T | undefined>, timeoutMs = 120_000): Promise<T> =>
      waitFor(
        what,
        async () => {
          try {
            return await look();
          } catch {
            return undefined;
          }
        },
        { timeoutMs, everyMs: 100 },
      ),
    async stop(): Promise<void> {
      await Promise.all([...children.values()].map((child) => child.stop()));
      await rm(dir, { recursive: true, force: true });
    },
  };
  for (let i = 0; i < VALIDATORS; i++) it.startNode(i);
  const client = await it.clientOf(0);
  await it.when("a first final block", async () =>
    Number((await client.call("chain_status", {})).finalizedHeight) > 0 ? true : undefined,
  );
  return it;
}

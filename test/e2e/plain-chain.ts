/**
 * A running chain of four validators (test/helpers/local-chain.ts), nodes that join it, and the command
 * line. For tests of nodes rather than of work.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { ParamName } from "../../consensus/primitives/params.ts";
import type { Child } from "../../devnet/child.ts";
import { type Client, createClient } from "../../pod/client.ts";
import { waitFor } from "../../pod/wait.ts";
import { createLocalChain } from "../helpers/local-chain.ts";

const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const VALIDATORS = 4;
const run = promisify(execFile);

export type PlainChainOptions = {
  readonly chainId: string;
  readonly params: Partial<Record<ParamName, string>>;
};
export type PlainChain = Awaited<ReturnType<typeof startPlainChain>>;

/** Resolves when a first block is final. */
export async function startPlainChain(options: PlainChainOptions) {
  const chain = await createLocalChain({ ...options, validators: VALIDATORS });
  const { dir, dirOf, crashes } = chain;
  const children = new Map<number, Child>();
  const configOf = async (i: number): Promise<{ rpc: { port: number } }> =>
    JSON.parse(await readFile(join(dirOf(i), "config.json"), "utf8")) as { rpc: { port: number } };
  const rpcOf = async (i: number): Promise<string> => `http://127.0.0.1:${(await configOf(i)).rpc.port}`;

  const it = {
    dir,
    dirOf,
    configOf,
    /** What any process did that it should not. */
    crashes,
    clientOf: async (i: number): Promise<Client> => createClient({ rpc: await rpcOf(i) }),
    /** Starts the node of a folder; the same child again after a kill. */
    startNode(i: number): void {
      const child = children.get(i);
      if (child === undefined) children.set(i, chain.start(i));
      else child.start();
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
    stop: chain.stop,
  };
  for (let i = 0; i < VALIDATORS; i++) it.startNode(i);
  const client = await it.clientOf(0);
  await it.when("a first final block", async () =>
    Number((await client.call("chain_status", {})).finalizedHeight) > 0 ? true : undefined,
  );
  return it;
}

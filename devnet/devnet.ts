/**
 * Many nodes and pods on one machine: a process each, the sponsor in this one. `zkp devnet` and the
 * end-to-end tests start it here. What comes before is in prepare.ts and place.ts; this file starts, watches and stops.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { FaultError } from "../consensus/primitives/faults.ts";
import { loadKey } from "../node/keys.ts";
import { nodeArgs } from "../node/process.ts";
import { accountFromSeed } from "../pod/account.ts";
import { type Client, createClient } from "../pod/client.ts";
import type { PodEvent } from "../pod/events.ts";
import { loadPool, loadRows } from "../pod/folder.ts";
import { runSponsor, type SponsorEvent } from "../pod/sponsor.ts";
import { waitFor } from "../pod/wait.ts";
import { type Child, type Crash, createChild } from "./child.ts";
import { type DevnetFile, paths, writeDevnet } from "./folder.ts";
import { createMonitor, type DevnetStatus, type Summary } from "./monitor.ts";
import { type ChainOptions, checkOptions } from "./options.ts";
import { type PlaceOptions, placed, withoutPids, withPids } from "./place.ts";
import { type PrepareEvent, type PrepareOptions, prepare } from "./prepare.ts";

export type DevnetEvent =
  | PrepareEvent
  | { readonly kind: "pod"; readonly pod: string; readonly event: PodEvent }
  | { readonly kind: "sponsor"; readonly event: SponsorEvent }
  | { readonly kind: "sponsor-failed"; readonly reason: string }
  /** A process whose work is done. */
  | { readonly kind: "ended"; readonly name: string }
  | ({ readonly kind: "crash" } & Crash);

export type DevnetOptions = ChainOptions &
  PrepareOptions &
  PlaceOptions & {
    /** Keeps the chain; a temporary folder, removed at the end, if absent. */
    readonly dir?: string;
    /** False: nobody proves until {@link Devnet.startPod}. */
    readonly runPods?: boolean;
    readonly onEvent?: (event: DevnetEvent) => void;
    readonly signal?: AbortSignal;
  };

export type Devnet = {
  readonly dir: string;
  readonly info: DevnetFile;
  /** From the call to the first answer of every node, without building keys. */
  readonly readyMs: number;
  /** Of one node; or of all, the first that answers. */
  client(node?: number): Client;
  status(): Promise<DevnetStatus>;
  summary(): Promise<Summary>;
  /** How often a process died by itself and was started again. */
  restarts(): number;
  /** Of a node's process, for tests that pause it; undefined while it is down. */
  nodePid(node: number): number | undefined;
  /** SIGKILL; it stays down. */
  killNode(node: number): Promise<void>;
  /** Starts it again and waits until its RPC answers. */
  startNode(node: number): Promise<void>;
  startPod(pod: number): void;
  stopPod(pod: number): Promise<void>;
  stop(): Promise<void>;
};

const READY_MS = 60_000;
const PROBE_MS = 50;

export async function startDevnet(options: DevnetOptions = {}): Promise<Devnet> {
  checkOptions(options);
  const {
    dir: kept,
    rpcPort,
    logLevel,
    fresh,
    cacheDir,
    runPods,
    signal,
    onEvent = () => undefined,
    ...chain
  } = options;
  const temporary = kept === undefined;
  const dir = kept === undefined ? await mkdtemp(join(tmpdir(), "zkp-devnet-")) : resolve(kept);
  const children: Child[][] = [];
  const stopping = new AbortController();
  let sponsor: Promise<void> = Promise.resolve();
  let unlock = async (): Promise<void> => undefined;

  const stop = async (): Promise<void> => {
    stopping.abort(new Error("the devnet stopped"));
    await sponsor;
    // Pods first: to them, a node that goes is an outage.
    for (const group of children) await Promise.all(group.map((child) => child.stop()));
    if (temporary) await rm(dir, { recursive: true, force: true });
    else await unlock();
  };

  try {
    const { file, builtMs } = await prepare(dir, chain, { fresh, cacheDir }, onEvent);
    const info = await placed(dir, file, { rpcPort, logLevel });
    unlock = () => writeDevnet(dir, withoutPids(info));
    const crashes = new Map<string, Crash>();
    const nodes = info.nodes.map(({ name, dir: folder }) =>
      createChild({
        name,
        args: nodeArgs(folder),
        onLine: () => undefined,
        onCrash: (crash) => {
          crashes.set(name, crash);
          onEvent({ kind: "crash", ...crash });
        },
      }),
    );
    const over = new Set<string>();
    const pods = info.pods.map(({ name, dir: folder, rpc }) =>
      createChild({
        name,
        args: ["cli/main.ts", "pod", "run", "--dir", folder, "--rpc", rpc, "--json"],
        onLine: (line) => {
          const event = podEventOf(line);
          if ("notice" in event && event.notice === "task-over") over.add(name);
          onEvent({ kind: "pod", pod: name, event });
        },
        mayEnd: () => over.has(name),
        onEnd: () => onEvent({ kind: "ended", name }),
        onCrash: (crash) => onEvent({ kind: "crash", ...crash }),
      }),
    );
    children.push(pods, nodes);
    const live = (): DevnetFile["nodes"] => info.nodes.filter((_, i) => nodes[i]?.running === true);
    const monitor = createMonitor(live, info.task.id, await loadRows(paths(dir).test));
    const start = async (i: number): Promise<void> => {
      const node = info.nodes[i];
      if (node === undefined)
        throw new FaultError("config/usage", { node: i, problem: "there is no such node" });
      crashes.delete(node.name);
      nodes[i]?.start();
      await nodeReady(node, () => crashes.get(node.name), signal);
    };

    const started = Date.now();
    // Pods are up, and wait for their nodes, by the time the first block is there.
    if (runPods !== false) for (const pod of pods) pod.start();
    await Promise.all(nodes.map((_, i) => start(i)));
    const readyMs = Date.now() - started + (builtMs.since - builtMs.built);
    const client = (node?: number): Client =>
      createClient({
        rpc: node === undefined ? info.nodes.map(({ rpc }) => rpc) : (info.nodes[node]?.rpc ?? ""),
      });
    sponsor = sponsorOf(dir, info, client(), stopping.signal, onEvent);
    await writeDevnet(dir, withPids(info, nodes, pods));

    return {
      dir,
      info,
      readyMs,
      client,
      status: () => monitor.status(signal),
      summary: () => monitor.summary(restartsOf(children.flat()), signal),
      restarts: () => restartsOf(children.flat()),
      nodePid: (i) => nodes[i]?.pid,
      killNode: async (i) => nodes[i]?.kill(),
      startNode: start,
      startPod: (i) => pods[i]?.start(),
      stopPod: async (i) => pods[i]?.stop(),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const restartsOf = (children: readonly Child[]): number =>
  children.reduce((sum, { restarts }) => sum + restarts, 0);

/** Until its RPC answers; a crash meanwhile is the answer. */
async function nodeReady(
  node: DevnetFile["nodes"][number],
  crashed: () => Crash | undefined,
  signal?: AbortSignal,
): Promise<void> {
  const client = createClient({ rpc: node.rpc, timeoutMs: 2_000 });
  const probe = async (): Promise<true | undefined> => {
    const crash = crashed();
    if (crash !== undefined) {
      throw new FaultError("node/unreachable", {
        node: node.name,
        how: crash.how,
        errors: crash.errors,
        log: join(node.dir, "node.log"),
      });
    }
    try {
      await client.call("chain_status", {}, { signal });
      return true;
    } catch (error) {
      if (error instanceof FaultError && (error.code === "node/unreachable" || error.code === "rpc/timeout"))
        return undefined;
      throw error;
    }
  };
  await waitFor(`${node.name} ready`, probe, { signal, timeoutMs: READY_MS, everyMs: PROBE_MS });
}

/** What a pod says on stdout; a line that is none of its events is shown as it is. */
function podEventOf(line: string): PodEvent {
  try {
    const event: unknown = JSON.parse(line);
    if (typeof event === "object" && event !== null && ("stage" in event || "notice" in event))
      return event as PodEvent;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { notice: "retry", text: line.slice(0, 500) };
}

async function sponsorOf(
  dir: string,
  info: DevnetFile,
  client: Client,
  signal: AbortSignal,
  onEvent: (event: DevnetEvent) => void,
): Promise<void> {
  try {
    const account = accountFromSeed((await loadKey(paths(dir).sponsorKey, "account")).seed);
    const pool = await loadPool(paths(dir).pool);
    await runSponsor({
      client,
      account,
      task: info.task.id,
      pool,
      signal,
      onEvent: (event) => onEvent({ kind: "sponsor", event }),
    });
  } catch (error) {
    if (!signal.aborted)
      onEvent({ kind: "sponsor-failed", reason: error instanceof Error ? error.message : String(error) });
  }
}

/**
 * Many nodes and pods on one machine: a process each, the sponsor in this one. `zkp devnet` and the
 * end-to-end tests start it here. What is made once is in plan.ts; this file starts, watches and stops.
 */
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type BuildProgress, buildCircuit } from "../circuits/build/build.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { loadKey } from "../node/keys.ts";
import { accountFromSeed } from "../pod/account.ts";
import { type Client, createClient } from "../pod/client.ts";
import type { PodEvent } from "../pod/events.ts";
import { loadPool, loadRows, setPodKeys, writeJson } from "../pod/folder.ts";
import { runSponsor, type SponsorEvent } from "../pod/sponsor.ts";
import { waitFor } from "../pod/wait.ts";
import { type Child, type Crash, createChild } from "./child.ts";
import { checkUnlocked, type DevnetFile, paths, readDevnet, writeDevnet } from "./folder.ts";
import { createMonitor, type DevnetStatus, type Summary } from "./monitor.ts";
import { type ChainOptions, checkOptions, DEFAULTS, RPC_PORT } from "./options.ts";
import { createFolder, draftOf, storedOptions } from "./plan.ts";
import { anyPorts, portsFrom } from "./ports.ts";

export type DevnetEvent =
  | { readonly kind: "building"; readonly progress: BuildProgress }
  /** The keys are there: from here to the first block should take 5 s. */
  | { readonly kind: "built"; readonly shape: string; readonly elapsedMs: number }
  | { readonly kind: "pod"; readonly pod: string; readonly event: PodEvent }
  | { readonly kind: "sponsor"; readonly event: SponsorEvent }
  | { readonly kind: "sponsor-failed"; readonly reason: string }
  /** A process whose work is done. */
  | { readonly kind: "ended"; readonly name: string }
  | ({ readonly kind: "crash" } & Crash);

export type DevnetOptions = ChainOptions & {
  /** Keeps the chain; a temporary folder, removed at the end, if absent. */
  readonly dir?: string;
  /** Wipes the chain in `dir` first. */
  readonly fresh?: boolean;
  /** Of node-0, the others follow; the first free one from 9545 if absent, any if 0. */
  readonly rpcPort?: number;
  readonly cacheDir?: string;
  readonly logLevel?: string;
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
  const { signal, onEvent = () => undefined } = options;
  const temporary = options.dir === undefined;
  const dir = options.dir === undefined ? await mkdtemp(join(tmpdir(), "zkp-devnet-")) : resolve(options.dir);
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
    const { file, builtMs } = await prepare(dir, options, onEvent);
    const info = await placed(dir, file, options);
    unlock = () => writeDevnet(dir, withoutPids(info));
    const crashes = new Map<string, Crash>();
    const nodes = info.nodes.map(({ name, dir: folder }) =>
      createChild({
        name,
        args: ["node/main.ts", "--dir", folder],
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
    if (options.runPods !== false) for (const pod of pods) pod.start();
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

type Prepared = {
  readonly file: DevnetFile;
  /** When keys were there, and when the folder was. */
  readonly builtMs: { readonly built: number; readonly since: number };
};

/** The folder with a chain in it: the one that is kept there, or a new one. */
async function prepare(
  dir: string,
  options: DevnetOptions,
  onEvent: (event: DevnetEvent) => void,
): Promise<Prepared> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  let kept = await readDevnet(dir);
  if (kept !== undefined) checkUnlocked(dir, kept);
  if (options.fresh === true) {
    await wipe(dir, kept !== undefined);
    kept = undefined;
  }
  if (kept !== undefined) checkAgreement(kept, options);
  const draft = kept === undefined ? await draftOf(options) : undefined;
  const began = Date.now();
  const circuit = await buildCircuit(draft?.shape.id ?? kept?.task.shape ?? "", {
    ...(options.cacheDir === undefined ? {} : { cacheDir: options.cacheDir }),
    onProgress: (progress) => onEvent({ kind: "building", progress }),
  });
  const built = Date.now();
  onEvent({ kind: "built", shape: circuit.shapeId, elapsedMs: built - began });
  if (kept !== undefined) {
    for (const pod of kept.pods)
      await setPodKeys(pod.dir, { wasm: circuit.wasmPath, zkey: circuit.zkeyPath });
  }
  const file =
    kept ??
    (draft === undefined
      ? undefined
      : await createFolder({ dir, options: chainOptions(options), draft, circuit, timeMs: Date.now() }));
  if (file === undefined) throw new FaultError("config/invalid", { dir, problem: "holds no devnet" });
  return { file, builtMs: { built, since: Date.now() } };
}

/** Only what is a devnet, or empty, is wiped: a wrong --dir must not cost anybody's files. */
async function wipe(dir: string, isDevnet: boolean): Promise<void> {
  const entries = await readdir(dir);
  if (!isDevnet && entries.length > 0) {
    throw new FaultError("config/invalid", {
      option: "--fresh",
      dir,
      problem: "is not empty and holds no devnet.json",
    });
  }
  for (const entry of entries) await rm(join(dir, entry), { recursive: true, force: true });
}

/** Everything that is not about this start alone. */
function chainOptions(options: DevnetOptions): ChainOptions {
  const {
    dir: _d,
    fresh: _f,
    rpcPort: _r,
    cacheDir: _c,
    logLevel: _l,
    runPods: _p,
    onEvent: _e,
    signal: _s,
    ...chain
  } = options;
  return chain;
}

const FLAGS: Readonly<Record<string, string>> = { table: "--data", blockIntervalMs: "--block-interval" };

/** What is asked for must be what the kept chain was made with; nothing is ignored in silence. */
function checkAgreement(kept: DevnetFile, options: DevnetOptions): void {
  for (const [name, value] of Object.entries(storedOptions(chainOptions(options)))) {
    const before = kept.options[name] ?? (DEFAULTS as Readonly<Record<string, number>>)[name];
    if (JSON.stringify(value) === JSON.stringify(before)) continue;
    throw new FaultError("config/invalid", {
      option: FLAGS[name] ?? `--${name}`,
      found: JSON.stringify(value),
      kept: JSON.stringify(before) ?? "none",
      remedy: "leave the option out, or start anew with --fresh",
    });
  }
}

/** Gives everybody a port of this moment and writes the nodes' configurations. */
async function placed(dir: string, file: DevnetFile, options: DevnetOptions): Promise<DevnetFile> {
  const count = file.nodes.length;
  const p2p = await anyPorts(count);
  const { rpcPort } = options;
  const rpc =
    rpcPort === 0
      ? await anyPorts(count)
      : await portsFrom(rpcPort ?? RPC_PORT, count, rpcPort !== undefined);
  const nodes = file.nodes.map((node, i) => {
    const port = rpc[i] ?? 0;
    return {
      ...node,
      dir: paths(dir).node(i),
      rpc: `http://127.0.0.1:${port}`,
      rpcPort: port,
      p2pPort: p2p[i] ?? 0,
    };
  });
  for (const [i, node] of nodes.entries()) {
    await writeJson(
      join(node.dir, "config.json"),
      {
        name: node.name,
        genesis: "../genesis.json",
        listen: `/ip4/127.0.0.1/tcp/${node.p2pPort}`,
        peers: nodes
          .filter((_, j) => j !== i)
          .map((peer) => `/ip4/127.0.0.1/tcp/${peer.p2pPort}/p2p/${peer.peerId}`),
        rpc: { host: "127.0.0.1", port: node.rpcPort },
        blsKey: "bls.json",
        accountKey: "account.json",
        networkKey: "network.json",
        faucetKey: "../faucet.json",
        logLevel: options.logLevel ?? "info",
      },
      0o644,
    );
  }
  const pods = file.pods.map((pod, i) => ({
    ...pod,
    dir: paths(dir).pod(i),
    rpc: nodes[i % count]?.rpc ?? "",
  }));
  return { ...withoutPids({ ...file, nodes, pods }), pid: process.pid };
}

function withPids(info: DevnetFile, nodes: readonly Child[], pods: readonly Child[]): DevnetFile {
  const pidOf = (child: Child | undefined): { pid?: number } =>
    child?.pid === undefined ? {} : { pid: child.pid };
  return {
    ...info,
    nodes: info.nodes.map((node, i) => ({ ...node, ...pidOf(nodes[i]) })),
    pods: info.pods.map((pod, i) => ({ ...pod, ...pidOf(pods[i]) })),
  };
}

function withoutPids(info: DevnetFile): DevnetFile {
  const { pid: _, ...rest } = info;
  return { ...rest, nodes: info.nodes.map(withoutPid), pods: info.pods.map(withoutPid) };
}

function withoutPid<T extends { readonly pid?: number | undefined }>(process: T): Omit<T, "pid"> {
  const { pid: _, ...rest } = process;
  return rest;
}

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

/**
 * How many proofs a second a devnet of four validators finalizes: real processes, sixteen tasks of 64 slots,
 * proofs forged beforehand (test/helpers/forge.ts), sent through the nodes' RPC by a process of its own. Every
 * epoch is a burst: what is counted is proofs over the time from the first one sent until the last one is final.
 * Held against testing.md's formula, 0.6 × cores × batch rate ÷ validators, the batch rate measured here.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { invariant } from "../../consensus/primitives/faults.ts";
import { type Child, createChild } from "../../devnet/child.ts";
import { createSignatureVerifier } from "../../node/ed25519/verifier.ts";
import { signEd25519 } from "../../node/keys.ts";
import { nodeArgs } from "../../node/process.ts";
import { createClient } from "../../pod/client.ts";
import { waitFor } from "../../pod/wait.ts";
import { circuitFor } from "../circuits/proofs.ts";
import { fieldBytes } from "../helpers/chain.ts";
import type { CrowdEpoch } from "./crowd-worker.ts";
import { type Figure, inTurns, median, PROBE_MS, timed } from "./figure.ts";
import { type BenchNode, createFolders, pods, SHAPE, VALIDATORS } from "./throughput-chain.ts";
import { startVerifyProcesses } from "./verify-processes.ts";
import type { Watched } from "./watch-worker.ts";

/** The first epochs don't count: V8 compiles for some ten thousand proofs, and a node runs for months. */
const EPOCHS = 32;
const WARM_UP_EPOCHS = 25;
/** Signatures that a bundle brings. */
const BUNDLE = 32;
const SHARE = 0.6;
const BATCH_ROUNDS = 7;
const SIGNATURE_ROUNDS = 15;
const READY_MS = 60_000;
const CROWD_MS = 240_000;
const SETTLED_MS = 30_000;
const WATCH = new URL("./watch-worker.ts", import.meta.url).href;
const CROWD = new URL("./crowd-worker.ts", import.meta.url).pathname;

/** What the machine gives, milliseconds a proof: a core alone, all cores at once, and processor time of one alone. */
type PerProof = {
  readonly clockMs: number;
  readonly allMs: number;
  readonly cpuMs: number;
  readonly signatureMs: number;
};

async function batchMs(): Promise<PerProof> {
  const cores = availableParallelism();
  const processes = await startVerifyProcesses(cores);
  const cpu: number[] = [];
  const { one, all } = await inTurns(BATCH_ROUNDS, {
    one: async () => {
      const { perMs, cpuMs } = await processes.rate(1);
      cpu.push(cpuMs);
      return 1 / perMs;
    },
    all: async () => 1 / (await processes.rate(cores)).perMs,
  });
  processes.stop();
  return { clockMs: one, allMs: all, cpuMs: median(cpu), signatureMs: await signatureMs() };
}

/** What each node pays for a proof's signature, of a bundle that two pods have filled. */
async function signatureMs(): Promise<number> {
  const verifier = await createSignatureVerifier();
  const [one, other] = pods();
  invariant(one !== undefined && other !== undefined, "there are pods");
  const signed = Array.from({ length: BUNDLE }, (_, i) => {
    const { seed, publicKey } = (i < BUNDLE / 2 ? one : other).key;
    const message = fieldBytes(`bench/message/${i}`);
    return { publicKey, message, signature: signEd25519(seed, message) };
  });
  const times: number[] = [];
  for (let round = -50; round < SIGNATURE_ROUNDS; round++) {
    const ms = await timed(() => invariant(verifier.verify(signed).every(Boolean), "signatures hold"));
    if (round >= 0) times.push(ms / BUNDLE);
  }
  return median(times);
}

type Run = {
  readonly epochs: readonly CrowdEpoch[];
  /** By node. */
  readonly watched: readonly (readonly Watched[])[];
  /** By node: when each height was final there. */
  readonly finalMs: readonly ReadonlyMap<number, number>[];
  readonly blocks: ReadonlyMap<number, { readonly timestampMs: number; readonly proofs: readonly string[] }>;
  readonly epochHeights: number;
  /** Of all nodes: gossip that found no place, and that was judged too late to be passed on. */
  readonly unheard: number;
  readonly late: number;
  /** The longest delay of the event loop of a process that has next to nothing to do beside them: this one. */
  readonly bystanderMs: number;
};

async function run(dir: string): Promise<Run> {
  const nodes = await createFolders(dir, await circuitFor(SHAPE.id));
  const watched = nodes.map((): Watched[] => []);
  const fail = ({ name, errors }: { name: string; errors: string }): void => {
    process.stderr.write(`${name}: ${errors}\n`);
  };
  const children = nodes.map(({ name, dir: folder }, i) =>
    createChild({
      name,
      args: [...profileOf(i), "--import", WATCH, ...nodeArgs(folder)],
      onLine: (line) => {
        const { watched: it } = JSON.parse(line) as { watched?: Watched };
        if (it !== undefined) watched[i]?.push(it);
      },
      onCrash: fail,
    }),
  );
  const bystander = monitorEventLoopDelay({ resolution: PROBE_MS });
  const epochs: CrowdEpoch[] = [];
  const { promise: crowdDone, resolve: onCrowdDone } = Promise.withResolvers<void>();
  const crowd: Child = createChild({
    name: "crowd",
    args: [CROWD, dir, String(EPOCHS), ...nodes.map(({ rpc }) => rpc)],
    onLine: (line) => {
      epochs.push((JSON.parse(line) as { crowd: CrowdEpoch }).crowd);
      bystander.enable();
    },
    mayEnd: () => true,
    onEnd: () => onCrowdDone(),
    onCrash: fail,
  });
  try {
    for (const child of children) child.start();
    const clients = nodes.map(({ rpc }) => createClient({ rpc, timeoutMs: 2_000 }));
    const [client] = clients;
    invariant(client !== undefined, "there are nodes");
    for (const it of clients) {
      const probe = (): Promise<true | undefined> =>
        it.call("chain_status", {}).then(
          () => true,
          () => undefined,
        );
      await waitFor("a node", probe, { timeoutMs: READY_MS, everyMs: 50 });
    }
    crowd.start();
    const tooLong = setTimeout(() => onCrowdDone(), CROWD_MS);
    await crowdDone;
    clearTimeout(tooLong);
    bystander.disable();
    // Until the last epoch is settled too: its boundary block belongs to the load.
    const settled = async (): Promise<true | undefined> =>
      Number((await client.call("chain_status", {})).epoch) >= EPOCHS ? true : undefined;
    await waitFor("the last settlement", settled, { timeoutMs: SETTLED_MS, everyMs: 250 });
    const { finalizedHeight, epochHeights } = await client.call("chain_status", {});
    const blocks = new Map<number, { timestampMs: number; proofs: readonly string[] }>();
    for (let height = 1; height <= Number(finalizedHeight); height++) {
      const { timestampMs, submissions } = await client.call("chain_block", { height: String(height) });
      blocks.set(height, { timestampMs: Number(timestampMs), proofs: submissions });
    }
    const finalMs = await Promise.all(nodes.map(finalTimes));
    const statuses = await Promise.all(clients.map((it) => it.call("node_status", {})));
    const sumOf = (what: "unheard" | "late"): number =>
      statuses.reduce((sum, { queues }) => sum + queues.gossip[what], 0);
    const [unheard, late] = [sumOf("unheard"), sumOf("late")];
    const bystanderMs = Math.max(0, bystander.max / 1e6 - PROBE_MS);
    return { epochs, watched, finalMs, blocks, epochHeights, unheard, late, bystanderMs };
  } finally {
    await crowd.stop();
    await Promise.all(children.map((child) => child.stop()));
  }
}

/** `ZKP_BENCH_PROFILE=FOLDER`: a processor profile of each node. */
function profileOf(node: number): string[] {
  const folder = process.env.ZKP_BENCH_PROFILE;
  return folder === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${join(folder, `node-${node}`)}`];
}

/** When a node said that each height was final: from its log, which costs it nothing. */
async function finalTimes({ dir }: BenchNode): Promise<ReadonlyMap<number, number>> {
  const times = new Map<number, number>();
  for (const line of (await readFile(join(dir, "node.log"), "utf8")).split("\n")) {
    if (!line.includes('"msg":"final"')) continue;
    const { height, time } = JSON.parse(line) as { height: number; time: string };
    times.set(height, Date.parse(time));
  }
  return times;
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}

/** The difference of a counter between two moments. */
function between(watched: readonly Watched[], fromMs: number, toMs: number, of: "mainMs" | "allMs"): number {
  const at = (ms: number): number => watched.findLast(({ timeMs }) => timeMs <= ms)?.[of] ?? 0;
  return at(toMs) - at(fromMs);
}

function* figures(
  { epochs, watched, finalMs, blocks, epochHeights, unheard, late, bystanderMs }: Run,
  perProof: PerProof,
): Generator<Figure> {
  const heightOf = new Map(
    [...blocks].flatMap(([height, { proofs }]) => proofs.map((id) => [id, height] as const)),
  );
  let [proofs, sent, again] = [0, 0, 0];
  const rates: number[] = [];
  const waits: number[] = [];
  const spentMs = { main: 0, workers: 0, send: 0, make: 0 };
  const counted = epochs.slice(WARM_UP_EPOCHS);
  for (const it of counted) {
    const finals = it.sent.flatMap(([id, node, sentMs]) => {
      const final = finalMs[node]?.get(heightOf.get(id) ?? -1);
      return final === undefined ? [] : [{ final, waited: final - sentMs }];
    });
    const last = Math.max(...finals.map(({ final }) => final));
    proofs += finals.length;
    sent += it.sent.length;
    again += it.again;
    rates.push((1000 * finals.length) / (last - it.firstSentMs));
    waits.push(...finals.map(({ waited }) => waited));
    for (const some of watched) {
      const main = between(some, it.firstSentMs, last, "mainMs");
      spentMs.main += main;
      spentMs.workers += between(some, it.firstSentMs, last, "allMs") - main;
    }
    spentMs.send += it.sendCpuMs;
    spentMs.make += it.makeCpuMs;
  }
  const rate = median(rates);
  const cores = availableParallelism();
  const target = (SHARE * cores * (1000 / perProof.clockMs)) / VALIDATORS;
  const name = (what: string): string => `throughput: ${what}`;
  const asked = `0.6 × ${cores} cores × batch rate ÷ ${VALIDATORS}`;
  const onAll = 1000 / perProof.allMs;
  yield { name: name("batch verifier alone, one core"), value: 1000 / perProof.clockMs, unit: "proofs/s" };
  yield {
    name: name(`batch verifier alone, ${cores} cores at once`),
    value: onAll,
    unit: "proofs/s",
    ratio: perProof.clockMs / perProof.allMs,
    against: "one core",
  };
  // No node does less than this for a proof, so this is more than any can reach.
  const bound = (1000 * cores) / VALIDATORS / (perProof.clockMs + perProof.signatureMs);
  yield {
    name: name("bound: a proof's share of a batch, and of 32 signatures, on each node and nothing else"),
    value: bound,
    unit: "proofs/s",
    ratio: bound / target,
    against: asked,
  };
  yield {
    name: name(`${proofs} proofs finalized in ${counted.length} bursts, p50 of the bursts`),
    value: rate,
    unit: "proofs/s",
    ratio: rate / target,
    against: asked,
  };
  yield {
    name: name("the same, beside what the cores give at once"),
    value: rate,
    unit: "proofs/s",
    ratio: rate / ((SHARE * onAll) / VALIDATORS),
    against: `0.6 × batch rate on ${cores} cores at once ÷ ${VALIDATORS}`,
  };
  yield { name: name("slowest burst"), value: Math.min(...rates), unit: "proofs/s" };
  yield { name: name("fastest burst"), value: Math.max(...rates), unit: "proofs/s" };
  yield { name: name("proofs sent that did not become final"), value: sent - proofs, unit: "proofs" };
  yield { name: name("sent again because a node was busy"), value: again, unit: "proofs" };
  yield { name: name("gossip that was not looked at, all nodes"), value: unheard, unit: "messages" };
  yield { name: name("gossip that was judged too late, all nodes"), value: late, unit: "messages" };
  yield { name: name("submit to final, p50"), value: quantile(waits, 0.5), unit: "ms" };
  yield { name: name("submit to final, p95"), value: quantile(waits, 0.95), unit: "ms" };

  const [first] = counted;
  const from = first?.firstSentMs ?? 0;
  const isBoundary = (height: number): boolean => height % epochHeights === 0;
  const finality = (which: (height: number) => boolean): number[] =>
    [...blocks].flatMap(([height, { timestampMs }]) =>
      timestampMs < from || !which(height)
        ? []
        : finalMs.flatMap((times) => (times.get(height) ?? Number.NaN) - timestampMs).filter(Number.isFinite),
    );
  for (const [what, which] of [
    ["all blocks", (): boolean => true],
    ["blocks with proofs", (height: number): boolean => (blocks.get(height)?.proofs.length ?? 0) > 0],
    ["blocks that settle an epoch", isBoundary],
  ] as const) {
    const times = finality(which);
    yield { name: name(`finality of ${what}, p50`), value: quantile(times, 0.5), unit: "ms" };
    yield { name: name(`finality of ${what}, worst`), value: Math.max(0, ...times), unit: "ms" };
  }
  // What waiting for a core alone comes to on this machine: more threads than cores want to run.
  yield {
    name: name("an idle process beside them: longest delay of the event loop"),
    value: bystanderMs,
    unit: "ms",
  };
  const since = watched.map((some) => some.filter(({ timeMs }) => timeMs >= from));
  for (const [node, some] of since.entries()) {
    const delay = Math.max(0, ...some.map(({ delayMs }) => delayMs));
    const held = Math.max(0, ...some.map(({ heldMs }) => heldMs));
    yield { name: name(`node ${node}: longest delay of the event loop`), value: delay, unit: "ms" };
    yield { name: name(`node ${node}: of the main thread's own work at once`), value: held, unit: "ms" };
  }
  for (const [what, ms] of [
    ["main threads of the nodes", spentMs.main],
    ["other threads of the nodes", spentMs.workers],
    ["the crowd, sending", spentMs.send],
    ["the crowd, forging beforehand", spentMs.make],
  ] as const) {
    yield { name: name(`processor time, ${what}`), value: ms / proofs, unit: "ms/proof" };
  }
  // Where others use the machine too, processor time says more than the clock: both sides are slowed alike.
  const eachMs = (spentMs.main + spentMs.workers) / proofs / VALIDATORS;
  yield {
    name: name("processor time of a node, all threads"),
    value: eachMs,
    unit: "ms/proof",
    ratio: perProof.cpuMs / eachMs,
    against: "the batch verifier's own, 0.6 being the formula's",
  };
}

export async function* bench(): AsyncGenerator<Figure> {
  const dir = await mkdtemp(join(tmpdir(), "zkp-bench-throughput-"));
  try {
    const before = await batchMs();
    const measured = await run(dir);
    const after = await batchMs();
    yield* figures(measured, {
      clockMs: (before.clockMs + after.clockMs) / 2,
      allMs: (before.allMs + after.allMs) / 2,
      cpuMs: (before.cpuMs + after.cpuMs) / 2,
      signatureMs: (before.signatureMs + after.signatureMs) / 2,
    });
  } finally {
    if (process.env.ZKP_BENCH_KEEP === undefined) await rm(dir, { recursive: true, force: true });
  }
}

/**
 * How long a block takes to be final. Four validators as processes on this machine, on loopback and unpaced,
 * beside what the machine itself needs for the same messages and writes, in the same run. Then the
 * protocol alone, in the simulator: in units of the links' delay, for 4 to 100 validators.
 *
 * A block's time is from its timestamp, taken before it is built, to the line that a node logs once the
 * block is final on its disk, at each node.
 */
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Stream } from "@libp2p/interface";
import { createKey, libp2pKey } from "../../node/keys.ts";
import { createHost } from "../../node/network/host.ts";
import { openLevel } from "../../node/store/level.ts";
import { createLocalChain } from "../helpers/local-chain.ts";
import { runScenario } from "../sim/run.ts";
import { base } from "../sim/scenario-parts.ts";
import { type Figure, median } from "./figure.ts";

const VALIDATORS = 4;
const WARM_HEIGHTS = 150;
const HEIGHTS = Number(process.env.ZKP_BENCH_HEIGHTS ?? 400);
const WAIT_MS = 600_000;
const TRIPS = 400;
const MESSAGE_BYTES = 200;
/** Hops until finality, and synced writes one after the other: proposal, notarize, finalize, the final block. */
const HOPS = 3;
const WRITES = 4;

const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))] ?? 0;

/** Milliseconds there and back on an open stream between two libp2p hosts of this process. */
async function roundTrip(): Promise<number> {
  const hosts = await Promise.all(
    [0, 1].map(async () =>
      createHost({
        listen: "/ip4/127.0.0.1/tcp/0",
        privateKey: await libp2pKey(createKey("network").seed),
        isRefused: () => false,
      }),
    ),
  );
  const [here, there] = hosts;
  if (here === undefined || there === undefined) throw new Error("two hosts");
  await there.handle("/bench/1", (stream) => {
    stream.addEventListener("message", ({ data }) => void stream.send(data));
  });
  for (const host of hosts) await host.start();
  const stream: Stream = await here.dialProtocol(there.getMultiaddrs(), "/bench/1");
  const times: number[] = [];
  for (let trip = -TRIPS / 4; trip < TRIPS; trip++) {
    const started = performance.now();
    const back = once(stream, "message");
    stream.send(new Uint8Array(MESSAGE_BYTES));
    await back;
    if (trip >= 0) times.push(performance.now() - started);
  }
  for (const host of hosts) await host.stop();
  return median(times);
}

/** Milliseconds of a synced batch of one small entry. */
async function syncedWrite(): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), "zkp-bench-fsync-"));
  const level = await openLevel(dir);
  const times: number[] = [];
  for (let i = 0; i < TRIPS; i++) {
    const started = performance.now();
    await level.commit([{ type: "put", key: `${i}`, value: new Uint8Array(MESSAGE_BYTES) }]);
    times.push(performance.now() - started);
  }
  await level.close();
  await rm(dir, { recursive: true });
  return median(times);
}

/** When each height became final at a node, by its log. */
async function finalTimes(dir: string): Promise<Map<number, number>> {
  const times = new Map<number, number>();
  for (const line of (await readFile(join(dir, "node.log"), "utf8")).split("\n")) {
    if (!line.includes('"msg":"final"')) continue;
    const { height, time } = JSON.parse(line) as { readonly height: number; readonly time: string };
    times.set(height, Date.parse(time));
  }
  return times;
}

/** Milliseconds of a core that a process has used, in Linux' hundredths of a second; NaN elsewhere. */
async function cpuMs(pid: number | undefined): Promise<number> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return 10 * (Number(fields[11]) + Number(fields[12]));
  } catch {
    return Number.NaN;
  }
}

type Measured = {
  readonly finality: number[];
  readonly intervals: number[];
  /** Of one node for one block. */
  readonly cpuMs: number;
};

async function loopback(): Promise<Measured> {
  const chain = await createLocalChain({
    chainId: "dev-bench",
    validators: VALIDATORS,
    // The least distance that parameters allow: a block follows as soon as its parent is notarized.
    params: { blockIntervalMs: "1", epochHeights: "100000" },
  });
  try {
    const nodes = Array.from({ length: VALIDATORS }, (_, i) => chain.start(i));
    const usedMs = async (): Promise<number> =>
      (await Promise.all(nodes.map(({ pid }) => cpuMs(pid)))).reduce((sum, it) => sum + it, 0);
    const last = WARM_HEIGHTS + HEIGHTS;
    const warmAt = await chain.finalAt(WARM_HEIGHTS, 0, WAIT_MS);
    const before = await usedMs();
    // Asking costs the nodes something: seldom.
    let height = warmAt;
    for (; height < last; height = await chain.finalAt(1, 0, WAIT_MS)) await sleep(500);
    const used = (await usedMs()) - before;
    const stamps: number[] = [];
    for (let at = WARM_HEIGHTS; at <= last; at++) {
      const block = await chain.client().call("chain_block", { height: String(at) });
      stamps.push(Number(block.timestampMs));
    }
    const finality: number[] = [];
    const intervals: number[] = [];
    for (let i = 0; i < VALIDATORS; i++) {
      const times = await finalTimes(chain.dirOf(i));
      for (const [at, stamp] of stamps.entries()) {
        const final = times.get(WARM_HEIGHTS + at);
        if (final !== undefined) finality.push(final - stamp);
      }
    }
    for (let at = 1; at < stamps.length; at++) intervals.push((stamps[at] ?? 0) - (stamps[at - 1] ?? 0));
    return { finality, intervals, cpuMs: used / (height - warmAt) / VALIDATORS };
  } finally {
    await chain.stop();
  }
}

/** The protocol alone: nothing takes time but messages. */
const SIMULATED = [4, 13, 40, 100] as const;
const LINKS = {
  "all links alike": { delayMs: 100, jitterMs: 0, loss: 0, duplicate: 0 },
  /** A delay between 50 and 150 ms for each message; the mean is the unit. */
  "wide area": { delayMs: 50, jitterMs: 100, loss: 0, duplicate: 0 },
} as const;

function* simulated(): Generator<Figure> {
  for (const [links, link] of Object.entries(LINKS)) {
    for (const nodes of SIMULATED) {
      const scenario = { ...base, nodes, link, intervalMs: 0, syncMs: 0, healMs: 0, grows: 12 };
      const { finalityDelta, intervalDelta, violations } = runScenario(scenario, 1);
      if (violations.length > 0) throw new Error(violations[0]);
      const mean = link.delayMs + link.jitterMs / 2;
      const inMeans = (delta: number): number => (delta * link.delayMs) / mean;
      const about = `${nodes} validators, ${links}`;
      yield { name: `finality: p50, simulated, ${about}`, value: inMeans(finalityDelta), unit: "δ" };
      yield { name: `finality: interval, simulated, ${about}`, value: inMeans(intervalDelta), unit: "δ" };
    }
  }
}

export async function* bench(): AsyncGenerator<Figure> {
  const trip = await roundTrip();
  const write = await syncedWrite();
  yield { name: `finality: raw libp2p round trip, ${MESSAGE_BYTES} bytes`, value: trip, unit: "ms" };
  yield { name: "finality: one synced batch", value: write, unit: "ms" };
  const bare = (HOPS / 2) * trip + WRITES * write;
  const against = `${HOPS} messages and ${WRITES} synced writes, bare`;
  const { finality, intervals, cpuMs: cpu } = await loopback();
  const p50 = quantile(finality, 0.5);
  const on = `${VALIDATORS} processes on loopback`;
  yield { name: `finality: p50, ${on}`, value: p50, unit: "ms", ratio: bare / p50, against };
  yield { name: `finality: p95, ${on}`, value: quantile(finality, 0.95), unit: "ms" };
  yield { name: `finality: block interval, p50, ${on}`, value: quantile(intervals, 0.5), unit: "ms" };
  yield { name: `finality: block interval, p95, ${on}`, value: quantile(intervals, 0.95), unit: "ms" };
  if (!Number.isNaN(cpu))
    yield { name: "finality: a node's work for a block", value: cpu, unit: "ms of a core" };
  yield* simulated();
}

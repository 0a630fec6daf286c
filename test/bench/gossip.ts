/**
 * What it costs nodes to bring submissions from one node's RPC to all: four networks, each a process, without a
 * chain; 1,024 submissions a round, a quarter published by each, in bundles as batches of verdicts make them. And
 * an RPC server, a process too, that is sent as many in batches of JSON-RPC. Processor time is of all threads.
 */
import { type ChildProcess, fork } from "node:child_process";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { toHex } from "../../consensus/primitives/bytes.ts";
import { invariant } from "../../consensus/primitives/faults.ts";
import { SubmissionType } from "../../consensus/types/submission.ts";
import { submissionsOf } from "./blocks-node.ts";
import { type Figure, median } from "./figure.ts";
import {
  type FromNode,
  NODES,
  type Spent,
  SUBMISSIONS,
  submissionOfRound,
  type ToNode,
} from "./gossip-node.ts";

const ROUNDS = 15;
/** They don't count: V8 compiles. */
const WARM_UP_ROUNDS = 10;
/** As long as a batch of proofs takes, and not at all. */
const JUDGE_MS = [15, 0] as const;
const READY_MS = 20_000;
const ROUND_MS = 20_000;
/** After a round: what is still to be sent. */
const REST_MS = 50;
const REQUEST_PROOFS = 16;
const REQUESTS_AT_ONCE = 2;

const NODE = new URL("./gossip-node.ts", import.meta.url).pathname;

/** `ZKP_BENCH_PROFILE=FOLDER`: a processor profile of each process. */
function start(args: readonly string[]): ChildProcess {
  const folder = process.env.ZKP_BENCH_PROFILE;
  const execArgv =
    folder === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${join(folder, args.slice(0, 2).join("-"))}`];
  return fork(NODE, args, { execArgv });
}

function answer<Kind extends FromNode["kind"]>(
  child: ChildProcess,
  kind: Kind,
  limitMs: number,
): Promise<Extract<FromNode, { kind: Kind }>> {
  const { promise, resolve, reject } = Promise.withResolvers<Extract<FromNode, { kind: Kind }>>();
  const timer = setTimeout(() => reject(new Error(`no ${kind} of a process`)), limitMs);
  const onMessage = (message: FromNode): void => {
    if (message.kind !== kind) return;
    child.off("message", onMessage);
    clearTimeout(timer);
    resolve(message as Extract<FromNode, { kind: Kind }>);
  };
  child.on("message", onMessage);
  return promise;
}
const send = (child: ChildProcess, message: ToNode): void => void child.send(message);
function spentBy(child: ChildProcess): Promise<Spent> {
  const answered = answer(child, "spent", READY_MS);
  send(child, { kind: "spent" });
  return answered.then(({ spent }) => spent);
}

async function connected(children: readonly ChildProcess[]): Promise<void> {
  const deadlineMs = performance.now() + READY_MS;
  for (;;) {
    const counts = await Promise.all(
      children.map((child) => {
        const answered = answer(child, "peers", READY_MS);
        send(child, { kind: "peers" });
        return answered.then(({ count }) => count);
      }),
    );
    if (counts.every((count) => count === NODES - 1)) return;
    invariant(performance.now() < deadlineMs, "the nodes of the bench find each other");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Medians, of one node. */
function* figures(name: string, each: readonly Spent[], submissions: number): Generator<Figure> {
  const of = (what: keyof Spent): number => median(each.map((it) => it[what]));
  yield { name: `${name}: processor time`, value: (1000 * of("cpuMs")) / submissions, unit: "µs" };
  // Not in every round.
  const gcMs = each.reduce((sum, it) => sum + it.gcMs, 0) / each.length;
  yield { name: `${name}: of that, garbage`, value: (1000 * gcMs) / submissions, unit: "µs" };
  yield { name: `${name}: calls of the kernel that write`, value: of("writes"), unit: "calls" };
  yield { name: `${name}: calls of the kernel that read`, value: of("reads"), unit: "calls" };
}

async function* gossip(): AsyncGenerator<Figure> {
  const children: ChildProcess[] = [];
  try {
    const addresses: string[] = [];
    for (let i = 0; i < NODES; i++) {
      const child = start(["network", `bench-gossip-${i}`, ...addresses]);
      children.push(child);
      addresses.push((await answer(child, "ready", READY_MS)).address);
    }
    await connected(children);
    await new Promise((resolve) => setTimeout(resolve, 1_500)); // meshes form with the heartbeat
    let round = 0;
    for (const judgeMs of JUDGE_MS) {
      const all: Spent[] = [];
      for (let i = -WARM_UP_ROUNDS; i < ROUNDS; i++) {
        round += 1;
        const complete = children.map((child) => answer(child, "complete", ROUND_MS));
        for (const [node, child] of children.entries()) send(child, { kind: "round", round, node, judgeMs });
        await Promise.all(complete);
        await new Promise((resolve) => setTimeout(resolve, REST_MS));
        const each = await Promise.all(children.map(spentBy));
        if (i >= 0) all.push(...each);
      }
      const name = `gossip: a node, ${SUBMISSIONS} submissions, judged in ${judgeMs} ms`;
      yield* figures(`${name}, each`, all, SUBMISSIONS);
      const copies = median(all.map((it) => (it.copies + it.messages) / it.messages));
      yield { name: `${name}, of each message`, value: copies, unit: "copies" };
      const bytes = median(all.map((it) => it.bytes)) / 1024;
      yield { name: `${name}, received`, value: bytes, unit: "KiB" };
    }
  } finally {
    for (const child of children) child.kill();
  }
}

function post(url: string, agent: Agent, body: string): Promise<unknown[]> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown[]>();
  const headers = { "content-type": "application/json" };
  const out = request(url, { method: "POST", agent, headers }, (reply) => {
    const chunks: Buffer[] = [];
    reply.on("data", (chunk: Buffer) => chunks.push(chunk));
    reply.on("end", () => resolve(JSON.parse(Buffer.concat(chunks).toString()) as unknown[]));
  });
  out.on("error", reject);
  out.end(body);
  return promise;
}

async function* rpc(): AsyncGenerator<Figure> {
  const child = start(["rpc"]);
  try {
    const { address } = await answer(child, "ready", READY_MS);
    const agent = new Agent({ keepAlive: true, maxSockets: REQUESTS_AT_ONCE });
    const all: Spent[] = [];
    const submissions = submissionsOf(SUBMISSIONS);
    for (let i = -WARM_UP_ROUNDS; i < ROUNDS; i++) {
      const bodies: string[] = [];
      for (let at = 0; at < SUBMISSIONS; at += REQUEST_PROOFS) {
        const some = submissions.slice(at, at + REQUEST_PROOFS);
        const calls = some.map((it, id) => {
          const submission = toHex(SubmissionType.serialize(submissionOfRound(it, i + WARM_UP_ROUNDS)));
          return { jsonrpc: "2.0", id, method: "proof_submit", params: { submission } };
        });
        bodies.push(JSON.stringify(calls));
      }
      const sender = async (): Promise<void> => {
        for (let body = bodies.pop(); body !== undefined; body = bodies.pop()) {
          const replies = await post(address, agent, body);
          invariant(replies.length === REQUEST_PROOFS, "each is answered");
        }
      };
      await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, sender));
      const spent = await spentBy(child);
      if (i >= 0) all.push(spent);
    }
    agent.destroy();
    const name = `gossip: RPC, ${SUBMISSIONS} submissions, ${REQUEST_PROOFS} a request`;
    yield* figures(`${name}, each`, all, SUBMISSIONS);
  } finally {
    child.kill();
  }
}

export async function* bench(): AsyncGenerator<Figure> {
  yield* gossip();
  yield* rpc();
}

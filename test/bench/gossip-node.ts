/**
 * A process of the bench of gossip, made by gossip.ts, so that its processor time is its own: a network without a
 * chain behind it (`network LABEL PEER…`), or an RPC server whose one method decodes what it gets (`rpc`).
 */
import { readFileSync } from "node:fs";
import { toHex } from "../../consensus/primitives/bytes.ts";
import { FaultError, invariant } from "../../consensus/primitives/faults.ts";
import { decode } from "../../consensus/types/ssz.ts";
import { nullifierOf, type Submission, SubmissionType } from "../../consensus/types/submission.ts";
import { silentLog } from "../../node/log.ts";
import { createRpcServer, defineMethod } from "../../node/rpc/server.ts";
import { METHODS } from "../../rpc/methods.ts";
import { startNetwork, submissionsOf } from "./blocks-node.ts";

export const NODES = 4;
export const SUBMISSIONS = 1_024;
/** About what one batch of the verifier finds valid. */
const BUNDLE = 24;
/** Between a node's bundles: they come one by one, as batches do. */
const PAUSE_MS = 20;

/** What a process did since it was last asked. */
export type Spent = {
  readonly cpuMs: number;
  readonly gcMs: number;
  /** Calls of the kernel that write and read; 0 where the kernel does not say. */
  readonly writes: number;
  readonly reads: number;
  /** Of gossip: messages that came, those of them that had come before, and all bytes. */
  readonly messages: number;
  readonly copies: number;
  readonly bytes: number;
};
export type ToNode =
  | { readonly kind: "peers" }
  | { readonly kind: "spent" }
  /** Publishes its part of the round's submissions, and judges those of others for so long. */
  | { readonly kind: "round"; readonly round: number; readonly node: number; readonly judgeMs: number };
export type FromNode =
  | { readonly kind: "ready"; readonly address: string }
  | { readonly kind: "peers"; readonly count: number }
  /** All submissions of the round are here. */
  | { readonly kind: "complete" }
  | { readonly kind: "spent"; readonly spent: Spent };

const tell = (message: FromNode): void => void process.send?.(message);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The counters of the kernel for this process. */
function calls(): { readonly writes: number; readonly reads: number } {
  const of = (text: string, name: string): number => Number(new RegExp(`${name}: (\\d+)`).exec(text)?.[1]);
  try {
    const text = readFileSync("/proc/self/io", "utf8");
    return { writes: of(text, "syscw"), reads: of(text, "syscr") };
  } catch {
    return { writes: 0, reads: 0 };
  }
}

let gcMs = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) gcMs += duration;
}).observe({ entryTypes: ["gc"] });

function createCounter(traffic: () => Pick<Spent, "messages" | "copies" | "bytes">): () => Spent {
  const now = (): Spent => {
    const { user, system } = process.cpuUsage();
    return { cpuMs: (user + system) / 1000, gcMs, ...calls(), ...traffic() };
  };
  let last = now();
  return () => {
    const before = last;
    last = now();
    const names = Object.keys(last) as (keyof Spent)[];
    const since = names.map((name) => [name, last[name] - before[name]]);
    return Object.fromEntries(since) as Spent;
  };
}

/** Each round's are others. */
export function submissionOfRound(it: Submission, round: number): Submission {
  const signature = it.signature.slice();
  new DataView(signature.buffer).setUint32(0, round);
  return { ...it, signature };
}

const roundOf = ({ signature }: Submission): number =>
  new DataView(signature.buffer, signature.byteOffset).getUint32(0);

async function runNetwork(label: string, peers: readonly string[]): Promise<void> {
  const all = submissionsOf(SUBMISSIONS);
  const own = SUBMISSIONS / NODES;
  /** Of each round: another node may begin it before this one. */
  const heard = new Map<number, number>();
  let judgeMs = 0;
  const network = await startNetwork(label, peers, {
    async onGossip(message) {
      if (message.topic !== "submissions") return { kind: "accept" };
      if (judgeMs > 0) await pause(judgeMs);
      const [round = 0] = message.value.map(roundOf);
      const count = (heard.get(round) ?? 0) + message.value.length;
      heard.set(round, count);
      if (count === SUBMISSIONS - own) tell({ kind: "complete" });
      return { kind: "accept" };
    },
  });
  const spent = createCounter(network.traffic);
  const publish = async (mine: readonly Submission[]): Promise<void> => {
    for (let i = 0; i < mine.length; i += BUNDLE) {
      for (const it of mine.slice(i, i + BUNDLE)) network.publish({ topic: "submissions", value: [it] });
      await pause(PAUSE_MS);
    }
  };
  process.on("message", (message: ToNode) => {
    if (message.kind === "peers") tell({ kind: "peers", count: network.peers().length });
    if (message.kind === "spent") tell({ kind: "spent", spent: spent() });
    if (message.kind !== "round") return;
    const { round, node } = message;
    ({ judgeMs } = message);
    void publish(all.slice(node * own, (node + 1) * own).map((it) => submissionOfRound(it, round)));
  });
  const [address = ""] = network.addresses();
  tell({ kind: "ready", address });
}

async function runRpc(): Promise<void> {
  const submit = defineMethod(METHODS.proof_submit.params, async ({ submission: hex }) => {
    const submission = decode(SubmissionType, Buffer.from(hex.slice(2), "hex"));
    if (submission === undefined) throw new FaultError("submission/malformed");
    return { id: toHex(nullifierOf(submission)), stage: "pooled" };
  });
  const server = createRpcServer(
    { port: 0 },
    { methods: { proof_submit: submit }, ready: () => ({ status: 200 }), log: silentLog },
  );
  const spent = createCounter(() => ({ messages: 0, copies: 0, bytes: 0 }));
  process.on("message", ({ kind }: ToNode) => {
    if (kind === "spent") tell({ kind, spent: spent() });
  });
  tell({ kind: "ready", address: await server.start() });
}

// A signal alone would end it before its profile is written.
process.once("SIGTERM", () => process.exit(0));
const [role, label = "", ...peers] = process.argv.slice(2);
if (process.send !== undefined) {
  invariant(role === "network" || role === "rpc", "a role of this process");
  await (role === "network" ? runNetwork(label, peers) : runRpc());
}

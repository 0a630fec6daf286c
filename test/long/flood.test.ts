/**
 * Peers and an RPC client that send garbage as fast as they can, at a devnet of real processes: honest
 * proofs are still finalized, memory stays bounded, nobody falls over. FLOOD_MS shortens it.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { gradientWitness } from "../../circuits/gradient/witness.ts";
import { createProver } from "../../circuits/prove/prover.ts";
import { toHex } from "../../consensus/primitives/bytes.ts";
import { Epoch, Height, View } from "../../consensus/primitives/units.ts";
import { type Header, HeaderType } from "../../consensus/types/block.ts";
import { type Certificate, CertificateType } from "../../consensus/types/certificate.ts";
import { fieldToBytes, type Submission, SubmissionType } from "../../consensus/types/submission.ts";
import type { Transaction } from "../../consensus/types/transaction.ts";
import { VoteKind } from "../../consensus/types/vote.ts";
import { outputsCount } from "../../consensus/work/gradient.ts";
import { type Devnet, startDevnet } from "../../devnet/devnet.ts";
import { readDevnet } from "../../devnet/folder.ts";
import { createKey, libp2pKey } from "../../node/keys.ts";
import { encodeFrame } from "../../node/network/frames.ts";
import { createHost, parseTarget } from "../../node/network/host.ts";
import { protocolId } from "../../node/network/link.ts";
import { encodeVotesMessage } from "../../node/network/messages.ts";
import type { GossipMessage } from "../../node/network/topics.ts";
import { type Account, accountFromSeed, chainTag } from "../../pod/account.ts";
import { loadPod } from "../../pod/folder.ts";
import { buildSubmission, type DrawnSlot, drawnSlots, jobOf, signSubmission } from "../../pod/submission.ts";
import { pause } from "../../pod/wait.ts";
import { blockAt, START_MS, statusOf, statusWhen } from "../e2e/helpers.ts";
import { createOutlaw, type Outlaw, rawMessage } from "../helpers/outlaw.ts";
import { joined, split } from "../helpers/outputs.ts";

const FLOOD_MS = Number(process.env.FLOOD_MS ?? 30_000);
const RPC_AT_ONCE = 16;
const MESSAGES_A_TURN = 100;
/** A round of proofs under load takes no longer. */
const ROUND_MS_MAX = 60_000;
const TURNS_A_STOCK = 50;
/** Under how many names the gossiping peer comes back: more than are refused at once. */
const NAMES = 8;
const MIB = 1024 * 1024;

let devnet: Devnet;
let chain: Uint8Array;
/** A pod that exists and lies: its key, a proof of its own, and the slot it has now. */
let liar: { readonly account: Account; readonly proof: Uint8Array; drawn: DrawnSlot };
const sent: Record<string, number> = {};
const count = (what: string): void => {
  sent[what] = (sent[what] ?? 0) + 1;
};

before(
  async () => {
    devnet = await startDevnet({
      shape: "gradient-8x4",
      features: 4,
      blockIntervalMs: 500,
      rpcPort: 0,
      logLevel: "error",
      pods: 3,
      runPods: false,
    });
    chain = chainTag(devnet.info.chainId);
    const { pod, slots } = await slotsOfLiar();
    const [drawn] = slots;
    assert.ok(drawn !== undefined, "the pod has a slot in epoch 0");
    const prover = createProver(pod.keys);
    const { proof } = await prover.prove(gradientWitness(drawn.shape, jobOf(pod.dataset, drawn, pod.secret)));
    await prover.stop();
    liar = { account: accountFromSeed(pod.seed), proof, drawn };
    for (const honest of [1, 2]) devnet.startPod(honest);
    await statusWhen(devnet, "the first proofs", ({ proofs }) => proofs.verified > 0);
  },
  { timeout: START_MS },
);

after(async () => {
  await devnet?.stop();
});

async function slotsOfLiar() {
  const info = devnet.info.pods[0];
  assert.ok(info !== undefined);
  const pod = await loadPod(info.dir);
  const task = await devnet.client(1).call("task_get", { task: pod.task });
  return { pod, slots: drawnSlots(task, info.podId) };
}

/** Of a genuine pod for its own slot, with its signature: only its proof tells. */
function falseProof(): Submission {
  const { drawn, proof, account } = liar;
  const signals = Array.from({ length: outputsCount(drawn.shape) }, () => 0n);
  const unsigned = buildSubmission(drawn, { proof, publicSignals: signals });
  const [nullifier, dataTag] = [randomField(), randomField()];
  return signSubmission(account, chain, {
    ...unsigned,
    outputs: joined([nullifier, dataTag, ...split(unsigned.outputs).slice(2)]),
  });
}
const randomField = (): Uint8Array => fieldToBytes(BigInt(`0x${randomBytes(31).toString("hex")}`));
const badlySigned = (): Submission => ({ ...falseProof(), signature: randomBytes(64) });
const badTransaction = (): Transaction => ({
  publicKey: liar.account.publicKey,
  nonce: 0,
  fee: 10_000n as Transaction["fee"],
  operation: { selector: 0, value: { to: randomBytes(20), amount: 1n as Transaction["fee"] } },
  signature: randomBytes(64),
});
const badCertificate = (): Certificate => ({
  ...CertificateType.defaultValue(),
  subject: {
    kind: VoteKind.notarize,
    epoch: Epoch(liar.drawn.epoch),
    view: View(1_000_000),
    parentView: View(0),
    blockHash: randomBytes(32),
  },
  signature: randomBytes(96),
});

/** Of the liar's epoch, and higher than any block: only its certificate tells. */
const falseHeader = (): Header => ({
  ...HeaderType.defaultValue(),
  height: Height(1_000_000),
  epoch: Epoch(liar.drawn.epoch),
  bodyRoot: randomBytes(32),
});

/** Made before they are sent: signing must not slow the flood down. */
const stockOfMessages = () =>
  Array.from({ length: MESSAGES_A_TURN }, () => ({
    falseProof: falseProof(),
    badlySigned: badlySigned(),
    transaction: badTransaction(),
    certificate: badCertificate(),
    header: falseHeader(),
  }));
let stock: ReturnType<typeof stockOfMessages> = [];

async function floodRpc(url: string, signal: AbortSignal): Promise<void> {
  const call = (method: string, params: object): string =>
    JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const submit = (bytes: Uint8Array): string => call("proof_submit", { submission: toHex(bytes) });
  const bodies: (readonly [string, () => string | Uint8Array])[] = [
    ["rpc false proof", () => submit(SubmissionType.serialize(falseProof()))],
    ["rpc bad signature", () => submit(SubmissionType.serialize(badlySigned()))],
    ["rpc random submission", () => submit(randomBytes(700))],
    ["rpc random body", () => randomBytes(64 * 1024)],
    ["rpc giant body", () => new Uint8Array(2 * MIB)],
    ["rpc full body", () => call("proof_submit", { submission: `0x${"00".repeat(MIB / 2 - 200)}` })],
    ["rpc deep body", () => "[".repeat(100_000)],
  ];
  const one = async (start: number): Promise<void> => {
    for (let i = start; !signal.aborted; i++) {
      const [what, make] = bodies[i % bodies.length] ?? ["nothing", () => ""];
      try {
        const response = await fetch(url, { method: "POST", body: make(), signal });
        await response.arrayBuffer();
        count(`${what}: ${response.status}`);
      } catch {
        count(`${what}: connection closed`);
      }
    }
  };
  await Promise.all(Array.from({ length: RPC_AT_ONCE }, (_, i) => one(i)));
}

/** Well-formed messages that are wrong, gossiped under a handful of names in turn, and as votes without a seat. */
async function floodAsPeer(address: string, signal: AbortSignal): Promise<void> {
  const names = Array.from({ length: NAMES }, () => createKey("network"));
  const { chainId } = devnet.info;
  for (let turn = 0; !signal.aborted; turn++) {
    let peer: Outlaw | undefined;
    try {
      peer = await createOutlaw(address, names[turn % NAMES]);
      count("peer connected");
      const votes = await peer.connection.newStream(protocolId(chainId, "votes"));
      for (let n = 0; !signal.aborted && peer.connection.status === "open"; n++) {
        if (n % TURNS_A_STOCK === 0) stock = stockOfMessages();
        for (const it of stock) {
          const messages: GossipMessage[] = [
            { topic: "submissions", value: [it.falseProof] },
            { topic: "submissions", value: [it.badlySigned, it.falseProof] },
            { topic: "transactions", value: it.transaction },
            { topic: "headers", value: { header: it.header, certificate: it.certificate } },
          ];
          peer.send(messages.map((message) => rawMessage(chainId, message)));
          votes.send(encodeFrame(encodeVotesMessage({ selector: 2, value: it.certificate })));
          count("peer messages");
          // What it can't send at once must not fill this process.
          if (peer.stream.writeStatus !== "writable" || peer.stream.writeBufferLength > MIB) await pause(1);
        }
        await pause(1);
      }
      count("peer cut off");
    } catch {
      count("peer refused");
      await pause(50);
    } finally {
      await peer?.stop();
    }
  }
}

/** Frames of random bytes, and frames that announce more than they may. */
async function floodWithFrames(address: string, signal: AbortSignal): Promise<void> {
  const privateKey = await libp2pKey(createKey("network").seed);
  const host = await createHost({ listen: "/ip4/127.0.0.1/tcp/0", privateKey, isRefused: () => false });
  await host.start();
  const idOf = (protocol: Parameters<typeof protocolId>[1]) => protocolId(devnet.info.chainId, protocol);
  const gossip = "/meshsub/1.2.0";
  const protocols = [...(["votes", "blocks", "pool", "sync"] as const).map(idOf), gossip];
  for (let i = 0; !signal.aborted; i++) {
    try {
      const connection = await host.dial(parseTarget(address).address, { signal });
      const stream = await connection.newStream(protocols[i % protocols.length] ?? gossip, { signal });
      for (let n = 0; n < MESSAGES_A_TURN && stream.status === "open"; n++) {
        stream.send(i % 2 === 0 ? encodeFrame(randomBytes(1_000)) : randomBytes(64 * 1024));
        count("random frames");
        await setImmediate();
      }
    } catch {
      count("random frames: refused");
      await pause(20);
    }
  }
  await host.stop();
}

/** MiB of a process; undefined where there is no /proc. */
function residentMib(pid: number): number | undefined {
  const file = `/proc/${pid}/status`;
  if (!existsSync(file)) return undefined;
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(file, "utf8"))?.[1];
  return kib === undefined ? undefined : Number(kib) / 1024;
}

test("while two peers and an RPC client flood a node, honest proofs are final, heights grow and memory is bounded", {
  timeout: FLOOD_MS + ROUND_MS_MAX + 120_000,
}, async (t) => {
  const [target] = devnet.info.nodes;
  assert.ok(target !== undefined);
  const pids = (await readDevnet(devnet.dir))?.nodes.map(({ pid }) => pid ?? 0) ?? [];
  const before = pids.map(residentMib);
  const peak = before.map((it) => it ?? 0);
  const address = `/ip4/127.0.0.1/tcp/${target.p2pPort}/p2p/${target.peerId}`;
  const from = Number((await statusOf(devnet, 1)).finalizedHeight);

  const ending = new AbortController();
  const floods = Promise.all([
    floodRpc(target.rpc, ending.signal),
    floodAsPeer(address, ending.signal),
    floodWithFrames(address, ending.signal),
  ]);
  const heights = [from];
  let proofs = 0;
  // Goes on until a round that began in the flood has brought its proofs, however short the flood is.
  for (
    const started = performance.now();
    performance.now() < started + FLOOD_MS ||
    (proofs === 0 && performance.now() < started + FLOOD_MS + ROUND_MS_MAX);
  ) {
    await pause(1_000);
    const { slots } = await slotsOfLiar();
    if (slots[0] !== undefined) liar.drawn = slots[0];
    for (const [i, pid] of pids.entries()) peak[i] = Math.max(peak[i] ?? 0, residentMib(pid) ?? 0);
    const seen = heights.at(-1) ?? from;
    const height = Number((await statusOf(devnet, 1)).finalizedHeight);
    for (let at = seen + 1; at <= height; at++) proofs += (await blockAt(devnet, 1, at)).submissions.length;
    heights.push(height);
  }
  const to = heights.at(-1) ?? from;
  ending.abort();
  await floods;

  t.diagnostic(JSON.stringify(sent));
  t.diagnostic(`heights ${from} to ${to}, ${proofs} proofs final meanwhile`);
  const middle = heights[heights.length >> 1] ?? from;
  assert.ok(middle > from && to > middle, `heights grow all the time: ${heights.join(" ")}`);
  assert.ok(proofs > 0, "honest proofs are final");
  assert.equal(devnet.restarts(), 0, "nobody fell over");
  for (const [i] of devnet.info.nodes.entries()) {
    await statusWhen(devnet, `node-${i} is up to date`, (it) => Number(it.finalizedHeight) >= to, i);
  }
  for (const [i, least] of before.entries()) {
    if (least === undefined) {
      t.diagnostic("no /proc here: memory was not looked at");
      break;
    }
    t.diagnostic(`node-${i}: ${least.toFixed(0)} MiB before, ${(peak[i] ?? 0).toFixed(0)} MiB at most`);
    assert.ok((peak[i] ?? 0) < 2 * least + 150, `node-${i} uses ${peak[i]} MiB after ${least}`);
  }
});

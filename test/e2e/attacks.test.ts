/** What a dishonest pod may send to a live node: each has a fault of its own, none is included, the node stays up. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gradientWitness } from "../../circuits/gradient/witness.ts";
import { createProver } from "../../circuits/prove/prover.ts";
import { toHex } from "../../consensus/primitives/bytes.ts";
import { type FaultCode, FaultError } from "../../consensus/primitives/faults.ts";
import { outputAt } from "../../consensus/types/outputs.ts";
import {
  bytesToField,
  fieldToBytes,
  type Submission,
  SubmissionType,
  type UnsignedSubmission,
} from "../../consensus/types/submission.ts";
import { FIELD_ORDER } from "../../consensus/work/gradient.ts";
import type { Devnet } from "../../devnet/devnet.ts";
import { type Account, accountFromSeed, chainTag } from "../../pod/account.ts";
import { loadPod } from "../../pod/folder.ts";
import { buildSubmission, type DrawnSlot, drawnSlots, jobOf, signSubmission } from "../../pod/submission.ts";
import { waitFor } from "../../pod/wait.ts";
import { createOutlaw, rawMessage } from "../helpers/outlaw.ts";
import { joined, split } from "../helpers/outputs.ts";
import { proofsUpTo, START_MS, startSmallDevnet, statusOf, statusWhen } from "./helpers.ts";

/** A pod in the test's hands: its key, and its honest submission for this epoch's slot. */
type Hand = { readonly account: Account; readonly drawn: DrawnSlot; readonly honest: UnsignedSubmission };

let devnet: Devnet;
let chain: Uint8Array;
let victim: Hand;
let thief: Hand;
/** Holds the victim's rows under salts of its own. */
let copycat: Hand;
let accepted: string;

before(
  async () => {
    // Nobody proves but the test; an epoch is long enough for all of it: the window is 18 s.
    devnet = await startSmallDevnet({
      pods: 3,
      copycats: 1,
      batchesPerPod: 1,
      runPods: false,
      params: { epochHeights: 120n },
    });
    chain = chainTag(devnet.info.chainId);
    [victim, thief, copycat] = [await handOf(0), await handOf(1), await handOf(2)];
  },
  { timeout: START_MS },
);

after(async () => {
  await devnet?.stop();
});

async function handOf(i: number): Promise<Hand> {
  const info = devnet.info.pods[i];
  assert.ok(info !== undefined);
  const pod = await loadPod(info.dir);
  const task = await devnet.client().call("task_get", { task: pod.task });
  const [drawn] = drawnSlots(task, info.podId);
  assert.ok(drawn !== undefined, "the pod has a slot in epoch 0");
  const prover = createProver(pod.keys);
  try {
    const proved = await prover.prove(gradientWitness(drawn.shape, jobOf(pod.dataset, drawn, pod.secret)));
    return { account: accountFromSeed(pod.seed), drawn, honest: buildSubmission(drawn, proved) };
  } finally {
    await prover.stop();
  }
}

function send(submission: Submission): Promise<{ id: string }> {
  return sendBytes(SubmissionType.serialize(submission));
}

function sendBytes(bytes: Uint8Array): Promise<{ id: string }> {
  return devnet.client(0).call("proof_submit", { submission: toHex(bytes) });
}

const signed = (hand: Hand, submission: UnsignedSubmission): Submission =>
  signSubmission(hand.account, chain, submission);

function refusedAs(code: FaultCode) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof FaultError, String(error));
    assert.equal(error.code, code);
    return true;
  };
}

/** The same submission with one output replaced. */
function withOutput(submission: UnsignedSubmission, at: number, value: bigint): UnsignedSubmission {
  return {
    ...submission,
    outputs: joined(split(submission.outputs).with(at, fieldToBytes(value))),
  };
}

test("a proof with one output changed is refused as invalid", async () => {
  const gradient = bytesToField(outputAt(victim.honest.outputs, 2));
  const changed = withOutput(
    victim.honest,
    2,
    gradient > 0n && gradient < 2n ** 50n ? gradient - 1n : gradient + 1n,
  );
  await assert.rejects(send(signed(victim, changed)), refusedAs("submission/proof-invalid"));
});

test("a stolen proof, signed again for the thief, is refused for the slot", async () => {
  const stolen = { ...victim.honest, podId: thief.drawn.podId };
  await assert.rejects(send(signed(thief, stolen)), refusedAs("submission/slot-not-yours"));
});

test("a stolen proof in the thief's own slot does not verify there", async () => {
  const { outputs, proof } = victim.honest;
  await assert.rejects(
    send(signed(thief, { ...thief.honest, outputs, proof })),
    refusedAs("submission/proof-invalid"),
  );
});

test("a stolen proof with the owner's name is refused for its signature", async () => {
  await assert.rejects(send(signed(thief, victim.honest)), refusedAs("submission/signature-invalid"));
});

test("a signal of r or above is refused, although it means the same number", async () => {
  const alias = withOutput(victim.honest, 0, bytesToField(outputAt(victim.honest.outputs, 0)) + FIELD_ORDER);
  await assert.rejects(send(signed(victim, alias)), refusedAs("submission/signal-out-of-field"));
});

test("inputs other than the node's own are refused", async () => {
  const other = { ...victim.honest, inputsHash: new Uint8Array(32).fill(1) };
  await assert.rejects(send(signed(victim, other)), refusedAs("submission/inputs-mismatch"));
});

test("garbage is refused as malformed, and a garbled proof as no points", async () => {
  await assert.rejects(sendBytes(new Uint8Array(700).fill(0xa5)), refusedAs("submission/malformed"));
  await assert.rejects(sendBytes(new Uint8Array(0)), refusedAs("submission/malformed"));
  const garbled = { ...victim.honest, proof: new Uint8Array(128).fill(0xff) };
  await assert.rejects(send(signed(victim, garbled)), refusedAs("submission/proof-malformed"));
});

test("a proof for another epoch is refused", async () => {
  const early = { ...victim.honest, epoch: (victim.honest.epoch + 1) as typeof victim.honest.epoch };
  await assert.rejects(send(signed(victim, early)), refusedAs("submission/epoch-mismatch"));
});

test("the honest proof is taken all the same, and is final", { timeout: 60_000 }, async () => {
  const { id } = await send(signed(victim, victim.honest));
  accepted = id;
  const status = await devnet
    .client(0)
    .call("proof_wait", { id, until: "final", timeoutMs: 30_000 }, { timeoutMs: 40_000 });
  assert.equal(status.stage, "final");
});

test("the same proof again is refused as spent", async () => {
  await assert.rejects(send(signed(victim, victim.honest)), refusedAs("submission/nullifier-spent"));
});

test("the same rows under another identity are refused as seen", async () => {
  await assert.rejects(send(signed(copycat, copycat.honest)), refusedAs("submission/data-tag-seen"));
});

test("a peer that gossips a lie in a bundle pays for it, and nothing of the bundle is taken that is not right", {
  timeout: 60_000,
}, async (t) => {
  const [node] = devnet.info.nodes;
  assert.ok(node !== undefined);
  const peer = await createOutlaw(`/ip4/127.0.0.1/tcp/${node.p2pPort}/p2p/${node.peerId}`);
  t.after(peer.stop);
  const gradient = bytesToField(outputAt(thief.honest.outputs, 2));
  const lie = withOutput(thief.honest, 2, gradient === 0n ? 1n : gradient - 1n);
  const value = [signed(copycat, copycat.honest), signed(thief, lie), signed(victim, victim.honest)];
  peer.send([rawMessage(devnet.info.chainId, { topic: "submissions", value })]);
  await waitFor(
    "what the node thinks of it",
    async () => {
      const { peers } = await devnet.client(0).call("node_status", {});
      return peers.some(({ peerId, score }) => peerId === peer.peerId && score < -5) ? true : undefined;
    },
    { timeoutMs: 20_000, everyMs: 50 },
  );
});

test("an honest proof after the close is refused", { timeout: 120_000 }, async () => {
  await statusWhen(devnet, "the close", (it) => it.place > it.closePlace + 2, 0);
  await assert.rejects(send(signed(thief, thief.honest)), refusedAs("submission/window-closed"));
});

test("none of it is in the chain but the honest one, and every node is still up", {
  timeout: 60_000,
}, async () => {
  const { finalizedHeight } = await statusOf(devnet, 0);
  assert.deepEqual(await proofsUpTo(devnet, Number(finalizedHeight)), [accepted]);
  for (const node of devnet.info.nodes.keys()) {
    await statusWhen(
      devnet,
      `node-${node} goes on`,
      (it) => Number(it.finalizedHeight) > Number(finalizedHeight),
      node,
    );
  }
  assert.equal(devnet.restarts(), 0);
});

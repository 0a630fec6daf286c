/**
 * The crowd of pods of the throughput bench, in a process of its own so that its cost is known: in each epoch it
 * forges proofs of what the beacon drew, then sends them to the four nodes as fast as they take them, a pod's
 * sixteen in a request; after the close it opens the holdout slices as their sponsor. Started by throughput.ts
 * with its folder and the nodes' addresses; says on stdout what it did, a line an epoch.
 */
import { Agent, request } from "node:http";
import { fromHex, toHex } from "../../consensus/primitives/bytes.ts";
import { FaultError, invariant } from "../../consensus/primitives/faults.ts";
import { Epoch } from "../../consensus/primitives/units.ts";
import {
  bytesToField,
  nullifierOf,
  type Submission,
  SubmissionType,
  submissionRoot,
} from "../../consensus/types/submission.ts";
import { TransactionType } from "../../consensus/types/transaction.ts";
import { gradientOf, toField } from "../../consensus/work/gradient.ts";
import { chainTag } from "../../genesis/state.ts";
import { signEd25519 } from "../../node/keys.ts";
import { accountFromSeed, signTransaction } from "../../pod/account.ts";
import { createClient } from "../../pod/client.ts";
import { loadPool } from "../../pod/folder.ts";
import { buildSubmission, type DrawnSlot, drawnSlots, inputsOf } from "../../pod/submission.ts";
import { pause } from "../../pod/wait.ts";
import { circuitFor } from "../circuits/proofs.ts";
import { fieldBytes } from "../helpers/chain.ts";
import { createForge } from "../helpers/forge.ts";
import { CHAIN_ID, dataOf, pods, poolFile, SHAPE, sponsorKey } from "./throughput-chain.ts";

/** A pod's slots in all tasks: what it would send at once. */
const REQUEST_PROOFS = 16;
/** Requests in hand at a node. */
const REQUESTS_AT_ONCE = 8;
const BUSY_WAIT_MS = 10;
const POLL_MS = 50;

export type CrowdEpoch = {
  readonly epoch: number;
  readonly makeMs: number;
  readonly makeCpuMs: number;
  readonly sendCpuMs: number;
  readonly firstSentMs: number;
  readonly lastTakenMs: number;
  /** How often a node was too busy and the proof was sent again. */
  readonly again: number;
  readonly refused: Readonly<Record<string, number>>;
  /** Nullifier, which node took it, when it was first sent. */
  readonly sent: readonly (readonly [id: string, node: number, sentMs: number])[];
};

type Item = { readonly id: string; readonly hex: string; sentMs: number };

const [dir = "", epochsText = "1", ...urls] = process.argv.slice(2);
const epochs = Number(epochsText);
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

const forge = await createForge(await circuitFor(SHAPE.id));
const data = dataOf();
const crowd = pods();
const placeOf = new Map(crowd.map(({ podId }, i) => [toHex(podId), i]));
const pool = await loadPool(poolFile(dir));
const sponsor = accountFromSeed(sponsorKey().seed);
const clients = urls.map((rpc) => createClient({ rpc }));
const chain = chainTag(CHAIN_ID);
const clientOf = (i: number) => {
  const client = clients[i % clients.length];
  invariant(client !== undefined, "there is a node");
  return client;
};
const tasks = (await clientOf(0).call("task_list", {})).tasks.map(({ id }) => id);

/** What the pods would prove: their real gradients, under names of their own for rows and pods. */
function signalsOf(drawn: DrawnSlot): bigint[] {
  const pod = placeOf.get(toHex(drawn.podId)) ?? 0;
  const about = `${toHex(drawn.task)}/${drawn.epoch}/${drawn.slot}`;
  const gradient = gradientOf(drawn.model, data.batch(pod, drawn.batchIndex));
  const names = [`bench/nullifier/${about}`, `bench/tag/${about}`].map((text) => fieldBytes(text));
  const outputs = [...names.map(bytesToField), ...gradient.map(toField)];
  return [...outputs, ...inputsOf(drawn)];
}
function makeAll(drawn: readonly DrawnSlot[]): Item[] {
  const signals = drawn.map(signalsOf);
  const proofs = forge(signals);
  return drawn.map((slot, i) => {
    const unsigned = buildSubmission(slot, {
      proof: proofs[i] ?? new Uint8Array(),
      publicSignals: signals[i] ?? [],
    });
    const key = crowd[placeOf.get(toHex(slot.podId)) ?? 0]?.key;
    invariant(key !== undefined, "a slot is a pod's");
    const signed: Submission = {
      ...unsigned,
      signature: signEd25519(key.seed, submissionRoot(chain, unsigned)),
    };
    return { id: toHex(nullifierOf(signed)), hex: toHex(SubmissionType.serialize(signed)), sentMs: 0 };
  });
}

type Reply = { readonly id: number; readonly error?: { readonly data?: { readonly code?: string } } };

function post(url: string, agent: Agent, body: string): Promise<Reply[]> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply[]>();
  const out = request(
    url,
    { method: "POST", agent, headers: { "content-type": "application/json" } },
    (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("end", () => {
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString()) as Reply[]);
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    },
  );
  out.on("error", reject);
  out.end(body);
  return promise;
}

/** Everything to one node, a few requests at a time; what it is too busy for is sent again. */
async function sendTo(url: string, items: Item[], refused: Record<string, number>): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: REQUESTS_AT_ONCE });
  const queue = [...items];
  let again = 0;
  const sender = async (): Promise<void> => {
    for (
      let some = queue.splice(0, REQUEST_PROOFS);
      some.length > 0;
      some = queue.splice(0, REQUEST_PROOFS)
    ) {
      for (const item of some) item.sentMs ||= Date.now();
      const calls = some.map(({ hex }, id) => ({
        jsonrpc: "2.0",
        id,
        method: "proof_submit",
        params: { submission: hex },
      }));
      const replies = await post(url, agent, JSON.stringify(calls));
      let busy = 0;
      for (const { id, error } of Array.isArray(replies) ? replies : []) {
        const code = error?.data?.code;
        const item = some[id];
        if (code === undefined || item === undefined) continue;
        if (code === "rpc/busy" || code === "prover/busy") {
          queue.push(item);
          busy += 1;
        } else refused[code] = (refused[code] ?? 0) + 1;
      }
      again += busy;
      if (busy > 0) await pause(BUSY_WAIT_MS);
    }
  };
  await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, sender));
  agent.destroy();
  return again;
}

async function openSlices(epoch: number): Promise<void> {
  for (;;) {
    const { place, closePlace } = await clientOf(0).call("chain_status", {});
    if (place > closePlace) break;
    await pause(POLL_MS);
  }
  const node = clientOf(0);
  const { feeMin } = await node.call("chain_status", {});
  let nonce = Number((await node.call("chain_account", { address: sponsor.name })).nonce);
  for (const task of tasks) {
    const { drawnSlices } = await node.call("task_get", { task });
    const slices = drawnSlices.map((index) => pool.open(index));
    const operation = {
      selector: 4,
      value: { task: fromHex(task, 32), epoch: Epoch(epoch), slices },
    } as const;
    const signed = signTransaction(sponsor, chain, operation, { nonce: nonce++, fee: BigInt(feeMin) });
    // The library's type of a union loses which value belongs to which selector.
    const bytes = TransactionType.serialize(signed as Parameters<typeof TransactionType.serialize>[0]);
    await node.call("tx_submit", { transaction: toHex(bytes) });
  }
}

for (let epoch = 0; epoch < epochs; epoch++) {
  for (;;) {
    // All of them: a node that is a block behind would call the proofs too early.
    const all = await Promise.all(clients.map((client) => client.call("chain_status", {})));
    if (all.every((status) => Number(status.epoch) >= epoch)) break;
    await pause(POLL_MS);
  }
  const [startMs, startCpuMs] = [Date.now(), cpuMs()];
  const details = await Promise.all(tasks.map((task, i) => clientOf(i).call("task_get", { task })));
  const drawn = details.flatMap((task) =>
    crowd.flatMap(({ podId }) => drawnSlots(task, toHex(podId))).filter((slot) => slot.epoch === epoch),
  );
  const items = makeAll(drawn);
  const [madeMs, madeCpuMs] = [Date.now(), cpuMs()];
  const refused: Record<string, number> = {};
  // A pod's own together, pods over the nodes.
  const byNode = urls.map((): Item[] => []);
  for (const [i, slot] of drawn.entries()) {
    const item = items[i];
    if (item !== undefined) byNode[(placeOf.get(toHex(slot.podId)) ?? 0) % urls.length]?.push(item);
  }
  const again = await Promise.all(urls.map((url, i) => sendTo(url, byNode[i] ?? [], refused)));
  const report: CrowdEpoch = {
    epoch,
    makeMs: madeMs - startMs,
    makeCpuMs: madeCpuMs - startCpuMs,
    sendCpuMs: cpuMs() - madeCpuMs,
    firstSentMs: Math.min(...items.map(({ sentMs }) => sentMs)),
    lastTakenMs: Date.now(),
    again: again.reduce((sum, it) => sum + it, 0),
    refused,
    sent: byNode.flatMap((some, node) => some.map(({ id, sentMs }) => [id, node, sentMs] as const)),
  };
  process.stdout.write(`${JSON.stringify({ crowd: report })}\n`);
  try {
    await openSlices(epoch);
  } catch (error) {
    process.stderr.write(`${error instanceof FaultError ? error.message : String(error)}\n`);
  }
}

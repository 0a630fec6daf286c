/** A chain of one task behind the client's interface, moved by the test: for what pods and sponsors do. */
import { gradientSignals } from "../../../circuits/gradient/witness.ts";
import { podIdOf } from "../../../circuits/hash.ts";
import type { Prover } from "../../../circuits/prove/prover.ts";
import { fromHex, toHex } from "../../../consensus/primitives/bytes.ts";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { fieldToBytes, type Submission, SubmissionType } from "../../../consensus/types/submission.ts";
import { decodeTransaction, OPERATION_NAMES, transactionId } from "../../../consensus/types/transaction.ts";
import { type Rows, shapeOf } from "../../../consensus/work/gradient.ts";
import { type Account, accountFromSeed, chainTag } from "../../../pod/account.ts";
import type { Client } from "../../../pod/client.ts";
import { commitRows, type Dataset } from "../../../pod/dataset.ts";
import { type DrawnSlot, jobOf } from "../../../pod/submission.ts";
import type { MethodName, ProofStage, ResultOf, TaskDetail } from "../../../rpc/methods.ts";

export const SHAPE = shapeOf("gradient-8x4");
export const CHAIN_ID = "dev-test";
export const TASK = `0x${"11".repeat(31)}00`;
export const HASH = `0x${"ab".repeat(32)}`;
export const SECRET = 12_345n;
export const POD_ID = toHex(fieldToBytes(podIdOf(SECRET)));
export const STANDARD = { mean: [0, 0, 0, 0], scale: [1, 1, 1, 1] };

export const account: Account = accountFromSeed(new Uint8Array(32).fill(7));

/** Rows that a line through the origin separates, with a pattern instead of chance. */
export function someRows(count: number, features: number = SHAPE.features): Rows {
  const x = Int16Array.from({ length: count * features }, (_, i) => ((i * 97) % 401) - 200);
  const y = Uint8Array.from({ length: count }, (_, i) => ((x[i * features] ?? 0) > 0 ? 1 : 0));
  return { features, x, y };
}

export const dataset: Dataset = commitRows(someRows(32), SHAPE, STANDARD);

type Slots = TaskDetail["slots"];

export type FakeChain = {
  readonly client: Client;
  readonly calls: MethodName[];
  readonly operations: string[];
  readonly submissions: Submission[];
  epoch: number;
  place: number;
  lastRound: number;
  balance: bigint;
  known: boolean;
  slots: Slots;
  drawnSlices: number[];
  revealed: boolean;
  rounds: TaskDetail["rounds"];
  /** What proof_wait answers next; the last one stays. */
  stages: ProofStage[];
  /** Thrown by the next calls of a method, one each. */
  readonly failures: Map<MethodName, FaultError[]>;
};

export function createFakeChain(): FakeChain {
  const chain: FakeChain = {
    client: {
      urls: ["fake:"],
      callRaw: () => Promise.reject(new FaultError("rpc/method-unknown")),
      call: async (name, params) => {
        chain.calls.push(name);
        const failure = chain.failures.get(name)?.shift();
        if (failure !== undefined) throw failure;
        return answer(chain, name, params as Record<string, string>) as ResultOf<typeof name>;
      },
    },
    calls: [],
    operations: [],
    submissions: [],
    epoch: 0,
    place: 1,
    lastRound: 3,
    balance: 0n,
    known: true,
    slots: [slotOf(0)],
    drawnSlices: [],
    revealed: false,
    rounds: [],
    stages: ["included", "final", "scored", "rewarded"],
    failures: new Map(),
  };
  return chain;
}

export function slotOf(batchIndex: number, podId: string = POD_ID): Slots[number] {
  return { slot: 0, podId, dataRoot: toHex(dataset.dataRoot), batchIndex, filled: false };
}

function answer(chain: FakeChain, name: MethodName, params: Record<string, string>): unknown {
  switch (name) {
    case "chain_status":
      return statusOf(chain);
    case "task_get":
      return taskOf(chain);
    case "pod_get": {
      if (!chain.known) throw new FaultError("pod/unknown");
      return {
        podId: POD_ID,
        account: account.name,
        bond: "10000000000",
        datasets: [{ dataRoot: toHex(dataset.dataRoot) }],
        enrollments: [{ task: TASK }],
      };
    }
    case "chain_account":
      return {
        address: account.name,
        balance: String(chain.balance),
        nonce: String(chain.operations.length),
        locked: "0",
      };
    case "dev_faucet":
      chain.balance += BigInt(params.amount ?? "0");
      return { transaction: HASH };
    case "tx_submit": {
      const transaction = decodeTransaction(fromHex(params.transaction ?? "0x"));
      if (transaction === undefined) throw new FaultError("transaction/malformed");
      chain.operations.push(OPERATION_NAMES[transaction.operation.selector]);
      return { id: toHex(transactionId(chainTag(CHAIN_ID), transaction)), stage: "pooled" };
    }
    case "tx_wait":
      return { id: HASH, stage: "final", height: "3" };
    case "proof_submit":
      chain.submissions.push(SubmissionType.deserialize(fromHex(params.submission ?? "0x")));
      return { id: HASH, stage: "pooled" };
    case "proof_wait": {
      const stage = chain.stages.length > 1 ? chain.stages.shift() : chain.stages[0];
      return { id: HASH, stage, task: TASK, epoch: "0", slot: 0, podId: POD_ID };
    }
    default:
      throw new FaultError("rpc/method-unknown", { method: name });
  }
}

function statusOf({ epoch, place }: FakeChain): Partial<ResultOf<"chain_status">> {
  const finalizedHeight = String(epoch * 10 + place - 1);
  return {
    chainId: CHAIN_ID,
    epoch: String(epoch),
    place,
    closePlace: 6,
    epochHeights: 10,
    finalizedHeight,
    feeMin: "10",
    bondUnit: "1000",
  };
}

function taskOf(chain: FakeChain): Partial<TaskDetail> {
  return {
    id: TASK,
    shape: SHAPE.id,
    vkHash: HASH,
    lastRound: String(chain.lastRound),
    epoch: String(chain.epoch),
    model: new Array<string>(SHAPE.features + 1).fill("0"),
    slots: chain.slots,
    drawnSlices: chain.drawnSlices,
    revealed: chain.revealed,
    rounds: chain.rounds,
  };
}

export const drawn: DrawnSlot = {
  task: fromHex(TASK, 32),
  shape: SHAPE,
  vkHash: fromHex(HASH, 32),
  epoch: 0,
  slot: 0,
  podId: fromHex(POD_ID, 32),
  dataRoot: dataset.dataRoot,
  batchIndex: 1,
  model: [0, 0, 0, 0, 0],
};

/** Says what a real proof would say, without one. */
export function honestSignals(of: DrawnSlot = drawn): bigint[] {
  return gradientSignals(jobOf(dataset, of, SECRET));
}

/** A prover whose proofs end at once, or when the test releases them. */
export type FakeProver = Pick<Prover, "prove"> & { hold: boolean; readonly started: number; release(): void };

export function createFakeProver(signals: () => bigint[]): FakeProver {
  let started = 0;
  let held: (() => void)[] = [];
  const prover: FakeProver = {
    hold: false,
    get started() {
      return started;
    },
    release: () => {
      for (const end of held) end();
      held = [];
    },
    prove: (_inputs, { signal, onProgress } = {}) => {
      started++;
      onProgress?.(50);
      return new Promise((resolve, reject) => {
        const end = (): void => resolve({ proof: new Uint8Array(128), publicSignals: signals() });
        signal?.addEventListener("abort", () => reject(new FaultError("prover/cancelled")), { once: true });
        if (prover.hold) held.push(end);
        else end();
      });
    },
  };
  return prover;
}

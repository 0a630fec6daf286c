/**
 * The node's methods: one handler for each entry of rpc/methods.ts. They read the finalized state, hand
 * what is submitted to admission, and wait for changes. No rule of the chain is decided here.
 */
import type { z } from "zod";
import { fromHex, toHex } from "../../consensus/primitives/bytes.ts";
import { type FaultCode, FaultError, type Verdict } from "../../consensus/primitives/faults.ts";
import { closePlace, placeInEpoch } from "../../consensus/primitives/params.ts";
import { Amount, Height } from "../../consensus/primitives/units.ts";
import { statementOf } from "../../consensus/state/inputs.ts";
import { getAccount, taskIndexOf } from "../../consensus/state/maps.ts";
import { formatAddress, parseAddress } from "../../consensus/types/address.ts";
import { type Block, blockHash } from "../../consensus/types/block.ts";
import { decodeEvidence, evidenceId } from "../../consensus/types/evidence.ts";
import { decode } from "../../consensus/types/ssz.ts";
import { fieldsOf, nullifierOf, SubmissionType } from "../../consensus/types/submission.ts";
import { decodeTransaction, transactionId } from "../../consensus/types/transaction.ts";
import type { Genesis } from "../../genesis/state.ts";
import {
  METHODS,
  type MethodName,
  type ProofStatus,
  type ResultOf,
  type TxStatus,
} from "../../rpc/methods.ts";
import type { Admission } from "../admission.ts";
import type { Chain } from "../chain.ts";
import type { Changes } from "../changes.ts";
import type { EvidencePool } from "../evidence.ts";
import type { Mempool } from "../mempool.ts";
import { isReached, type ProofLife } from "../proof-life.ts";
import type { Store } from "../store/store.ts";
import { createLightAnswers } from "./light.ts";
import { defineMethod, type RpcContext, type RpcMethod, type RpcMethods } from "./server.ts";
import { validatorGet, validatorList } from "./validators.ts";
import { blockView, podView, supplyView, taskList, taskView } from "./views.ts";

export const VERSION = "0.1.0";

export type MethodComponents = {
  readonly chainId: string;
  readonly chain: Chain;
  readonly store: Store;
  readonly genesis: Genesis;
  readonly mempool: Mempool;
  readonly admission: Admission;
  readonly evidence: Pick<EvidencePool, "add">;
  readonly life: ProofLife;
  readonly changes: Changes;
  readonly counters: { verified: number; rejected: number };
  view(): number;
  validatorsOnline(): number;
  isSyncing(): boolean;
  nodeStatus(): ResultOf<"node_status">;
  readonly faucet: ((to: Uint8Array, amount: Amount) => Uint8Array) | undefined;
};

const LATE: ReadonlySet<FaultCode> = new Set([
  "submission/window-closed",
  "submission/epoch-mismatch",
  "rpc/busy",
]);

/** What a handler gets: the parameters as the schema gives them. */
type Handlers = {
  readonly [Name in MethodName]: (
    params: z.output<(typeof METHODS)[Name]["params"]>,
    context: RpcContext,
  ) => Promise<ResultOf<Name>> | ResultOf<Name>;
};

/** Of what its schema has found to be hex. */
const bytesOf = (hex: string): Uint8Array => Buffer.from(hex.slice(2), "hex");

function accepted(verdict: Verdict): void {
  if (verdict.kind !== "accept") throw new FaultError(verdict.fault.code, verdict.fault.data);
}

function createHandlers(components: MethodComponents): Handlers {
  const { chainId, chain, store, mempool, admission, life, changes, counters, faucet } = components;
  const { params } = chain;
  const light = createLightAnswers(components);

  const txStatus = (id: string): TxStatus => {
    const place = store.transaction(fromHex(id, 32));
    if (place !== undefined) return { id, stage: "final", height: String(place.height) };
    return { id, stage: mempool.transaction(id) === undefined ? "unknown" : "pooled" };
  };
  const proofStatus = (id: string): ProofStatus => life.status(id, fromHex(id, 32));
  const receiptOf = (block: Block) => ({
    transactions: block.body.transactions.map((it) => transactionId(chain.chain, it)),
    submissions: block.body.submissions.map(nullifierOf),
    epoch: undefined,
  });

  return {
    chain_status() {
      const { state, hash, height, set } = chain.final();
      return {
        chainId,
        preset: params.preset,
        version: VERSION,
        genesisRoot: toHex(chain.genesisRoot),
        height: String(chain.tip().height),
        finalizedHeight: String(height),
        finalizedHash: toHex(hash),
        stateRoot: toHex(chain.final().block?.header.stateRoot ?? chain.genesisRoot),
        epoch: String(state.epoch),
        place: placeInEpoch(height + 1, params),
        epochHeights: Number(params.epochHeights),
        closePlace: closePlace(params),
        view: String(components.view()),
        timestampMs: String(state.timestampMs),
        validators: set.members.length,
        validatorsOnline: components.validatorsOnline(),
        proofs: { ...counters, pooled: mempool.counts().submissions },
        supply: supplyView(state),
        feeMin: String(params.feeMin),
        bondUnit: String(params.bondUnit),
        syncing: components.isSyncing(),
      };
    },

    node_status: () => components.nodeStatus(),

    chain_block({ height, hash }) {
      const known = hash === undefined ? undefined : store.blockByHash(fromHex(hash, 32));
      const at =
        height === undefined ? (known?.header.height ?? chain.final().height) : Height(Number(height));
      const block = store.blockAt(at);
      const lowest = store.lowest();
      if (block === undefined && at > 0 && at < lowest)
        throw new FaultError("block/pruned", { height: at, lowestHeight: lowest });
      if (block === undefined || (hash !== undefined && toHex(blockHash(block.header)) !== hash)) {
        throw new FaultError("block/unknown", { height: at, finalized: chain.final().height });
      }
      return blockView({ hash: blockHash(block.header), block, height: at, receipt: receiptOf(block) });
    },

    chain_account({ address }) {
      const bytes = parseAddress(address);
      const account = getAccount(chain.final().state, bytes);
      const nonce = getAccount(chain.tip().state, bytes)?.nonce ?? 0;
      return {
        address: formatAddress(bytes),
        balance: String(account?.balance ?? 0n),
        nonce: String(mempool.nextNonce(bytes, nonce)),
        locked: String(account?.locked ?? 0n),
      };
    },

    chain_genesisProof: () => ({ proof: toHex(light.genesis()) }),
    chain_epochProof: ({ epoch }) => ({ proof: toHex(light.epoch(Number(epoch))) }),
    chain_accountProof: ({ address }) => ({ proof: toHex(light.account(parseAddress(address))) }),
    proof_inclusion: ({ id }) => ({ proof: toHex(light.submission(fromHex(id, 32))) }),

    validator_list: () => validatorList(chain.final().state, params),
    validator_get: ({ blsKey }) => validatorGet(chain.final().state, fromHex(blsKey, 48), params),

    task_list: () => taskList(chain.final().state),
    task_get: ({ task }) => taskView(chain.final().state, task, params, store),
    pod_get: ({ podId }) => podView(chain.final().state, podId),

    proof_inputs({ task, slot }) {
      const { state } = chain.final();
      const index = taskIndexOf(state, fromHex(task, 32));
      if (index < 0) throw new FaultError("task/unknown", { task });
      const { slots } = state.rounds.getReadonly(index);
      if (slot >= slots.length)
        throw new FaultError("submission/slot-unknown", { slot, slots: slots.length });
      const { inputs, inputsHash } = statementOf(
        state,
        state.tasks.getReadonly(index),
        slots.getReadonly(slot),
      );
      return {
        epoch: String(state.epoch),
        inputs: fieldsOf(inputs).map(String),
        inputsHash: toHex(inputsHash),
      };
    },

    async proof_submit({ submission: hex }) {
      const submission = decode(SubmissionType, bytesOf(hex));
      if (submission === undefined) throw new FaultError("submission/malformed");
      const verdict = await admission.admitSubmission(submission);
      // Being late is no fault of the proof.
      if (verdict.kind !== "accept" && !LATE.has(verdict.fault.code)) counters.rejected += 1;
      accepted(verdict);
      return { id: toHex(nullifierOf(submission)), stage: "pooled" };
    },

    proof_get: ({ id }) => proofStatus(id),
    async proof_wait({ id, until, timeoutMs }, { signal }) {
      const reached = (): ProofStatus | undefined => {
        const status = proofStatus(id);
        return isReached(status.stage, until) ? status : undefined;
      };
      return (await changes.until(reached, timeoutMs, signal)) ?? proofStatus(id);
    },

    async tx_submit({ transaction: hex }) {
      const transaction = decodeTransaction(bytesOf(hex));
      if (transaction === undefined) throw new FaultError("transaction/malformed");
      const id = toHex(transactionId(chain.chain, transaction));
      const known = txStatus(id);
      if (known.stage !== "unknown") return known;
      accepted(await admission.admit(transaction));
      return txStatus(id);
    },

    async tx_wait({ id, timeoutMs }, { signal }) {
      const ended = (): TxStatus | undefined => {
        const status = txStatus(id);
        return status.stage === "final" ? status : undefined;
      };
      return (await changes.until(ended, timeoutMs, signal)) ?? txStatus(id);
    },

    evidence_submit({ evidence: hex }) {
      const evidence = decodeEvidence(bytesOf(hex));
      if (evidence === undefined) throw new FaultError("evidence/malformed");
      accepted(components.evidence.add(evidence));
      return { id: toHex(evidenceId(evidence)) };
    },

    dev_faucet({ address, amount }) {
      if (faucet === undefined) throw new FaultError("rpc/method-unknown", { method: "dev_faucet" });
      return { transaction: toHex(faucet(parseAddress(address), Amount(BigInt(amount)))) };
    },
  };
}

/** The table that the RPC server serves. `dev_` methods exist on nodes with a faucet key only. */
export function createMethods(components: MethodComponents): RpcMethods {
  const handlers = createHandlers(components);
  const entries = (Object.keys(METHODS) as MethodName[])
    .filter((name) => components.faucet !== undefined || !name.startsWith("dev_"))
    .map((name): [string, RpcMethod] => {
      const handler = handlers[name] as (params: unknown, context: RpcContext) => unknown;
      return [
        name,
        defineMethod<unknown>(METHODS[name].params, async (params, context) => handler(params, context)),
      ];
    });
  return Object.fromEntries(entries);
}

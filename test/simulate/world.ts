/**
 * A chain without blocks for questions of money: accounts, pods, sponsors and validators act through the real
 * operations, submissions and settlements of consensus/state, an epoch a call. No signature, proof or block is
 * made, because the transition does not look at them. Used by the simulator and by the tests of the economy.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { equalBytes, toHex, uint64Bytes } from "../../consensus/primitives/bytes.ts";
import type { Fault } from "../../consensus/primitives/faults.ts";
import { hash } from "../../consensus/primitives/hash.ts";
import { merkleBranch, merkleLevels, merkleRoot } from "../../consensus/primitives/merkle.ts";
import { closePlace, type ParamName, type Params } from "../../consensus/primitives/params.ts";
import { Amount, Height, ValidatorIndex, zkp } from "../../consensus/primitives/units.ts";
import { applySubmission } from "../../consensus/state/apply-submission.ts";
import { applyTransaction } from "../../consensus/state/apply-transaction.ts";
import type { Context } from "../../consensus/state/context.ts";
import { closeSubmissions } from "../../consensus/state/draws.ts";
import { modelOf, statementOf } from "../../consensus/state/inputs.ts";
import { getAccount, getPod, taskIndexOf } from "../../consensus/state/maps.ts";
import { currentMembers } from "../../consensus/state/sets.ts";
import { type EpochReceipt, settleEpoch } from "../../consensus/state/settle-epoch.ts";
import { type State, textBytes, toInt32 } from "../../consensus/state/state.ts";
import { circulating } from "../../consensus/state/supply.ts";
import { formatAddress } from "../../consensus/types/address.ts";
import { encodeFeatures, sliceLeaf } from "../../consensus/types/holdout.ts";
import { normalizationHash, standardisationBytes } from "../../consensus/types/normalization.ts";
import { fieldToBytes, type Submission } from "../../consensus/types/submission.ts";
import {
  addressOf,
  createdTaskId,
  HOLDOUT_DEPTH,
  type HoldoutSlice,
  type Operation,
  SELECTOR,
  SLICE_ROWS,
} from "../../consensus/types/transaction.ts";
import { possessionRoot } from "../../consensus/types/vote.ts";
import { type GradientShape, type Rows, shapeOf, toField } from "../../consensus/work/gradient.ts";
import { GenesisDocument } from "../../genesis/document.ts";
import { chainTag, genesisState } from "../../genesis/state.ts";
import { blsSecretKey, devKey } from "../../node/keys.ts";
import { joined } from "../helpers/outputs.ts";

export const CHAIN_ID = "dev-economy";

export const digest = (text: string): Uint8Array =>
  new Uint8Array(createHash("sha256").update(text).digest());
/** Any field element, the same for the same text. */
export function fieldBytes(text: string): Uint8Array {
  const bytes = digest(text);
  bytes[31] = 0;
  return bytes;
}
const keyOf = (name: string): Uint8Array => digest(`key/${name}`);
export const addressOfName = (name: string): Uint8Array => addressOf(keyOf(name));
export const podIdOf = (pod: string): Uint8Array => fieldBytes(`pod/${pod}`);
export const rootOfPod = (pod: string, nth = 0): Uint8Array => fieldBytes(`data/${pod}/${nth}`);

export type WorldOptions = {
  readonly params?: Partial<Record<ParamName, string>>;
  readonly shape?: string;
  /** Names of accounts, and whole ZKP that each begins with. */
  readonly accounts?: Readonly<Record<string, number>>;
  readonly validators?: number;
  readonly stake?: bigint;
};

/** What a pod makes of a drawn slot: its exact outputs, and what content they are of; nothing lapses. */
export type Work = { readonly gradient: readonly number[]; readonly content: string };
export type SlotWork = {
  readonly task: Uint8Array;
  readonly pod: string;
  readonly model: readonly number[];
  readonly batch: number;
  readonly epoch: number;
  readonly shape: GradientShape;
};
export type Worker = (slot: SlotWork) => Work | undefined;

export type EpochOptions = {
  /** Whether the sponsor of this task opens what was drawn. */
  readonly reveals?: (task: Uint8Array) => boolean;
  /** Whether a proposer leaves a pod's submission out. */
  readonly censors?: (validator: number, pod: string) => boolean;
  /** Part of the epoch's heights at which each validator is seen. */
  readonly present?: (validator: number) => number;
};

export type TaskOptions = {
  readonly name?: string;
  readonly roundPay?: bigint;
  readonly bond?: bigint;
  readonly escrow?: bigint;
  readonly rounds?: number;
  readonly lead?: number;
  readonly slices?: number;
  readonly minAccepted?: number;
  readonly minQuality?: bigint;
  readonly groupRoot?: Uint8Array;
  readonly notice?: string;
  readonly rate?: { readonly numerator: number; readonly shift: number };
  readonly normBound?: bigint;
  readonly model?: readonly number[];
};

/** A sponsor's holdout rows, committed. */
export type Pool = { readonly root: Uint8Array; readonly slices: readonly HoldoutSlice[] };

export function commitPool(slices: readonly Rows[], salt: string): Pool {
  const bare = slices.map(({ x, y }, index) => ({
    index,
    salt: digest(`${salt}/${index}`),
    features: encodeFeatures(x),
    labels: y,
  }));
  const levels = merkleLevels(bare.map(sliceLeaf), HOLDOUT_DEPTH);
  return {
    root: merkleRoot(levels),
    slices: bare.map((slice) => ({ ...slice, branch: merkleBranch(levels, slice.index) })),
  };
}

function genesisOf(options: WorldOptions): ReturnType<typeof genesisState> {
  const { params = {}, shape = "gradient-4x2", accounts = {}, validators = 4, stake = zkp(1_000) } = options;
  const chain = chainTag(CHAIN_ID);
  return genesisState(
    GenesisDocument.parse({
      chainId: CHAIN_ID,
      preset: "dev",
      params: {
        epochHeights: "10",
        slicesPerRound: "2",
        rewardLockEpochs: "2",
        ...params,
      },
      timeMs: "1700000000000",
      // Validators have something to pay the fees of approvals with.
      accounts: Object.entries({
        ...Object.fromEntries(Array.from({ length: validators }, (_, i) => [`v${i}`, 1])),
        ...accounts,
      }).map(([name, amount]) => ({
        address: formatAddress(addressOfName(name)),
        balance: String(zkp(amount)),
      })),
      validators: Array.from({ length: validators }, (_, i) => {
        const bls = devKey("bls", `validator-${i}`);
        return {
          name: `v${i}`,
          publicKey: toHex(keyOf(`v${i}`)),
          blsKey: toHex(bls.publicKey),
          possession: toHex(blsSecretKey(bls.seed).sign(possessionRoot(chain, bls.publicKey)).toBytes()),
          stake: String(stake),
        };
      }),
      circuits: [
        {
          shape,
          vkHash: toHex(digest("vk")),
          verificationKey: { protocol: "groth16", curve: "bn128", nPublic: 12 },
        },
      ],
      pods: [],
      tasks: [],
    }),
  );
}

export type World = ReturnType<typeof createWorld>;

export function createWorld(options: WorldOptions = {}) {
  const { state, params }: { state: State; params: Params } = genesisOf(options);
  const shape = shapeOf(options.shape ?? "gradient-4x2");
  const vkHash = digest("vk");
  const heights = Number(params.epochHeights);
  const mean = new Array<number>(shape.features).fill(0);
  const scale = new Array<number>(shape.features).fill(1);
  const names = new Set([
    ...Object.keys(options.accounts ?? {}),
    ...Array.from({ length: options.validators ?? 4 }, (_, i) => `v${i}`),
  ]);
  /** By hex of their ids. */
  const pools = new Map<string, { pool: Pool; sponsor: string }>();
  const workers = new Map<string, { name: string; worker: Worker }>();
  let place = 1;
  let turn = 0;
  state.height = Height(1);

  const contextOf = (proposer = 0): Context => ({ params, proposer: ValidatorIndex(proposer), place });
  const goTo = (to: number): void => {
    place = to;
    state.height = Height(state.epoch * heights + to);
  };

  /** A transaction by name; its fault if the state refuses it. */
  const send = (name: string, operation: Operation): Fault | undefined => {
    names.add(name);
    const publicKey = keyOf(name);
    const nonce = getAccount(state, addressOf(publicKey))?.nonce ?? 0;
    const fee = Amount(params.feeMin);
    const signature = new Uint8Array(64);
    return applyTransaction(state, { publicKey, nonce, fee, operation, signature }, contextOf());
  };
  const must = (name: string, operation: Operation): void => {
    const refused = send(name, operation);
    assert.equal(refused, undefined, `${name}: ${JSON.stringify(refused)}`);
  };

  const submissionFor = (index: number, slotIndex: number): Submission | undefined => {
    const task = state.tasks.getReadonly(index);
    const slot = state.rounds.getReadonly(index).slots.getReadonly(slotIndex);
    const owner = workers.get(toHex(slot.podId));
    const work = owner?.worker({
      task: task.id,
      pod: owner.name,
      model: modelOf(task),
      batch: slot.batchIndex,
      epoch: state.epoch,
      shape,
    });
    if (work === undefined) return undefined;
    const about = `${toHex(task.id)}/${state.epoch}`;
    return {
      task: task.id,
      epoch: state.epoch,
      slot: slotIndex,
      podId: slot.podId,
      inputsHash: statementOf(state, task, slot).inputsHash,
      outputs: joined([
        fieldBytes(`nullifier/${about}/${toHex(slot.podId)}/${slot.batchIndex}`),
        fieldBytes(`tag/${about}/${work.content}`),
        ...work.gradient.map((value) => fieldToBytes(toField(value))),
      ]),
      proof: new Uint8Array(128),
      signature: new Uint8Array(64),
    };
  };

  /** All pods' work; what was refused and why, by pod. */
  const submitAll = ({ censors = () => false }: EpochOptions = {}): { pod: string; fault: Fault }[] => {
    const refused: { pod: string; fault: Fault }[] = [];
    const count = state.validators.length;
    for (let index = 0; index < state.tasks.length; index++) {
      const { length } = state.rounds.getReadonly(index).slots;
      for (let slot = 0; slot < length; slot++) {
        const submission = submissionFor(index, slot);
        if (submission === undefined) continue;
        const pod = workers.get(toHex(submission.podId))?.name ?? "";
        // A submission waits in all mempools: the first proposer that does not leave it out includes it.
        let proposer = turn++ % count;
        let tries = 0;
        while (tries++ < count && censors(proposer, pod)) proposer = (proposer + 1) % count;
        if (censors(proposer, pod)) continue;
        const accepted = applySubmission(state, submission, contextOf(proposer));
        if ("code" in accepted) refused.push({ pod, fault: accepted });
      }
    }
    return refused;
  };

  const reveal = (index: number): Fault | undefined => {
    const { id } = state.tasks.getReadonly(index);
    const owned = pools.get(toHex(id));
    const drawn = state.rounds.getReadonly(index).drawnSlices.getAll();
    if (owned === undefined || drawn.length === 0) return undefined;
    const slices = drawn.map((at) => owned.pool.slices[at]).filter((slice) => slice !== undefined);
    return send(owned.sponsor, { selector: 4, value: { task: id, epoch: state.epoch, slices } });
  };

  const close = (): void => {
    goTo(closePlace(params));
    state.beacon.mix = hash("beacon", state.beacon.mix, uint64Bytes(state.epoch));
    closeSubmissions(state, params);
  };

  const settle = ({ present = () => 1 }: EpochOptions = {}): EpochReceipt => {
    goTo(heights);
    const opportunities = 1_000;
    state.presence.opportunities = opportunities;
    for (const [i, { validator }] of currentMembers(state).entries())
      state.presence.present.set(i, Math.floor(opportunities * present(validator)));
    state.beacon.mix = hash("beacon", state.beacon.mix, uint64Bytes(state.height));
    const receipt = settleEpoch(state, contextOf());
    state.commit();
    goTo(1);
    return receipt;
  };

  return {
    state,
    params,
    shape,
    normalization: normalizationHash(mean, scale),
    send,
    must,
    goTo,
    submissionFor,
    submitAll,
    close,
    reveal,
    settle,
    /** One whole epoch: work, close, reveals, settlement. */
    epoch(epochOptions: EpochOptions = {}): EpochReceipt & { refused: { pod: string; fault: Fault }[] } {
      const refused = submitAll(epochOptions);
      close();
      goTo(heights - 1);
      for (let index = 0; index < state.tasks.length; index++) {
        const { id } = state.tasks.getReadonly(index);
        if (epochOptions.reveals?.(id) === false) continue;
        const wrong = reveal(index);
        assert.equal(wrong, undefined, `reveal: ${JSON.stringify(wrong)}`);
      }
      return { ...settle(epochOptions), refused };
    },
    /** Registers a pod with one root of its own; `owner` pays. */
    addPod(pod: string, worker: Worker, { owner = pod, bond = params.bondUnit, batches = 1_024 } = {}): void {
      workers.set(toHex(podIdOf(pod)), { name: pod, worker });
      const podId = podIdOf(pod);
      must(owner, { selector: 1, value: { podId, bond: Amount(bond) } });
      const normalization = normalizationHash(mean, scale);
      must(owner, { selector: 2, value: { podId, dataRoot: rootOfPod(pod), batches, normalization } });
    },
    enroll: (pod: string, task: Uint8Array, { owner = pod, slots = 1 } = {}): Fault | undefined =>
      send(owner, {
        selector: 3,
        value: { podId: podIdOf(pod), task, dataRoot: rootOfPod(pod), slots },
      }),
    /** The operation that creates a task, and the id that it will have. */
    taskOf(sponsor: string, pool: Pool, task: TaskOptions = {}): { operation: Operation; id: Uint8Array } {
      const { roundPay = params.roundPayMin, rounds = 4, rate = { numerator: 1, shift: 0 } } = task;
      const nonce = getAccount(state, addressOfName(sponsor))?.nonce ?? 0;
      const id = createdTaskId(state.chain, vkHash, addressOfName(sponsor), nonce);
      const value = {
        name: textBytes(task.name ?? "task"),
        shape: textBytes(shape.id),
        standardisation: standardisationBytes(mean, scale),
        rateNumerator: rate.numerator,
        rateShift: rate.shift,
        normBound: task.normBound ?? 2n ** 90n,
        lead: task.lead ?? 1,
        rounds,
        holdoutRoot: pool.root,
        holdoutSlices: task.slices ?? pool.slices.length,
        model: (task.model ?? []).map(toInt32),
        roundPay: Amount(roundPay),
        bond: Amount(task.bond ?? 2n * roundPay),
        escrow: Amount(task.escrow ?? BigInt(rounds) * roundPay),
        minAccepted: task.minAccepted ?? 0,
        minQuality: task.minQuality ?? 0n,
        groupRoot: task.groupRoot ?? new Uint8Array(32),
        notice: textBytes(task.notice ?? ""),
      };
      return { operation: { selector: SELECTOR.taskCreate, value }, id };
    },
    /** Creates a task and remembers its pool for the reveals. */
    addTask(sponsor: string, pool: Pool, task: TaskOptions = {}): Uint8Array {
      const { operation, id } = this.taskOf(sponsor, pool, task);
      must(sponsor, operation);
      pools.set(toHex(id), { pool, sponsor });
      return id;
    },
    /** All validators but those named approve a task for the public lane. */
    approve(task: Uint8Array, seats = state.validators.length): void {
      for (let i = 0; i < seats; i++) must(`v${i}`, { selector: SELECTOR.taskApprove, value: { task } });
    },
    taskIndex: (task: Uint8Array): number => taskIndexOf(state, task),
    task: (task: Uint8Array) => state.tasks.getReadonly(taskIndexOf(state, task)),
    pod: (pod: string) => {
      const found = getPod(state, podIdOf(pod));
      assert.ok(found !== undefined, `pod ${pod}`);
      return found;
    },
    podName: (podId: Uint8Array): string => workers.get(toHex(podId))?.name ?? toHex(podId),
    setWorker: (pod: string, worker: Worker): void => {
      workers.set(toHex(podIdOf(pod)), { name: pod, worker });
    },
    /** Balance and locked rewards. */
    wealth(name: string): bigint {
      const account = getAccount(state, addressOfName(name));
      return (account?.balance ?? 0n) + (account?.locked ?? 0n);
    },
    /** genesis + minted = circulating + staked + bonded + escrowed + locked + treasury + burned, counted apart. */
    checkSupply(): void {
      let balances = 0n;
      let locked = 0n;
      for (const name of names) {
        const account = getAccount(state, addressOfName(name));
        balances += account?.balance ?? 0n;
        locked += account?.locked ?? 0n;
      }
      assert.equal(balances, circulating(state), "balances are what circulates");
      assert.equal(locked, state.supply.locked, "locked rewards are the supply's");
      let bonds = 0n;
      for (const { podId } of [...workers.keys()].map((id) => ({ podId: Buffer.from(id.slice(2), "hex") })))
        bonds += getPod(state, podId)?.bond ?? 0n;
      let escrows = 0n;
      for (const { bond, escrow } of state.tasks.getAllReadonly()) {
        bonds += bond;
        escrows += escrow;
      }
      assert.equal(bonds, state.supply.bonded, "bonds of pods and sponsors");
      assert.equal(escrows, state.supply.escrowed, "escrows of tasks");
      let stakes = 0n;
      for (let i = 0; i < state.validators.length; i++) stakes += state.validators.getReadonly(i).stake;
      assert.equal(stakes, state.supply.staked, "stakes of validators");
    },
    addressOfName,
    same: equalBytes,
    sliceRows: SLICE_ROWS,
  };
}

/**
 * A small chain in memory for tests of the state, genesis and the node: four validators, three pods, a
 * sponsor with a pool of holdout rows, and everything that signs. Blocks are made with real beacon reveals;
 * proofs are no proofs, because the transition does not verify them.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { SecretKey } from "@chainsafe/blst";
import { aggregateSignatures } from "../../consensus/primitives/bls.ts";
import { equalBytes, toHex } from "../../consensus/primitives/bytes.ts";
import type { Fault } from "../../consensus/primitives/faults.ts";
import { merkleBranch, merkleLevels, merkleRoot } from "../../consensus/primitives/merkle.ts";
import type { ParamName, Params } from "../../consensus/primitives/params.ts";
import { placeInEpoch } from "../../consensus/primitives/params.ts";
import { Amount, View, zkp } from "../../consensus/primitives/units.ts";
import { statementOf } from "../../consensus/state/inputs.ts";
import { getAccount } from "../../consensus/state/maps.ts";
import { validatorSet } from "../../consensus/state/sets.ts";
import { type State, stateRoot } from "../../consensus/state/state.ts";
import {
  type Applied,
  applyBlock,
  type BlockReceipt,
  buildBlock,
  type Parent,
} from "../../consensus/state/transition.ts";
import { formatAddress } from "../../consensus/types/address.ts";
import { type Block, blockHash } from "../../consensus/types/block.ts";
import { type Certificate, createCertificate } from "../../consensus/types/certificate.ts";
import { encodeFeatures, sliceLeaf } from "../../consensus/types/holdout.ts";
import { normalizationHash } from "../../consensus/types/normalization.ts";
import { fieldToBytes, type Submission, submissionRoot } from "../../consensus/types/submission.ts";
import {
  addressOf,
  HOLDOUT_DEPTH,
  type HoldoutSlice,
  type Operation,
  SLICE_ROWS,
  type Transaction,
  transactionId,
} from "../../consensus/types/transaction.ts";
import { proposerOf, type ValidatorSet } from "../../consensus/types/validator-set.ts";
import {
  possessionRoot,
  revealRoot,
  type Subject,
  signingRoot,
  VoteKind,
} from "../../consensus/types/vote.ts";
import { gradientOf, type Rows, shapeOf, toField } from "../../consensus/work/gradient.ts";
import { GenesisDocument } from "../../genesis/document.ts";
import { chainTag, type Genesis, genesisState } from "../../genesis/state.ts";
import { blsSecretKey, devKey, type Key, signEd25519 } from "../../node/keys.ts";
import { joined } from "./outputs.ts";

export const CHAIN_ID = "dev-test";
const SHAPE = shapeOf("gradient-4x2");
const MEAN = [0, 0];
const SCALE = [1, 1];
export const NORMALIZATION = normalizationHash(MEAN, SCALE);

/** An epoch of ten: submit in 1 … 6, reveal in 7 … 9, settle in 10. */
export const EPOCH = 10;
export const CLOSE = 6;

const digest = (text: string): Uint8Array => new Uint8Array(createHash("sha256").update(text).digest());
/** Any field element, the same for the same text. */
export function fieldBytes(text: string): Uint8Array {
  const bytes = digest(text);
  bytes[31] = 0;
  return bytes;
}

/** Rows whose label says on which side of a line they lie. */
export function rowsOf(name: string, rows: number): Rows {
  const x = new Int16Array(rows * SHAPE.features);
  const y = new Uint8Array(rows);
  for (let i = 0; i < rows; i++) {
    const noise = digest(`${name}/${i}`);
    const a = ((noise[0] ?? 0) - 128) * 4;
    const b = ((noise[1] ?? 0) - 128) * 4;
    x.set([a, b], i * SHAPE.features);
    y[i] = a + b > 0 ? 1 : 0;
  }
  return { features: SHAPE.features, x, y };
}

export type Validator = { readonly secret: SecretKey; readonly key: Key };
export type Pod = {
  readonly key: Key;
  readonly podId: Uint8Array;
  readonly dataRoot: Uint8Array;
};

export type TestChain = {
  readonly document: GenesisDocument;
  readonly genesis: Genesis;
  readonly params: Params;
  readonly chain: Uint8Array;
  readonly validators: readonly Validator[];
  readonly accounts: readonly Key[];
  readonly sponsor: Key;
  readonly pods: readonly Pod[];
  readonly slices: readonly HoldoutSlice[];
};

export type ChainOptions = {
  readonly params?: Partial<Record<ParamName, string>>;
  readonly tasks?: number;
  readonly batches?: number;
  readonly slices?: number;
  readonly lastRound?: number;
  readonly timeMs?: number;
};

export const addressText = ({ publicKey }: Key): string => formatAddress(addressOf(publicKey));

function holdoutPool(count: number): { slices: HoldoutSlice[]; root: Uint8Array } {
  const bare = Array.from({ length: count }, (_, index) => {
    const { x, y } = rowsOf(`holdout/${index}`, SLICE_ROWS);
    return { index, salt: digest(`salt/${index}`), features: encodeFeatures(x), labels: y };
  });
  const levels = merkleLevels(bare.map(sliceLeaf), HOLDOUT_DEPTH);
  return {
    slices: bare.map((slice) => ({ ...slice, branch: merkleBranch(levels, slice.index) })),
    root: merkleRoot(levels),
  };
}

export function documentOf(options: ChainOptions = {}): GenesisDocument {
  const {
    params = {},
    tasks = 1,
    batches = 4,
    slices = 16,
    lastRound = 7,
    timeMs = 1_700_000_000_000,
  } = options;
  const names = ["a", "b", "c"];
  return GenesisDocument.parse({
    chainId: CHAIN_ID,
    preset: "dev",
    params: {
      blockIntervalMs: "100",
      epochHeights: String(EPOCH),
      slicesPerRound: "2",
      rewardLockEpochs: "2",
      ...params,
    },
    timeMs: String(timeMs),
    accounts: [
      ...["alice", "bob"].map((name) => ({
        address: addressText(devKey("account", name)),
        balance: String(zkp(1_000)),
      })),
      { address: addressText(devKey("account", "sponsor")), balance: String(zkp(1_000)) },
    ],
    validators: [0, 1, 2, 3].map((i) => {
      const bls = devKey("bls", `validator-${i}`);
      const possession = blsSecretKey(bls.seed).sign(possessionRoot(chainTag(CHAIN_ID), bls.publicKey));
      return {
        name: `v${i}`,
        publicKey: toHex(devKey("account", `validator-${i}`).publicKey),
        blsKey: toHex(bls.publicKey),
        possession: toHex(possession.toBytes()),
        stake: String(zkp(1_000)),
      };
    }),
    circuits: [
      {
        shape: SHAPE.id,
        vkHash: toHex(digest("vk")),
        verificationKey: { protocol: "groth16", curve: "bn128", nPublic: 12 },
      },
    ],
    pods: names.map((name) => ({
      name,
      publicKey: toHex(devKey("account", `pod-${name}`).publicKey),
      podId: toHex(fieldBytes(`pod/${name}`)),
      bond: String(zkp(10 * tasks)),
      datasets: [
        { dataRoot: toHex(fieldBytes(`data/${name}`)), batches, normalization: toHex(NORMALIZATION) },
      ],
    })),
    tasks: Array.from({ length: tasks }, (_, i) => ({
      name: `task-${i}`,
      shape: SHAPE.id,
      mean: MEAN,
      scale: SCALE,
      rate: { numerator: 1, shift: 0 },
      normBound: String(2n ** 90n),
      firstRound: "0",
      lastRound: String(lastRound),
      sponsor: toHex(devKey("account", "sponsor").publicKey),
      holdoutRoot: toHex(holdoutPool(slices).root),
      holdoutSlices: slices,
      enrolled: names.map((name) => ({
        podId: toHex(fieldBytes(`pod/${name}`)),
        dataRoot: toHex(fieldBytes(`data/${name}`)),
        slots: 1,
      })),
    })),
  });
}

export function createChain(options: ChainOptions = {}): TestChain {
  const document = documentOf(options);
  const genesis = genesisState(document);
  return {
    document,
    genesis,
    params: genesis.params,
    chain: genesis.chain,
    validators: [0, 1, 2, 3].map((i) => ({
      secret: blsSecretKey(devKey("bls", `validator-${i}`).seed),
      key: devKey("account", `validator-${i}`),
    })),
    accounts: [devKey("account", "alice"), devKey("account", "bob")],
    sponsor: devKey("account", "sponsor"),
    pods: ["a", "b", "c"].map((name) => ({
      key: devKey("account", `pod-${name}`),
      podId: fieldBytes(`pod/${name}`),
      dataRoot: fieldBytes(`data/${name}`),
    })),
    slices: holdoutPool(options.slices ?? 16).slices,
  };
}

/**
 * Three pods with so many slots each that all 64 of a task are drawn; of a third task 60, since a pod's bond is for 64
 * slots at most.
 */
export function createWideChain(tasks: 2 | 3 = 2): TestChain {
  const narrow = documentOf({ tasks, batches: 64 });
  const document = {
    ...narrow,
    pods: narrow.pods.map((pod) => ({ ...pod, bond: String(zkp(640)) })),
    tasks: narrow.tasks.map((task, i) => ({
      ...task,
      enrolled: task.enrolled.map((it) => ({ ...it, slots: i < 2 ? 22 : 20 })),
    })),
  };
  const genesis = genesisState(document);
  return { ...createChain(), document, genesis, params: genesis.params };
}

/** A block on the chain with what its children need; genesis has no block. */
export type Link = Parent & {
  readonly block: Block | undefined;
  /** View within the epoch of its children; 0 where they begin an epoch. */
  readonly view: View;
  readonly receipt: BlockReceipt | undefined;
  readonly parent: Link | undefined;
};

export function genesisLink({ genesis }: TestChain): Link {
  const { root, state } = genesis;
  const set = validatorSet(state, "current");
  return { hash: root, state, set, block: undefined, view: View(0), receipt: undefined, parent: undefined };
}

const DUMMY = new Uint8Array(96).fill(7);

/** A certificate; with `chain` its signatures are real. */
export function certify(
  set: ValidatorSet,
  subject: Subject,
  positions: readonly number[],
  chain?: TestChain,
): Certificate {
  const root = chain === undefined ? undefined : signingRoot(chain.chain, subject);
  const signature =
    chain === undefined || root === undefined
      ? DUMMY
      : aggregateSignatures(positions.map((position) => secretOf(chain, set, position).sign(root).toBytes()));
  return createCertificate(set, subject, positions, signature ?? DUMMY);
}

function secretOf(chain: TestChain, set: ValidatorSet, position: number): SecretKey {
  const { secret } = chain.validators[set.members[position]?.validator ?? -1] ?? {};
  assert.ok(secret !== undefined, `position ${position} has a validator`);
  return secret;
}

export function subjectOf({ block }: Link, kind: 1 | 3): Subject {
  assert.ok(block !== undefined);
  const { epoch, view, parentView } = block.header;
  return { kind, epoch, view, parentView, blockHash: blockHash(block.header) };
}

export type BlockOptions = {
  readonly transactions?: readonly Transaction[];
  readonly submissions?: readonly Submission[];
  /** Positions that sign the ancestor's late certificate; none: the block has no such certificate. */
  readonly late?: readonly number[];
  readonly view?: number;
  readonly timestampMs?: number;
  /** Signs certificates really. */
  readonly signed?: boolean;
};

/** The certificate that a child of this link carries. */
export function parentCertificate(chain: TestChain, link: Link, signed: boolean): Certificate | undefined {
  if (link.block === undefined || link.parent === undefined) return undefined;
  const kind = link.view === 0 ? VoteKind.finalize : VoteKind.notarize;
  return certify(link.parent.set, subjectOf(link, kind), [0, 1, 2], signed ? chain : undefined);
}

export function ancestorOf(link: Link, distance: number): Link | undefined {
  let at: Link | undefined = link;
  for (let i = 0; i < distance; i++) at = at?.parent;
  return at;
}

/** Builds the next block and applies it, which must agree. */
export function nextBlock(chain: TestChain, parent: Link, options: BlockOptions = {}): Link {
  const { params } = chain;
  const { late, signed = false, transactions = [], submissions = [] } = options;
  const view = View(options.view ?? parent.view + 1);
  const position = proposerOf(parent.set, view);
  const member = parent.set.members[position];
  assert.ok(member !== undefined);
  const { state } = parent;
  const distance = Number(params.lateDistance);
  const ancestor =
    late !== undefined && placeInEpoch(state.height + 1, params) > distance
      ? ancestorOf(parent, distance - 1)
      : undefined;
  const reveal = secretOf(chain, parent.set, position).sign(revealRoot(chain.chain, state.epoch, view));
  const built = buildBlock(
    parent,
    {
      header: {
        view,
        parentView: parent.view,
        proposer: member.validator,
        timestampMs: options.timestampMs ?? state.timestampMs + Number(params.blockIntervalMs),
      },
      beaconReveal: reveal.toBytes(),
      evidence: [],
      parentCertificate: parentCertificate(chain, parent, signed),
      lateCertificate:
        ancestor === undefined
          ? undefined
          : certify(
              parent.set,
              subjectOf(ancestor, VoteKind.notarize),
              late ?? [],
              signed ? chain : undefined,
            ),
      transactions: [...transactions],
      submissions: [...submissions],
    },
    params,
  );
  const { block, receipt } = built;
  const applied = unwrap<Applied>(applyBlock(parent, block, params));
  assert.deepEqual(stateRoot(applied.state), stateRoot(built.state), "the builder and the others agree");
  const ended = receipt.epoch !== undefined;
  return {
    hash: blockHash(block.header),
    state: applied.state,
    set: validatorSet(applied.state, "current"),
    block,
    view: ended ? View(0) : view,
    receipt,
    parent,
  };
}

/** What is not a fault. */
export function unwrap<T extends object>(it: T | Fault): T {
  if ("code" in it) assert.fail(`refused: ${JSON.stringify(it)}`);
  return it;
}

/** Empty blocks up to a place of the present epoch. */
export function toPlace(chain: TestChain, link: Link, place: number, options: BlockOptions = {}): Link {
  let at = link;
  for (let i = 0; i < EPOCH && placeOf(chain, at) !== place; i++) at = nextBlock(chain, at, options);
  assert.equal(placeOf(chain, at), place);
  return at;
}

/** The place of a link's block; 10 for genesis and for an epoch's last. */
export const placeOf = ({ params }: TestChain, { state }: Link): number =>
  state.height === 0 ? EPOCH : placeInEpoch(state.height, params);

export function sign(
  { chain }: { readonly chain: Uint8Array },
  key: Key,
  nonce: number,
  operation: Operation,
  fee: bigint = 10_000n,
): Transaction {
  const unsigned = { publicKey: key.publicKey, nonce, fee: Amount(fee), operation };
  return { ...unsigned, signature: signEd25519(key.seed, transactionId(chain, unsigned)) };
}

export const transferOf = (to: Uint8Array, amount: bigint): Operation => ({
  selector: 0,
  value: { to, amount: Amount(amount) },
});

/** What the pod of this slot submits: right outputs, a proof that is none. */
export function submissionOf(
  chain: TestChain,
  state: State,
  taskIndex: number,
  slotIndex: number,
  change: Partial<Submission> = {},
): Submission {
  const task = state.tasks.getReadonly(taskIndex);
  const slot = state.rounds.getReadonly(taskIndex).slots.getReadonly(slotIndex);
  const pod = chain.pods.find(({ podId }) => equalBytes(podId, slot.podId));
  assert.ok(pod !== undefined);
  const name = toHex(slot.dataRoot);
  const model = task.model.getAll().map((word) => (word >= 2 ** 31 ? word - 2 ** 32 : word));
  const gradient = gradientOf(model, rowsOf(`${name}/${slot.batchIndex}`, SHAPE.rows));
  const about = `${toHex(task.id)}/${state.epoch}/${name}/${slot.batchIndex}`;
  const unsigned = {
    task: task.id,
    epoch: state.epoch,
    slot: slotIndex,
    podId: slot.podId,
    inputsHash: statementOf(state, task, slot).inputsHash,
    outputs: joined([
      fieldBytes(`nullifier/${about}`),
      fieldBytes(`tag/${about}`),
      ...gradient.map((value) => fieldToBytes(toField(value))),
    ]),
    proof: new Uint8Array(128).fill(slotIndex),
    ...change,
  };
  return { ...unsigned, signature: signEd25519(pod.key.seed, submissionRoot(chain.chain, unsigned)) };
}

/** Right submissions for all slots of all tasks. */
export function submissionsOf(chain: TestChain, state: State): Submission[] {
  const all: Submission[] = [];
  for (let task = 0; task < state.rounds.length; task++) {
    const { length } = state.rounds.getReadonly(task).slots;
    for (let slot = 0; slot < length; slot++) all.push(submissionOf(chain, state, task, slot));
  }
  return all;
}

/** The sponsor's reveal of what was drawn. */
export function revealOf(
  chain: TestChain,
  state: State,
  taskIndex = 0,
  change: (slices: HoldoutSlice[]) => HoldoutSlice[] = (slices) => slices,
): Operation {
  const drawn = state.rounds.getReadonly(taskIndex).drawnSlices.getAll();
  const slices = drawn.map((index) => {
    const slice = chain.slices[index];
    assert.ok(slice !== undefined);
    return slice;
  });
  const task = state.tasks.getReadonly(taskIndex).id;
  return { selector: 4, value: { task, epoch: state.epoch, slices: change(slices) } };
}

export const nonceOf = (state: State, { publicKey }: Key): number =>
  getAccount(state, addressOf(publicKey))?.nonce ?? 0;

/** One paid round of all tasks, from an epoch's turn to the next. */
export function playEpoch(
  chain: TestChain,
  start: Link,
  options: { reveal?: boolean; submit?: boolean; late?: readonly number[]; signed?: boolean } = {},
): Link {
  const { reveal = true, submit = true, late = [0, 1, 2], signed = false } = options;
  let at = nextBlock(chain, start, {
    submissions: submit ? submissionsOf(chain, start.state) : [],
    late,
    signed,
  });
  at = toPlace(chain, at, CLOSE, { late, signed });
  if (reveal) {
    let nonce = nonceOf(at.state, chain.sponsor);
    const transactions: Transaction[] = [];
    for (let task = 0; task < at.state.tasks.length; task++) {
      if (at.state.rounds.getReadonly(task).drawnSlices.length === 0) continue;
      transactions.push(sign(chain, chain.sponsor, nonce++, revealOf(chain, at.state, task)));
    }
    at = nextBlock(chain, at, { transactions, late, signed });
    assert.equal(at.receipt?.transactions.length, transactions.length);
  }
  return toPlace(chain, at, EPOCH, { late, signed });
}

export type SupplySums = { readonly balances: bigint; readonly locked: bigint };

/** Sums over all accounts, by walking every bucket that may hold one. */
export function sumAccounts(state: State): SupplySums {
  state.commit();
  let balances = 0n;
  let locked = 0n;
  for (let i = 0; i < state.accounts.length; i++) {
    const bucket = state.accounts.getReadonly(i);
    for (let j = 0; j < bucket.length; j++) {
      const account = bucket.getReadonly(j);
      balances += account.balance;
      locked += account.locked;
    }
  }
  return { balances, locked };
}

/** genesis + minted = circulating + staked + bonded + escrowed + locked + treasury + burned, each side counted apart. */
export function assertConserved(state: State): void {
  const { balances, locked } = sumAccounts(state);
  const { genesis, minted, burned, treasury, staked, bonded, escrowed, locked: lockedField } = state.supply;
  assert.equal(locked, lockedField, "locked rewards of accounts are the supply's");
  assert.equal(balances + locked + staked + bonded + escrowed + treasury + burned, genesis + minted);
  let stakes = 0n;
  for (let i = 0; i < state.validators.length; i++) stakes += state.validators.getReadonly(i).stake;
  assert.equal(stakes, staked, "stakes of validators are the supply's");
  let bonds = 0n;
  for (let i = 0; i < state.pods.length; i++) {
    const bucket = state.pods.getReadonly(i);
    for (let j = 0; j < bucket.length; j++) bonds += bucket.getReadonly(j).bond;
  }
  let escrows = 0n;
  for (const { bond, escrow } of state.tasks.getAllReadonly()) {
    bonds += bond;
    escrows += escrow;
  }
  assert.equal(bonds, bonded, "bonds of pods and sponsors are the supply's");
  assert.equal(escrows, escrowed, "escrows of tasks are the supply's");
}

/**
 * The consensus state as one SSZ tree. Its root is a block's `stateRoot`.
 *
 * Rules for views (they are easy to break): {@link fork} commits before it clones; no view is held
 * across a commit or a fork; what `getReadonly` returns is never written; entries of maps are replaced
 * whole, by value, so that no view is ever shared.
 */
import { type Node, setHasher } from "@chainsafe/persistent-merkle-tree";
import { hasher } from "@chainsafe/persistent-merkle-tree/hasher/hashtree";
import {
  ByteListType,
  type CompositeViewDU,
  ContainerType,
  ListBasicType,
  ListCompositeType,
  type ValueOf,
  VectorBasicType,
  VectorCompositeType,
} from "@chainsafe/ssz";
import { ELECTION_WINDOW_MAX, LOCK_EPOCHS_MAX, PAST_EPOCHS_MAX } from "../primitives/params.ts";
import type { Steps } from "../primitives/steps.ts";
import type { Amount, Epoch } from "../primitives/units.ts";
import { ACCOUNT_BUCKETS, AccountBucketType, BUCKET_MAX } from "../types/account.ts";
import { BucketsType } from "../types/buckets.ts";
import { VALUES_MAX } from "../types/outputs.ts";
import {
  AmountType,
  Bytes20,
  Bytes32,
  Bytes48,
  bigint64,
  bigint128,
  EpochType,
  HeightType,
  SEATS_MAX,
  uint8,
  uint16,
  uint32,
  uint64,
  ValidatorIndexType,
  ViewType,
} from "../types/ssz.ts";
import { StructType } from "../types/struct.ts";
import { type Submission, SubmissionType, submissionContentRoot } from "../types/submission.ts";
import {
  FEATURES_MAX,
  NAME_BYTES_MAX,
  NOTICE_BYTES_MAX,
  SHAPE_BYTES_MAX,
  SLICE_ROWS,
  SLICES_PER_REVEAL_MAX,
} from "../types/transaction.ts";
import { SETS_KEPT, SetType } from "../types/validator-set.ts";

// The native hasher: the default one is five times slower, with the same result.
setHasher(hasher);

export const POD_BUCKETS = 4_096;
export const VALIDATORS_MAX = 1_024;
export const TASKS_MAX = 1_024;
export const ENROLLMENTS_MAX = 4_096;
/** Of a task, read in one step of long work. */
export const ENROLLMENTS_AT_ONCE = 64;
/** Entries of a map that are written and committed in one step: all of an epoch's at once are thousands of nodes. */
export const PUT_AT_ONCE = 32;
export const SLOTS_MAX = 64;
export const BATCHES_MAX = 1_024;
export const DATASETS_PER_POD_MAX = 16;
const LOCKS_MAX = 2 ** 20;
/** Tasks with a round in one epoch, as a limit of the encoding. */
const TASKS_OPEN_MAX = 16;
/** Shapes of the catalogue. */
export const CIRCUITS_MAX = 64;
/** Bonds on their way back. */
export const EXITS_MAX = 4_096;
/** Punished pods that are remembered: one for each slot of each epoch of the window, and this one's. */
export const PUNISHED_MAX = TASKS_OPEN_MAX * SLOTS_MAX * (Number(PAST_EPOCHS_MAX) + 1);
/** More than the distance of a late certificate. */
export const RECENT_BLOCKS = 8;

export const PodType = new StructType({
  podId: Bytes32,
  account: Bytes20,
  publicKey: Bytes32,
  bond: AmountType,
  datasets: uint16,
  /** Contributions with a value, and the quality credited for them. Shown; it multiplies nothing. */
  accepted: uint64,
  settledQuality: bigint128,
  /** Contributions that the score found worthless, and false proofs. Shown as well. */
  rejected: uint64,
  slashes: uint64,
  /** Epoch at whose turn the bond returns; 0 while the pod stays. */
  exitEpoch: EpochType,
});
export type Pod = ValueOf<typeof PodType>;
const PodBucketType = new ListCompositeType(PodType, BUCKET_MAX);

export const DatasetType = new StructType({
  dataRoot: Bytes32,
  podId: Bytes32,
  normalization: Bytes32,
  batches: uint16,
  /** Height of its registration; genesis is 0. */
  registered: HeightType,
  /** Times each batch was used, one byte a batch. */
  uses: new ByteListType(BATCHES_MAX),
});
export type Dataset = ValueOf<typeof DatasetType>;
const DatasetBucketType = new ListCompositeType(DatasetType, BUCKET_MAX);

export const ValidatorType = new ContainerType({
  blsKey: Bytes48,
  /** Account that owns the stake and earns fees and rewards. */
  account: Bytes20,
  stake: AmountType,
  /** A {@link ValidatorStatus}. */
  status: uint8,
  /** When it joined. */
  joined: EpochType,
  /** First epoch after the last one whose set has a seat for it; 0 before its first seat. */
  seatedUntil: EpochType,
  /** When it asked to leave, or had to. */
  exitEpoch: EpochType,
  /** First epoch of its unbonding. */
  unbondFrom: EpochType,
  /** First epoch in which it may ask for a seat again. */
  jailedUntil: EpochType,
  /** Missed epochs in a row. */
  absentEpochs: uint8,
  /** Equivocations slashed, and when the first and the last of the open window were; see slashing.ts. */
  slashes: uint16,
  slashesOpen: uint16,
  slashedFirst: EpochType,
  slashedLast: EpochType,
  /** Everything burned of it. */
  slashed: AmountType,
  /** What its account's locked rewards still owe, burned when they unlock. */
  lockedDebt: AmountType,
  /** nzkp minted for submissions that its blocks carried, by epoch modulo the window. */
  work: new VectorBasicType(bigint64, Number(ELECTION_WINDOW_MAX)),
});
export type Validator = ValueOf<typeof ValidatorType>;

/**
 * active: has or gets a seat · exiting: wants to leave, its turn has not come · jailed: was absent, may
 * come back · unbonding: gets no more seats, still slashable · withdrawn: paid out, its place may be reused.
 */
export const ValidatorStatus = { active: 0, exiting: 1, jailed: 2, unbonding: 3, withdrawn: 4 } as const;

export function newValidator(
  blsKey: Uint8Array,
  account: Uint8Array,
  stake: Amount,
  joined: Epoch,
): Validator {
  return { ...ValidatorType.defaultValue(), blsKey, account, stake, joined };
}

/** Slashings that count against one validator while their window is open. */
export const SLASHINGS_EACH_MAX = 16;
const SLASHINGS_MAX = VALIDATORS_MAX * SLASHINGS_EACH_MAX;

/** One validator slashed for one view. Kept while somebody else's penalty may depend on it. */
export const SlashingType = new StructType({
  validator: ValidatorIndexType,
  /** Of the offence. */
  epoch: EpochType,
  view: ViewType,
  /** When it was slashed. */
  at: EpochType,
  /** Its weight, and all weight, in the set of the offence. */
  weight: bigint64,
  totalWeight: bigint128,
});
export type Slashing = ValueOf<typeof SlashingType>;

export const EnrollmentType = new StructType({
  podId: Bytes32,
  dataRoot: Bytes32,
  slots: uint8,
});

/** Who pays a task's rounds: the public budget, or its sponsor's escrow, whose burned part may be minted again. */
export const LANE = { public: 0, sponsored: 1 } as const;

/** A weight of a model: 32-bit two's complement. */
const ModelType = new ListBasicType(uint32, VALUES_MAX);

export const TaskType = new ContainerType({
  /** Field element of the public input `task`, little-endian. */
  id: Bytes32,
  name: new ByteListType(NAME_BYTES_MAX),
  /** Catalogue id such as "gradient-32x10", ASCII. */
  shape: new ByteListType(SHAPE_BYTES_MAX),
  vkHash: Bytes32,
  /** Means then scales, float64 little-endian: for people's tools, opaque to consensus. */
  standardisation: new ByteListType(2 * FEATURES_MAX * 8),
  normalization: Bytes32,
  rateNumerator: uint32,
  rateShift: uint8,
  normBound: bigint128,
  firstRound: EpochType,
  lastRound: EpochType,
  sponsor: Bytes20,
  holdoutRoot: Bytes32,
  holdoutSlices: uint16,
  /** One byte a slice: 1 once drawn. */
  drawn: new ByteListType(4_096),
  /** Height of the first reveal, 0 before. Roots not registered below it are never drawn. */
  revealedFrom: HeightType,
  model: ModelType,
  enrollments: new ListCompositeType(EnrollmentType, ENROLLMENTS_MAX),
  /** 0 public, 1 sponsored: task-create.ts. */
  lane: uint8,
  /** Of the sponsor; 0 for genesis tasks, and after a round that was not revealed. */
  bond: AmountType,
  /** Sponsored lane only: what is left, and what a round of positive quality pays out of it. */
  escrow: AmountType,
  roundPay: AmountType,
  /** Who may enroll. */
  minAccepted: uint64,
  minQuality: bigint128,
  groupRoot: Bytes32,
  notice: new ByteListType(NOTICE_BYTES_MAX),
  /** Positions in this epoch's set of the validators that approved it for the public lane. */
  approvals: new ListBasicType(uint16, SEATS_MAX),
});
export type Task = ValueOf<typeof TaskType>;

export const SlotType = new StructType({
  podId: Bytes32,
  publicKey: Bytes32,
  dataRoot: Bytes32,
  batchIndex: uint16,
});
export type Slot = ValueOf<typeof SlotType>;

/** A submission that was included, held as it came, with the root that its block's body has of it. */
class IncludedType extends ContainerType<typeof SubmissionType.fields> {
  // A record within a record is replaced whole.
  override readonly isViewMutable = false as boolean as true;

  override hashTreeRootInto(value: Submission, output: Uint8Array, offset: number): void {
    output.set(submissionContentRoot(value), offset);
  }
}

export const ContributionType = new StructType({
  submission: new IncludedType(SubmissionType.fields),
  /** Of the block. */
  proposer: ValidatorIndexType,
});

/** One task's present epoch; emptied when it settles. */
export const RoundType = new ContainerType({
  slots: new ListCompositeType(SlotType, SLOTS_MAX),
  contributions: new ListCompositeType(ContributionType, SLOTS_MAX),
  /** Slices to open, drawn at the close. */
  drawnSlices: new ListBasicType(uint16, SLICES_PER_REVEAL_MAX),
  /** Opened rows, in the order of the draw; empty until revealed. */
  features: new ByteListType(SLICES_PER_REVEAL_MAX * SLICE_ROWS * FEATURES_MAX * 2),
  labels: new ByteListType(SLICES_PER_REVEAL_MAX * SLICE_ROWS),
});

/** What an ended epoch's proofs were about, for as long as evidence against their pods counts. */
export const PastRoundType = new ContainerType({
  task: Bytes32,
  epoch: EpochType,
  shape: new ByteListType(SHAPE_BYTES_MAX),
  vkHash: Bytes32,
  model: ModelType,
  slots: new ListCompositeType(SlotType, SLOTS_MAX),
});
export type PastRoundView = CompositeViewDU<typeof PastRoundType>;

export const CircuitType = new ContainerType({
  shape: new ByteListType(SHAPE_BYTES_MAX),
  vkHash: Bytes32,
});
/** A pod's bond that returns at the turn to `epoch`; a pod that was punished for `epoch`. */
export const ExitType = new StructType({ podId: Bytes32, epoch: EpochType });
export const PunishedType = new StructType({ podId: Bytes32, epoch: EpochType });

export const LockType = new StructType({ account: Bytes20, amount: AmountType });

export const StateType = new ContainerType({
  /** Hash of the chain id. */
  chain: Bytes32,
  height: HeightType,
  epoch: EpochType,
  timestampMs: uint64,
  /** Hashes of the newest blocks below `height`, by height modulo the length. */
  recent: new VectorCompositeType(Bytes32, RECENT_BLOCKS),
  beacon: new StructType({
    mix: Bytes32,
    /** The mix at the close of this epoch's submissions; zero before. */
    close: Bytes32,
  }),
  supply: new StructType({
    genesis: AmountType,
    minted: AmountType,
    burned: AmountType,
    treasury: AmountType,
    staked: AmountType,
    bonded: AmountType,
    locked: AmountType,
    /** Of what is burned: penalties of validators. */
    slashed: AmountType,
    /** Of sponsored tasks; their sponsors' bonds are in `bonded`. */
    escrowed: AmountType,
  }),
  issuance: new StructType({ target: bigint128, floor: bigint128, ema: bigint128 }),
  validators: new ListCompositeType(ValidatorType, VALIDATORS_MAX),
  /** By epoch modulo their number, up to the next epoch's: see sets.ts. */
  sets: new VectorCompositeType(SetType, SETS_KEPT),
  /** Late certificates in this epoch, and how many of them each member of the set signed. */
  presence: new ContainerType({ opportunities: uint32, present: new ListBasicType(uint32, SEATS_MAX) }),
  accounts: new BucketsType(AccountBucketType, ACCOUNT_BUCKETS),
  pods: new BucketsType(PodBucketType, POD_BUCKETS),
  datasets: new BucketsType(DatasetBucketType, POD_BUCKETS),
  tasks: new ListCompositeType(TaskType, TASKS_MAX),
  /** Parallel to tasks. */
  rounds: new ListCompositeType(RoundType, TASKS_MAX),
  /** Locked rewards by unlock epoch modulo the vector's length. */
  locks: new VectorCompositeType(new ListCompositeType(LockType, LOCKS_MAX), Number(LOCK_EPOCHS_MAX)),
  slashings: new ListCompositeType(SlashingType, SLASHINGS_MAX),
  /** The catalogue: shapes that tasks may use, fixed by genesis. */
  circuits: new ListCompositeType(CircuitType, CIRCUITS_MAX),
  /** Oldest first. */
  pastRounds: new ListCompositeType(PastRoundType, TASKS_OPEN_MAX * Number(PAST_EPOCHS_MAX)),
  /** In the order of the requests, so by epoch. */
  exits: new ListCompositeType(ExitType, EXITS_MAX),
  punished: new ListCompositeType(PunishedType, PUNISHED_MAX),
});
export type State = CompositeViewDU<typeof StateType>;
export type TaskView = CompositeViewDU<typeof TaskType>;
export type RoundView = CompositeViewDU<typeof RoundType>;

/** An independent copy: cheap, structurally shared. The source's pending changes are committed first. */
export function fork(state: State): State {
  state.commit();
  return state.clone();
}

export function stateRoot(state: State): Uint8Array {
  state.commit();
  return state.hashTreeRoot();
}

/** What a block changes in many places. */
const LARGE_FIELDS = [
  "rounds",
  "tasks",
  "datasets",
  "pods",
  "accounts",
  "locks",
  "pastRounds",
  "validators",
  "sets",
] as const;

/** Elements of a part that are hashed in one step: rounds, tasks, or buckets of a map. */
const HASHED_AT_ONCE = 8;

/** {@link stateRoot}, a step for some of each part that takes its time: hashed by itself, it is not hashed again in the whole. */
export function* rootSteps(state: State): Steps<Uint8Array> {
  for (const name of LARGE_FIELDS) {
    const view = state[name];
    view.commit();
    yield;
    for (const [i, node] of unhashedAt(view.node, StateType.fields[name].depth).entries()) {
      if (i % HASHED_AT_ONCE === HASHED_AT_ONCE - 1) yield;
      void node.rootHashObject;
    }
    view.hashTreeRoot();
    yield;
  }
  return stateRoot(state);
}

/** The nodes at this depth that have no root yet. */
function unhashedAt(node: Node, depth: number, found: Node[] = []): Node[] {
  // What the library has in a node without a root, whatever its type says.
  if ((node.h0 as number | null) !== null) return found;
  if (depth === 0) found.push(node);
  else for (const child of [node.left, node.right]) unhashedAt(child, depth - 1, found);
  return found;
}

export const toInt32 = (value: number): number => (value < 0 ? value + 2 ** 32 : value);
export const fromInt32 = (word: number): number => (word >= 2 ** 31 ? word - 2 ** 32 : word);

export const textBytes = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
export const bytesText = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

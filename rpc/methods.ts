/**
 * The interface between a node and everybody else: every method with the schemas of its parameters
 * and result. The node serves it (node/rpc), the SDK and the devnet call it, and documentation is made
 * from it. Nothing here touches a socket or the state.
 */
import { z } from "zod";
import { AddressText, Count, Field, Hash, hexOf, hexUpTo, Int, Uint64 } from "./encoding.ts";

const none = z.strictObject({}).default({});

/** One life of every proof, the same words everywhere. */
export const ProofStage = z.enum([
  "pooled",
  "included",
  "final",
  "scored",
  "rewarded",
  "rejected",
  "expired",
]);
export type ProofStage = z.infer<typeof ProofStage>;

const FaultInfo = z.object({
  code: z.string(),
  reason: z.string(),
  retryable: z.boolean(),
  hint: z.string(),
});

/** Every factor of a reward: pod/explain.ts makes the amount of them again. */
const Arithmetic = z.object({
  lane: z.enum(["public", "sponsored"]),
  /** Q of the round, before it is shared by value. */
  roundQuality: Int,
  /** Quality credited to all that share the pot: of all public tasks, or of this sponsor's. */
  potQuality: Int,
  /** Of the public lane: its quality this epoch, and the target it was measured by. */
  laneQuality: Int,
  target: Int,
  mint: Uint64,
  podsMint: Uint64,
  fee: Uint64,
  burned: Uint64,
  podsFee: Uint64,
  /** What a sponsor that did not reveal lost to the contributions, and how many shared it. */
  forfeit: Uint64,
  contributions: Count,
  /** The parts of the amount. */
  minted: Uint64,
  feePart: Uint64,
  forfeited: Uint64,
});

/** How the chain measured and paid one proof; every number is the chain's own. */
const Reward = z.object({
  /** nzkp credited to the pod, locked until `unlockEpoch`. */
  amount: Uint64,
  unlockEpoch: Uint64,
  fate: z.string(),
  value: Int,
  totalValue: Int,
  quality: Int,
  /** nzkp that the round paid to all its contributions. */
  paidToPods: Uint64,
  /** One sentence a person can read. */
  text: z.string(),
  arithmetic: Arithmetic.optional(),
});

const ProofStatus = z.object({
  id: Hash,
  stage: ProofStage,
  task: Hash,
  epoch: Uint64,
  slot: Count,
  podId: Hash,
  height: Uint64.optional(),
  blockHash: Hash.optional(),
  fault: FaultInfo.optional(),
  reward: Reward.optional(),
});
export type ProofStatus = z.infer<typeof ProofStatus>;

const TxStatus = z.object({
  id: Hash,
  stage: z.enum(["pooled", "final", "rejected", "unknown"]),
  height: Uint64.optional(),
  fault: FaultInfo.optional(),
});
export type TxStatus = z.infer<typeof TxStatus>;

const Slot = z.object({
  slot: Count,
  podId: Hash,
  dataRoot: Hash,
  batchIndex: Count,
  /** Whether a contribution for it is in the finalized chain. */
  filled: z.boolean(),
});

const Round = z.object({
  epoch: Uint64,
  /** Height of the settling block. */
  height: Uint64,
  lossBefore: Int,
  lossAfter: Int,
  stepped: z.boolean(),
  quality: Int,
  /** nzkp paid to the round's contributions; proposers, validators and the treasury have theirs beside it. */
  paidToPods: Uint64,
  contributions: Count,
  paid: Count,
  /** Model after the round, Q16, bias last. */
  model: z.array(Int),
  /** Whether the sponsor opened its rows; what the round cost it, and what of that was burned. */
  revealed: z.boolean().optional(),
  fee: Uint64.optional(),
  burned: Uint64.optional(),
  forfeit: Uint64.optional(),
});
export type Round = z.infer<typeof Round>;

const TaskSummary = z.object({
  id: Hash,
  name: z.string(),
  template: z.string(),
  shape: z.string(),
  lane: z.enum(["public", "sponsored"]),
  firstRound: Uint64,
  lastRound: Uint64,
  open: z.boolean(),
});

const TaskDetail = TaskSummary.extend({
  vkHash: Hash,
  features: Count,
  rows: Count,
  /** The sponsor's mean and scale, one a feature: float64. */
  mean: z.array(z.number()),
  scale: z.array(z.number()),
  normalization: Hash,
  rate: z.object({ numerator: Count, shift: Count }),
  normBound: Int,
  sponsor: AddressText,
  holdoutRoot: Hash,
  holdoutSlices: Count,
  slicesPerRound: Count,
  firstRevealEpoch: Uint64.optional(),
  /** Model that this epoch's proofs are about, Q16, bias last. */
  model: z.array(Int),
  /** Epoch the model and slots belong to. */
  epoch: Uint64,
  slots: z.array(Slot),
  /** Slices the beacon drew at the close; empty before. */
  drawnSlices: z.array(Count),
  revealed: z.boolean(),
  enrolled: z.array(z.object({ podId: Hash, dataRoot: Hash, slots: Count })),
  rounds: z.array(Round),
  /** Money and conditions of a task that a sponsor created. */
  terms: z
    .object({
      bond: Uint64,
      escrow: Uint64,
      roundPay: Uint64,
      minAccepted: Uint64,
      minQuality: Int,
      /** What a pod's owner should know before taking part. */
      notice: z.string(),
      /** Seats that approved it for the public lane in this epoch. */
      approvals: Count,
    })
    .optional(),
});
export type TaskDetail = z.infer<typeof TaskDetail>;

const Supply = z.object({
  genesis: Uint64,
  minted: Uint64,
  burned: Uint64,
  treasury: Uint64,
  staked: Uint64,
  bonded: Uint64,
  locked: Uint64,
  /** A part of what is burned: penalties of validators. */
  slashed: Uint64,
  escrowed: Uint64,
  circulating: Uint64,
});

const ChainStatus = z.object({
  chainId: z.string(),
  preset: z.string(),
  version: z.string(),
  /** Hash of the genesis state. */
  genesisRoot: Hash,
  /** Highest notarized height that the node built on or voted for; never below the finalized one. */
  height: Uint64,
  finalizedHeight: Uint64,
  finalizedHash: Hash,
  stateRoot: Hash,
  epoch: Uint64,
  /** Place of the next block in its epoch, 1 … epochHeights. */
  place: Count,
  epochHeights: Count,
  closePlace: Count,
  view: Uint64,
  timestampMs: Uint64,
  validators: Count,
  /** Validators heard recently, this node included. */
  validatorsOnline: Count,
  proofs: z.object({ verified: Count, rejected: Count, pooled: Count }),
  supply: Supply,
  feeMin: Uint64,
  bondUnit: Uint64,
  syncing: z.boolean(),
});
export type ChainStatus = z.infer<typeof ChainStatus>;

const BlockInfo = z.object({
  height: Uint64,
  hash: Hash,
  epoch: Uint64,
  view: Uint64,
  parentHash: Hash,
  proposer: Count,
  timestampMs: Uint64,
  stateRoot: Hash,
  bodyRoot: Hash,
  transactions: z.array(Hash),
  /** Proof ids. */
  submissions: z.array(Hash),
  finalized: z.literal(true),
});
export type BlockInfo = z.infer<typeof BlockInfo>;

const ProofBytes = hexUpTo(2 * 1024 * 1024);

const ValidatorInfo = z.object({
  /** Place in the state's list, as blocks name proposers. */
  validator: Count,
  blsKey: hexOf(48),
  account: AddressText,
  status: z.enum(["active", "exiting", "jailed", "unbonding", "withdrawn"]),
  stake: Uint64,
  /** Voting weight in this epoch's set and in the next one's; 0 without a seat. */
  weight: Uint64,
  nextWeight: Uint64,
  joinedEpoch: Uint64,
  /** First epoch in which it may withdraw; absent unless it unbonds. */
  withdrawableEpoch: Uint64.optional(),
  /** First epoch in which it may unjail; absent unless it is jailed. */
  jailedUntil: Uint64.optional(),
  /** Missed epochs in a row. */
  absentEpochs: Count,
  slashes: Count,
  /** nzkp burned of it. */
  slashed: Uint64,
});
export type ValidatorInfo = z.infer<typeof ValidatorInfo>;

const ValidatorList = z.object({
  epoch: Uint64,
  /** Of this epoch's set. */
  totalWeight: Uint64,
  quorum: Uint64,
  stakeMin: Uint64,
  validators: z.array(ValidatorInfo),
});

const heightOrHash = z.strictObject({ height: Uint64.optional(), hash: Hash.optional() });
const waitMs = z.number().int().min(0).max(30_000).default(10_000);

/** name → {params, result}. Adding a method: one entry here, one handler in node/rpc/methods.ts. */
export const METHODS = {
  chain_status: { params: none, result: ChainStatus },
  /** A finalized block by height or hash; the newest without either. */
  chain_block: { params: heightOrHash.default({}), result: BlockInfo },
  chain_account: {
    params: z.strictObject({ address: AddressText }),
    result: z.object({
      address: AddressText,
      balance: Uint64,
      /** Next nonce to use, counting what waits in the node's mempool. */
      nonce: Uint64,
      locked: Uint64,
    }),
  },
  /** For light clients: SSZ of a SetProof, the set of epoch 0 under the genesis root. */
  chain_genesisProof: { params: none, result: z.object({ proof: ProofBytes }) },
  /** SSZ of an EpochProof: that an epoch has ended, and the set of the next. */
  chain_epochProof: {
    params: z.strictObject({ epoch: Uint64 }),
    result: z.object({ proof: ProofBytes }),
  },
  /** SSZ of an AccountProof at the newest final block. */
  chain_accountProof: {
    params: z.strictObject({ address: AddressText }),
    result: z.object({ proof: ProofBytes }),
  },
  /** SSZ of a SubmissionProof: that a proof is in a final block. */
  proof_inclusion: { params: z.strictObject({ id: Hash }), result: z.object({ proof: ProofBytes }) },
  /** Every validator that the state knows, withdrawn ones included. */
  validator_list: { params: none, result: ValidatorList },
  validator_get: { params: z.strictObject({ blsKey: hexOf(48) }), result: ValidatorInfo },
  task_list: { params: none, result: z.object({ tasks: z.array(TaskSummary) }) },
  task_get: { params: z.strictObject({ task: Hash }), result: TaskDetail },
  /** SSZ of a submission; idempotent. Returns as soon as the proof is verified and pooled. */
  proof_submit: {
    params: z.strictObject({ submission: hexUpTo(64 * 1024) }),
    result: z.object({ id: Hash, stage: ProofStage }),
  },
  proof_get: { params: z.strictObject({ id: Hash }), result: ProofStatus },
  /** Long-polls until the proof reaches `until` or a final stage, or the time is over (then the present status). */
  proof_wait: {
    params: z.strictObject({ id: Hash, until: ProofStage.default("rewarded"), timeoutMs: waitMs }),
    result: ProofStatus,
  },
  pod_get: {
    params: z.strictObject({ podId: Hash }),
    result: z.object({
      podId: Hash,
      account: AddressText,
      publicKey: hexOf(32),
      bond: Uint64,
      accepted: Uint64,
      settledQuality: Int,
      rejected: Uint64.optional(),
      slashes: Uint64.optional(),
      /** Epoch at whose turn the bond returns, if the pod leaves. */
      exitEpoch: Uint64.optional(),
      datasets: z.array(
        z.object({ dataRoot: Hash, batches: Count, normalization: Hash, registeredHeight: Uint64 }),
      ),
      enrollments: z.array(z.object({ task: Hash, dataRoot: Hash, slots: Count })),
      /** Slots of this epoch. */
      slots: z.array(Slot.extend({ task: Hash, epoch: Uint64 })),
    }),
  },
  /** SSZ of a signed transaction; idempotent. */
  tx_submit: { params: z.strictObject({ transaction: hexUpTo(128 * 1024) }), result: TxStatus },
  tx_wait: { params: z.strictObject({ id: Hash, timeoutMs: waitMs }), result: TxStatus },
  /** SSZ of a piece of evidence against a validator; idempotent. Anybody may watch for it. */
  evidence_submit: {
    params: z.strictObject({ evidence: hexUpTo(16 * 1024) }),
    result: z.object({ id: Hash }),
  },
  /** Development chains only: sends up to 1,000 ZKP from the faucet account. */
  dev_faucet: {
    params: z.strictObject({ address: AddressText, amount: Uint64 }),
    result: z.object({ transaction: Hash }),
  },
  /** Field elements and hashes of the public inputs that the node rebuilds for a slot: to compare, never to send. */
  proof_inputs: {
    params: z.strictObject({ task: Hash, slot: Count }),
    result: z.object({ epoch: Uint64, inputs: z.array(Field), inputsHash: Hash }),
  },
} as const;

export type MethodName = keyof typeof METHODS;
export type ParamsOf<Name extends MethodName> = z.input<(typeof METHODS)[Name]["params"]>;
export type ResultOf<Name extends MethodName> = z.output<(typeof METHODS)[Name]["result"]>;

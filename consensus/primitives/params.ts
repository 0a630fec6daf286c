/**
 * Every protocol parameter: unit, meaning, and its value in each preset. A genesis document names a
 * preset and may override single values; {@link resolveParams} refuses a set that is not safe.
 * Limits that are part of an encoding stand beside their type in consensus/types.
 */
import { FaultError } from "./faults.ts";

type Entry = {
  readonly unit: string;
  readonly meaning: string;
  readonly dev: bigint;
  readonly testnet: bigint;
};

const ZKP = 10n ** 9n;

export const PARAMS = {
  blockIntervalMs: {
    unit: "ms",
    meaning: "least distance between the timestamps of a block and its parent",
    dev: 500n,
    testnet: 2_000n,
  },
  linkDelayMs: {
    unit: "ms",
    meaning: "Δ, the delay that timeouts allow a message",
    dev: 250n,
    testnet: 1_000n,
  },
  proposalTimeoutMs: {
    unit: "ms",
    meaning: "t_l, wait for a proposal before nullifying",
    dev: 1_000n,
    testnet: 4_000n,
  },
  notarizationTimeoutMs: {
    unit: "ms",
    meaning: "t_a, wait for a notarization before nullifying",
    dev: 2_000n,
    testnet: 8_000n,
  },
  retryMs: {
    unit: "ms",
    meaning: "t_r, repeat of the own nullify while stuck in a view",
    dev: 1_000n,
    testnet: 4_000n,
  },
  skipMs: {
    unit: "ms",
    meaning: "silence after which a proposer's views are skipped while a quorum is heard",
    dev: 10_000n,
    testnet: 10_000n,
  },
  timestampAheadMs: {
    unit: "ms",
    meaning: "a block stamped further ahead of the local clock is pending",
    dev: 2_000n,
    testnet: 2_000n,
  },

  epochHeights: {
    unit: "heights",
    meaning: "length of an epoch, which is one round of every task",
    dev: 40n,
    testnet: 1_800n,
  },
  submitPercent: {
    unit: "%",
    meaning: "first part of an epoch in which proofs are included",
    dev: 60n,
    testnet: 60n,
  },
  lateDistance: {
    unit: "heights",
    meaning: "age of the ancestor whose late certificate measures participation",
    dev: 4n,
    testnet: 4n,
  },
  transactionsMax: { unit: "count", meaning: "transactions in a block", dev: 1_024n, testnet: 4_096n },
  submissionsMax: { unit: "count", meaning: "submissions in a block", dev: 128n, testnet: 1_024n },

  feeMin: {
    unit: "nzkp",
    meaning: "least fee of a transaction; half is burned, half goes to the proposer",
    dev: 10_000n,
    testnet: 100_000n,
  },
  accountDeposit: {
    unit: "nzkp",
    meaning: "burned when a transfer opens an account, so that buckets are not filled for nothing",
    dev: 1_000_000n,
    testnet: 10_000_000n,
  },
  bondUnit: { unit: "nzkp", meaning: "bond for one slot in one task", dev: 10n * ZKP, testnet: 100n * ZKP },
  bondMax: { unit: "nzkp", meaning: "largest bond of one pod", dev: 640n * ZKP, testnet: 6_400n * ZKP },
  stakeMin: { unit: "nzkp", meaning: "least stake of a validator", dev: 100n * ZKP, testnet: 10_000n * ZKP },

  tasksOpenMax: { unit: "count", meaning: "tasks with a round in one epoch", dev: 16n, testnet: 16n },
  slotsPerTask: { unit: "count", meaning: "slots drawn for a task each epoch", dev: 64n, testnet: 64n },
  roundPayMin: {
    unit: "nzkp",
    meaning: "least that a round of a sponsored task pays; the sponsor's bond is at least twice its pay",
    dev: 1n * ZKP,
    testnet: 10n * ZKP,
  },
  taskPlaceFee: {
    unit: "nzkp",
    meaning: "burned at a task's creation for each epoch up to its last round: there are few places",
    dev: ZKP / 100n,
    testnet: 1n * ZKP,
  },
  taskLeadMax: {
    unit: "epochs",
    meaning: "longest time from a task's creation to its first round",
    dev: 64n,
    testnet: 336n,
  },
  batchReuseMax: {
    unit: "count",
    meaning: "R, times one batch of one root may be drawn and used",
    dev: 8n,
    testnet: 8n,
  },
  rootAgeEpochs: { unit: "epochs", meaning: "age from which a data root may be drawn", dev: 2n, testnet: 2n },
  slicesPerRound: {
    unit: "slices",
    meaning: "holdout slices of 8 rows opened a round",
    dev: 4n,
    testnet: 32n,
  },

  supplyMax: {
    unit: "nzkp",
    meaning: "S_max, bound of everything ever issued",
    dev: 100_000_000n * ZKP,
    testnet: 100_000_000n * ZKP,
  },
  publicLanePercent: {
    unit: "%",
    meaning: "part of an epoch's budget that the public lane may mint",
    dev: 40n,
    testnet: 40n,
  },
  targetMin: {
    unit: "quality",
    meaning: "T_min, below which the quality target never falls",
    dev: 40_000_000n,
    testnet: 40_000_000n,
  },
  emaEpochs: {
    unit: "epochs",
    meaning: "period of the moving average under the floor F",
    dev: 720n,
    testnet: 720n,
  },
  rewardLockEpochs: {
    unit: "epochs",
    meaning: "epochs before a reward can be spent",
    dev: 3n,
    testnet: 168n,
  },
  podEvidenceEpochs: { unit: "epochs", meaning: "window of evidence against a pod", dev: 2n, testnet: 2n },

  evidenceEpochs: {
    unit: "epochs",
    meaning: "age up to which an equivocation of a validator is slashed",
    dev: 2n,
    testnet: 168n,
  },
  unbondingEpochs: {
    unit: "epochs",
    meaning: "from a validator's first epoch without a seat until it may withdraw; slashable meanwhile",
    dev: 3n,
    testnet: 336n,
  },
  validatorsMin: {
    unit: "count",
    meaning: "below so many validators none may leave",
    dev: 4n,
    testnet: 4n,
  },
  exitWeightPercent: {
    unit: "%",
    meaning: "part of the weight that may leave from one epoch's set to the next; one validator always may",
    dev: 25n,
    testnet: 25n,
  },
  slashPercent: {
    unit: "%",
    meaning: "part of stake and locked rewards burned for an equivocation",
    dev: 5n,
    testnet: 5n,
  },
  correlationFactor: {
    unit: "times",
    meaning: "the share of the weight slashed with a validator costs it so many times that share",
    dev: 3n,
    testnet: 3n,
  },
  presenceMinPercent: {
    unit: "%",
    meaning: "presence below which an epoch counts as missed",
    dev: 10n,
    testnet: 10n,
  },
  presenceEpochs: {
    unit: "epochs",
    meaning: "missed epochs in a row after which a validator is jailed",
    dev: 3n,
    testnet: 3n,
  },
  jailEpochs: {
    unit: "epochs",
    meaning: "from a jailed validator's first epoch without a seat until it may ask for one again",
    dev: 1n,
    testnet: 24n,
  },
  electionWindowEpochs: {
    unit: "epochs",
    meaning: "epochs of useful work that election weights follow",
    dev: 16n,
    testnet: 16n,
  },
} as const satisfies Record<string, Entry>;

export type ParamName = keyof typeof PARAMS;
export type Preset = "dev" | "testnet";

/** All parameters of a chain, and what follows from them. */
export type Params = { readonly [Name in ParamName]: bigint } & {
  readonly preset: Preset;
};

/**
 * What is the same on every chain, in percent: how a mint is split, how a sponsor's fee is split, and the
 * reserve's half-life. That at most 9/10 of a burned fee is minted again is an invariant of issuance.ts.
 */
export const MINT_PERCENT = { pods: 72n, proposers: 8n, validators: 15n, treasury: 5n } as const;
export const FEE_PERCENT = { burned: 30n, pods: 65n, validators: 5n } as const;
export const HALF_LIFE_YEARS = 4n;
export const YEAR_MS = 365n * 24n * 3_600_000n;

/** Longest lock, in epochs, that the state has room for. */
export const LOCK_EPOCHS_MAX = 1_024n;
/** Longest evidence window and longest window of useful work, in epochs, that the state has room for. */
export const EVIDENCE_EPOCHS_MAX = 250n;
export const ELECTION_WINDOW_MAX = 16n;

/** Largest window of evidence against pods: the state keeps the drawn slots of so many epochs. */
export const PAST_EPOCHS_MAX = 4n;

/** What the state and the encodings have room for, and what a `number` or a timer holds. */
const BOUNDS: Partial<Record<ParamName, readonly [least: bigint, most: bigint]>> = {
  blockIntervalMs: [1n, 3_600_000n],
  linkDelayMs: [0n, 3_600_000n],
  proposalTimeoutMs: [1n, 2n ** 26n],
  notarizationTimeoutMs: [1n, 2n ** 26n],
  retryMs: [1n, 2n ** 26n],
  skipMs: [0n, 2n ** 26n],
  timestampAheadMs: [0n, 2n ** 26n],
  epochHeights: [5n, 2n ** 20n],
  submitPercent: [1n, 90n],
  lateDistance: [1n, 7n],
  transactionsMax: [0n, 4_096n],
  submissionsMax: [0n, 1_024n],
  bondUnit: [1n, 2n ** 62n],
  stakeMin: [1n, 2n ** 62n],
  slotsPerTask: [1n, 64n],
  batchReuseMax: [1n, 255n],
  rootAgeEpochs: [0n, 2n ** 20n],
  slicesPerRound: [1n, 64n],
  supplyMax: [1n, 2n ** 62n],
  publicLanePercent: [0n, 100n],
  targetMin: [1n, 2n ** 62n],
  emaEpochs: [1n, 2n ** 32n],
  evidenceEpochs: [1n, EVIDENCE_EPOCHS_MAX],
  unbondingEpochs: [1n, 2n ** 20n],
  validatorsMin: [1n, 128n],
  exitWeightPercent: [0n, 100n],
  slashPercent: [0n, 100n],
  correlationFactor: [0n, 100n],
  presenceMinPercent: [0n, 100n],
  presenceEpochs: [1n, 255n],
  jailEpochs: [0n, 2n ** 20n],
  electionWindowEpochs: [1n, ELECTION_WINDOW_MAX],
  tasksOpenMax: [0n, 16n],
  roundPayMin: [1n, 2n ** 62n],
  taskPlaceFee: [0n, 2n ** 40n],
  taskLeadMax: [1n, 65_535n],
  podEvidenceEpochs: [1n, PAST_EPOCHS_MAX],
};

export function resolveParams(preset: Preset, overrides: Partial<Record<ParamName, bigint>> = {}): Params {
  const names = Object.keys(PARAMS) as ParamName[];
  const values = Object.fromEntries(
    names.map((name) => [name, overrides[name] ?? PARAMS[name][preset]]),
  ) as Record<ParamName, bigint>;
  const refuse = (field: string, expected: string): never => {
    throw new FaultError("genesis/invalid", { field: `params.${field}`, expected });
  };
  for (const name of names) {
    const [least, most] = BOUNDS[name] ?? [0n, 2n ** 63n - 1n];
    if (values[name] < least || values[name] > most) refuse(name, `${least} … ${most}`);
  }
  if (values.proposalTimeoutMs <= values.blockIntervalMs + values.linkDelayMs) {
    refuse("proposalTimeoutMs", "more than blockIntervalMs + linkDelayMs");
  }
  if (values.notarizationTimeoutMs <= values.proposalTimeoutMs)
    refuse("notarizationTimeoutMs", "more than proposalTimeoutMs");
  if (closePlace(values) > Number(values.epochHeights) - 2)
    refuse("submitPercent", "so few that a block for reveals lies between the close and the epoch's last");
  if (values.rewardLockEpochs < values.podEvidenceEpochs || values.rewardLockEpochs >= LOCK_EPOCHS_MAX) {
    refuse("rewardLockEpochs", `at least podEvidenceEpochs and below ${LOCK_EPOCHS_MAX}`);
  }
  if (values.unbondingEpochs <= values.evidenceEpochs) refuse("unbondingEpochs", "more than evidenceEpochs");
  if (values.rewardLockEpochs < values.evidenceEpochs) refuse("rewardLockEpochs", "at least evidenceEpochs");
  return { ...values, preset };
}

/** Place of a height within its epoch, 1 … epochHeights. Genesis, height 0, is before epoch 0. */
export function placeInEpoch(height: number, params: Params): number {
  return ((height - 1) % Number(params.epochHeights)) + 1;
}

export function epochOfHeight(height: number, params: Params): number {
  return Math.floor((height - 1) / Number(params.epochHeights));
}

/** Last place of an epoch whose block takes submissions; the slices to open are drawn at its end. */
export function closePlace(params: Pick<Params, "epochHeights" | "submitPercent">): number {
  return Math.max(1, Number((params.epochHeights * params.submitPercent) / 100n));
}

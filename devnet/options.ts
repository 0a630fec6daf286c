/**
 * What one can ask of a devnet, and the numbers it is made with. Read by the CLI, the plan and the tests.
 */
import { FaultError } from "../consensus/primitives/faults.ts";
import { PARAMS, type ParamName } from "../consensus/primitives/params.ts";
import { type GradientShape, shapeOf } from "../consensus/work/gradient.ts";

export type TableSource = {
  readonly file: string;
  readonly label: string;
  readonly positive: string;
  readonly ignore: readonly string[];
};

/** What a kept chain must agree with when it is started again. */
export type ChainOptions = {
  readonly validators?: number;
  readonly pods?: number;
  /** Columns of the generated data. */
  readonly features?: number;
  /** The user's own table instead of generated data. */
  readonly table?: TableSource;
  readonly blockIntervalMs?: number;
  /** Shape of the task; chosen by the number of columns if absent. */
  readonly shape?: string;
  readonly batchesPerPod?: number;
  readonly holdoutSlices?: number;
  /** The last so many pods hold the first pod's rows, under salts of their own: for tests of copied data. */
  readonly copycats?: number;
  /** Further overrides of parameters, by name: what a test needs. */
  readonly params?: Partial<Record<ParamName, bigint>>;
};

export const DEFAULTS = { validators: 4, pods: 3, features: 10, batchesPerPod: 4 } as const;

/** The first RPC port that is tried; a node more takes a port more. */
export const RPC_PORT = 9545;
export const TASK_NAME = "tumour";
/** Whole ZKP. */
export const STAKE_ZKP = 1_000;
export const DEV_ACCOUNTS = 3;
export const DEV_ACCOUNT_ZKP = 100_000;
/** For the fees of reveals. */
export const SPONSOR_ZKP = 1_000;
/** Rounds of a generated task; a user's table gives as many as it has rows for, up to these. */
export const ROUNDS_MAX = 16;
export const GENERATED_SEED = 1;
/** Rows of generated data that nobody trains or is paid on. */
export const GENERATED_TEST_ROWS = 512;
export const VALIDATORS_MAX = 16;
export const PODS_MAX = 16;

/** Deals a table's rows. Small tables depend on it: of 57 WDBC test rows one is 1.75 points (docs/performance.md). */
export const DEAL_SEED = 3;

/**
 * A task's step and the bound C² on a gradient's squared norm, by the number of features. Calibrated on
 * three pods and 32 holdout rows a round: over 1,000 draws of batches and slices, generated data with 10
 * columns reach 96.0 % after 4 rounds (least 94.5 %), WDBC with 30 columns 96.5 % (least 94.7 %). Without
 * the bound a step of 1 overshoots in every fifth round; with 1/8 four rounds are not enough.
 */
export function stepOf({ features }: GradientShape): {
  rate: { numerator: number; shift: number };
  normBound: bigint;
} {
  return features <= 10
    ? { rate: { numerator: 3, shift: 1 }, normBound: 2n ** 77n }
    : { rate: { numerator: 1, shift: 0 }, normBound: 2n ** 78n };
}

const SHAPES = ["gradient-32x10", "gradient-32x30"] as const;

/** The smallest shape of the catalogue's public ones that has room for so many columns. */
export function shapeForColumns(columns: number): GradientShape {
  const fitting = SHAPES.map(shapeOf).find(({ features }) => columns <= features);
  if (fitting === undefined) {
    throw new FaultError("table/invalid", {
      columns,
      expected: "at most 30 feature columns; leave some out with --ignore",
    });
  }
  return fitting;
}

/** Least length of an epoch with a public shape: its window, the first part, is enough for snarkjs too, the fallback. */
const EPOCH_MS = 20_000n;

/**
 * A faster or slower chain: timeouts that are multiples of the interval in the preset stay so, and an epoch
 * has as many more blocks as proving needs.
 */
export function paramOverrides(
  options: ChainOptions,
  shape?: GradientShape,
): Partial<Record<ParamName, bigint>> {
  const { blockIntervalMs, params = {} } = options;
  const interval = blockIntervalMs === undefined ? PARAMS.blockIntervalMs.dev : BigInt(blockIntervalMs);
  const leastMs = SHAPES.some((id) => id === shape?.id) ? EPOCH_MS : 0n;
  const heights = (leastMs + interval - 1n) / interval;
  const epoch = heights > PARAMS.epochHeights.dev ? { epochHeights: heights } : {};
  if (blockIntervalMs === undefined) return { ...epoch, ...params };
  const scaled = (name: ParamName): bigint => {
    const value = (PARAMS[name].dev * interval) / PARAMS.blockIntervalMs.dev;
    return value > PARAMS[name].dev / SCALE_MIN ? value : PARAMS[name].dev / SCALE_MIN;
  };
  const proposalTimeoutMs = scaled("proposalTimeoutMs") + interval;
  return {
    ...epoch,
    blockIntervalMs: interval,
    proposalTimeoutMs,
    notarizationTimeoutMs: scaled("notarizationTimeoutMs") + proposalTimeoutMs,
    retryMs: scaled("retryMs"),
    ...params,
  };
}

/** Timeouts shrink to no less than this part: below, a busy laptop's scheduling, not a lost message, would end views. */
const SCALE_MIN = 2n;

export function checkOptions(options: ChainOptions): void {
  const check = (name: string, value: number | undefined, min: number, max: number): void => {
    if (value !== undefined && !(Number.isInteger(value) && value >= min && value <= max)) {
      throw new FaultError("config/usage", { option: name, found: value, expected: `${min} … ${max}` });
    }
  };
  check("--validators", options.validators, 1, VALIDATORS_MAX);
  check("--pods", options.pods, 1, PODS_MAX);
  check("--features", options.features, 1, 30);
  check("--block-interval", options.blockIntervalMs, 50, 60_000);
  if (options.table !== undefined && options.features !== undefined) {
    throw new FaultError("config/usage", {
      option: "--features",
      problem: "is for generated data, and --data is given",
    });
  }
}

/** What the transition knows beside the state: the chain's parameters and the block's proposer. */
import type { Fault } from "../primitives/faults.ts";
import type { Params } from "../primitives/params.ts";
import type { Amount, ValidatorIndex } from "../primitives/units.ts";
import type { Score, ScoreInput } from "../work/score.ts";

/** `scoreRound`, or something that gives the same score for the same input because it ran it before. */
export type Scorer = (input: ScoreInput) => Score;

export type Context = {
  readonly params: Params;
  readonly proposer: ValidatorIndex;
  /** Place of the block in its epoch, 1 … epochHeights. */
  readonly place: number;
  /** `scoreRound` if absent. */
  readonly score?: Scorer | undefined;
};

/** An operation's sender, and what it can spend after the fee. */
export type Sender = {
  readonly address: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly available: Amount;
};

/** Either why the operation is refused, or the writes that carry it out; nothing is written before. */
export type Decision = Fault | (() => void);

/**
 * Branded units and checked arithmetic. A brand is made only by its constructor, so that a height
 * can't be passed where a view is meant, and no amount can wrap, go below zero or lose precision.
 */
import { FaultError, invariant } from "./faults.ts";

declare const unit: unique symbol;
type Branded<T, Name extends string> = T & { readonly [unit]: Name };

/** Position in the finalized chain; genesis is 0. */
export type Height = Branded<number, "Height">;
/** One attempt to agree, counted from 1 within an epoch. */
export type View = Branded<number, "View">;
/** A fixed number of heights with one validator set, and one round of every task. */
export type Epoch = Branded<number, "Epoch">;
/** Position in the state's list of validators; permanent. */
export type ValidatorIndex = Branded<number, "ValidatorIndex">;
/** nzkp; 10^9 of them are one ZKP. */
export type Amount = Branded<bigint, "Amount">;

const AMOUNT_MAX = 2n ** 64n - 1n;

function natural(value: number, name: string): number {
  invariant(Number.isSafeInteger(value) && value >= 0, `${name} ${value} is no natural number`);
  return value;
}

export const Height = (value: number): Height => natural(value, "height") as Height;
export const View = (value: number): View => natural(value, "view") as View;
export const Epoch = (value: number): Epoch => natural(value, "epoch") as Epoch;
export const ValidatorIndex = (value: number): ValidatorIndex =>
  natural(value, "validator index") as ValidatorIndex;

export function Amount(value: bigint): Amount {
  invariant(value >= 0n && value <= AMOUNT_MAX, `amount ${value} outside 0 … 2^64 − 1`);
  return value as Amount;
}

export const NZKP_PER_ZKP = 10n ** 9n;
export const ZERO = Amount(0n);

/** Whole ZKP as nzkp. */
export const zkp = (whole: number | bigint): Amount => Amount(BigInt(whole) * NZKP_PER_ZKP);

export const add = (...amounts: readonly Amount[]): Amount =>
  Amount(amounts.reduce((sum, it) => sum + it, 0n));
export const subtract = (from: Amount, what: Amount): Amount => Amount(from - what);

/** ⌊amount · numerator / denominator⌋, exact in between. */
export function share(amount: Amount, numerator: bigint, denominator: bigint): Amount {
  invariant(denominator > 0n && numerator >= 0n, `share ${numerator}/${denominator}`);
  return Amount((amount * numerator) / denominator);
}

/** "12.5 ZKP", without trailing zeros. */
export function formatZkp(amount: bigint): string {
  const whole = amount / NZKP_PER_ZKP;
  const rest = (amount % NZKP_PER_ZKP).toString().padStart(9, "0").replace(/0+$/, "");
  return `${whole}${rest === "" ? "" : `.${rest}`} ZKP`;
}

/** Reads "12.5" (ZKP) as nzkp. */
export function parseZkp(text: string): Amount {
  const match = /^(\d{1,10})(?:\.(\d{1,9}))?$/.exec(text);
  if (match === null)
    throw new FaultError("config/invalid", { value: text, expected: "an amount in ZKP such as 12.5" });
  return Amount(BigInt(match[1] ?? "0") * NZKP_PER_ZKP + BigInt((match[2] ?? "").padEnd(9, "0")));
}

/** The validator set of one epoch: as the state holds it, with weights, quorum, and whose turn it is to propose. */
import { ContainerType, ListCompositeType, type ValueOf } from "@chainsafe/ssz";
import { invariant } from "../primitives/faults.ts";
import { createDraw, drawWithout } from "../primitives/hash.ts";
import type { Epoch, View } from "../primitives/units.ts";
import { Bytes32, Bytes48, bigint64, EpochType, SEATS_MAX, ValidatorIndexType } from "./ssz.ts";
import { StructType } from "./struct.ts";

const MemberType = new StructType({
  /** Position in the state's list of validators. */
  validator: ValidatorIndexType,
  /** Here too, so that a set's root says who may sign: light clients need nothing else. */
  blsKey: Bytes48,
  /** Voting weight: slashable stake alone. */
  weight: bigint64,
  /** How often it proposes, relative to the others. */
  electionWeight: bigint64,
});
export type Member = Readonly<ValueOf<typeof MemberType>>;

/** A set as the state holds it. */
export const SetType = new ContainerType({
  epoch: EpochType,
  /** Shuffles the proposers. */
  seed: Bytes32,
  members: new ListCompositeType(MemberType, SEATS_MAX),
});
/** Sets that the state holds, by epoch modulo their number: the evidence window's, this one and the next. */
export const SETS_KEPT = 256;

export type ValidatorSet = {
  readonly epoch: Epoch;
  readonly members: readonly Member[];
  readonly totalWeight: bigint;
  readonly quorum: bigint;
  /** Positions of the proposers of views 1, 2, …, repeated. */
  readonly turns: readonly number[];
};

/** More than two thirds of the weight: q = W − ⌊(W−1)/3⌋. */
export function quorumOf(totalWeight: bigint): bigint {
  return totalWeight - (totalWeight - 1n) / 3n;
}

/** Turns a member gets in a cycle, on average. */
const TURNS_EACH = 8;

/**
 * Smooth weighted round robin, started from an order shuffled by the seed. The cycle has a fixed
 * length, so that any view's proposer is found without walking to it.
 */
function turnsOf(members: readonly Member[], seed: Uint8Array): number[] {
  const order = drawWithout(createDraw("proposer-order", seed), members.length, members.length);
  const total = members.reduce((sum, member) => sum + member.electionWeight, 0n);
  const credit = members.map(() => 0n);
  return Array.from({ length: TURNS_EACH * members.length }, () => {
    let best = order[0] ?? 0;
    for (const position of order) {
      credit[position] = (credit[position] ?? 0n) + (members[position]?.electionWeight ?? 0n);
    }
    for (const position of order) if ((credit[position] ?? 0n) > (credit[best] ?? 0n)) best = position;
    credit[best] = (credit[best] ?? 0n) - total;
    return best;
  });
}

export function createValidatorSet(epoch: Epoch, members: readonly Member[], seed: Uint8Array): ValidatorSet {
  invariant(members.length > 0, "a validator set has members");
  const totalWeight = members.reduce((sum, member) => sum + member.weight, 0n);
  return { epoch, members, totalWeight, quorum: quorumOf(totalWeight), turns: turnsOf(members, seed) };
}

/** Position in the set of the proposer of a view. */
export function proposerOf(set: ValidatorSet, view: View): number {
  return set.turns[(view - 1) % set.turns.length] ?? 0;
}

export function weightOf(set: Pick<ValidatorSet, "members">, positions: Iterable<number>): bigint {
  let weight = 0n;
  for (const position of positions) weight += set.members[position]?.weight ?? 0n;
  return weight;
}

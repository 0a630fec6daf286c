/**
 * What an equivocation costs. At once: `slashPercent` of stake and locked rewards, and the exit. When
 * `evidenceEpochs` have passed since the last slashing, so before anything can be withdrawn: a further
 * `correlationFactor` × (share of the weight slashed around it, its own left out). One accident costs
 * 5 %; clones that fail together fall together. docs/protocol.md, "Evidence".
 *
 * A share is a weight in the set of the offence, so stake that is brought in later dilutes nothing.
 */
import { equalBytes } from "../primitives/bytes.ts";
import { type Fault, fault } from "../primitives/faults.ts";
import type { Params } from "../primitives/params.ts";
import { type Amount, add, share, subtract, type ValidatorIndex, ZERO } from "../primitives/units.ts";
import { type Certificate, signersOf } from "../types/certificate.ts";
import { culpritsOf, type Evidence, offenceOf } from "../types/evidence.ts";
import { type Member, quorumOf, weightOf } from "../types/validator-set.ts";
import type { Vote } from "../types/vote.ts";
import { getAccount } from "./maps.ts";
import { membersAt } from "./sets.ts";
import {
  SLASHINGS_EACH_MAX,
  type Slashing,
  SlashingType,
  type State,
  type Validator,
  ValidatorStatus,
} from "./state.ts";
import { addToSupply, takeFromSupply } from "./supply.ts";
import { getValidator, leave, putValidator, validators } from "./validators.ts";

/** One by one: reading them all at once is refused while a slashing of the same block is uncommitted. */
function allSlashings(state: State): readonly Slashing[] {
  return Array.from({ length: state.slashings.length }, (_, i) => state.slashings.getReadonly(i).toValue());
}

type Offenders = { readonly culprits: readonly Member[]; readonly totalWeight: bigint };

const weightOfAll = (members: readonly Member[]): bigint =>
  members.reduce((sum, { weight }) => sum + weight, 0n);

/** Whether a vote's signer, or a quorum of a certificate's signers, has a seat. */
function isOfSet(members: readonly Member[], half: Vote | Certificate): boolean {
  if ("signer" in half) return half.signer < members.length;
  const weight = weightOf({ members }, signersOf(half));
  return half.signers.bitLen === members.length && weight >= quorumOf(weightOfAll(members));
}

/** Whom a piece of evidence slashes on this state, or why nobody. Signatures are checks of their own (checks.ts). */
export function checkEvidence(state: State, evidence: Evidence, params: Params): Fault | Offenders {
  const { first, second } = evidence.value;
  const { epoch, view } = first.subject;
  if (offenceOf(first.subject, second.subject) === undefined) return fault("evidence/no-conflict");
  const oldest = state.epoch - Number(params.evidenceEpochs);
  const members = epoch > state.epoch || epoch < oldest ? undefined : membersAt(state, epoch);
  if (members === undefined) return fault("evidence/window", { epoch, from: Math.max(0, oldest) });
  if (!isOfSet(members, first) || !isOfSet(members, second)) return fault("evidence/signer");
  const signers = culpritsOf(evidence).flatMap((position) => members[position] ?? []);
  if (signers.length === 0) return fault("evidence/signer");
  const known = allSlashings(state);
  const culprits = signers.filter(({ validator, blsKey }) => {
    const own = known.filter((it) => it.validator === validator);
    const it = getValidator(state, validator);
    return (
      own.length < SLASHINGS_EACH_MAX &&
      !own.some((slashing) => slashing.epoch === epoch && slashing.view === view) &&
      it.status !== ValidatorStatus.withdrawn &&
      equalBytes(it.blsKey, blsKey)
    );
  });
  if (culprits.length === 0) return fault("evidence/known", { epoch, view });
  return { culprits, totalWeight: weightOfAll(members) };
}

/** Slashes whoever the evidence shows, or says why not and writes nothing. */
export function applyEvidence(state: State, evidence: Evidence, params: Params): Fault | undefined {
  const checked = checkEvidence(state, evidence, params);
  if ("code" in checked) return checked;
  const { epoch, view } = evidence.value.first.subject;
  const { culprits, totalWeight } = checked;
  for (const { validator, weight } of culprits) {
    const entry: Slashing = { validator, epoch, view, at: state.epoch, weight, totalWeight };
    state.slashings.push(SlashingType.toViewDU(entry));
    slash(state, validator, params);
  }
  return undefined;
}

function slash(state: State, validator: ValidatorIndex, params: Params): void {
  const it = penalise(state, getValidator(state, validator), params.slashPercent, 100n);
  const isOpen = it.slashesOpen > 0;
  const left =
    it.status === ValidatorStatus.active || it.status === ValidatorStatus.jailed
      ? leave({ ...it, exitEpoch: state.epoch }, state.epoch)
      : it;
  putValidator(state, validator, {
    ...left,
    slashes: it.slashes + 1,
    slashesOpen: it.slashesOpen + 1,
    slashedFirst: isOpen ? it.slashedFirst : state.epoch,
    slashedLast: state.epoch,
  });
}

/** Burns a part of the stake, and notes the same part of the locked rewards as a debt that unlocking pays. */
function penalise(state: State, it: Validator, numerator: bigint, denominator: bigint): Validator {
  const part = (amount: Amount): Amount =>
    numerator >= denominator ? amount : share(amount, numerator, denominator);
  const burned = part(it.stake);
  const locked = getAccount(state, it.account)?.locked ?? ZERO;
  const unowed = locked > it.lockedDebt ? subtract(locked, it.lockedDebt) : ZERO;
  takeFromSupply(state, "staked", burned);
  burnPenalty(state, burned);
  return {
    ...it,
    stake: subtract(it.stake, burned),
    slashed: add(it.slashed, burned),
    lockedDebt: add(it.lockedDebt, part(unowed)),
  };
}

function burnPenalty(state: State, amount: Amount): void {
  addToSupply(state, "burned", amount);
  addToSupply(state, "slashed", amount);
}

/** Validators whose accounts owe a part of what unlocks. */
export function lockedDebtors(state: State): ValidatorIndex[] {
  return validators(state).flatMap(({ validator, it }) => (it.lockedDebt > 0n ? [validator] : []));
}

/** Burns what of an unlocking reward is owed for slashings of the account's validators; how much that was. */
export function payLockedDebt(
  state: State,
  debtors: readonly ValidatorIndex[],
  account: Uint8Array,
  unlocked: Amount,
): Amount {
  let burned = ZERO;
  for (const validator of debtors) {
    const it = getValidator(state, validator);
    if (!equalBytes(it.account, account)) continue;
    const left = subtract(unlocked, burned);
    const paid = it.lockedDebt < left ? it.lockedDebt : left;
    const rest = subtract(it.lockedDebt, paid);
    putValidator(state, validator, { ...it, lockedDebt: rest, slashed: add(it.slashed, paid) });
    burned = add(burned, paid);
  }
  burnPenalty(state, burned);
  return burned;
}

/**
 * At an epoch's turn: the correlated part of every penalty whose window is complete. Whoever offends
 * together is slashed within `evidenceEpochs` of each other, so the window reaches that far on both sides.
 */
export function settleSlashings(state: State, params: Params): void {
  const window = Number(params.evidenceEpochs);
  const all = allSlashings(state);
  if (all.length === 0) return;
  let needed = state.epoch - window;
  for (const { validator, it } of validators(state)) {
    if (it.slashesOpen === 0) continue;
    if (state.epoch > it.slashedLast + window) {
      putValidator(state, validator, settleOne(state, { validator, it }, all, params));
    } else needed = Math.min(needed, it.slashedFirst - window);
  }
  const kept = all.filter(({ at }) => at >= needed);
  if (kept.length < all.length) state.slashings = state.type.fields.slashings.toViewDU(kept);
}

function settleOne(
  state: State,
  { validator, it }: { readonly validator: ValidatorIndex; readonly it: Validator },
  all: readonly Slashing[],
  params: Params,
): Validator {
  const from = it.slashedFirst - Number(params.evidenceEpochs);
  /** Every other validator once, with its first slashing in the window. */
  const others = new Map<ValidatorIndex, Slashing>();
  for (const slashing of all) {
    if (slashing.validator === validator || slashing.at < from || others.has(slashing.validator)) continue;
    others.set(slashing.validator, slashing);
  }
  // In billionths of the weight, rounded down one by one: exact enough, and bounded.
  const shared = [...others.values()].reduce(
    (sum, { weight, totalWeight }) => sum + (weight * BILLION) / totalWeight,
    0n,
  );
  const settled = penalise(state, it, params.correlationFactor * shared, BILLION);
  // A debt on rewards that have all been unlocked since can't be collected any more.
  const locked = getAccount(state, it.account)?.locked ?? ZERO;
  return { ...settled, slashesOpen: 0, lockedDebt: locked === 0n ? ZERO : settled.lockedDebt };
}

const BILLION = 10n ** 9n;

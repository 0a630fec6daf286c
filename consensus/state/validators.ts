/**
 * The state's list of validators, and the operations of their owners: join, top-up, exit, withdraw,
 * unjail. What they ask for takes effect at an epoch's turn (seating.ts).
 */
import { equalBytes, toHex } from "../primitives/bytes.ts";
import { type Fault, fault } from "../primitives/faults.ts";
import type { Params } from "../primitives/params.ts";
import { add, Epoch, ValidatorIndex, ZERO } from "../primitives/units.ts";
import type { Operation } from "../types/transaction.ts";
import type { Context, Decision, Sender } from "./context.ts";
import { credit, debit } from "./maps.ts";
import {
  newValidator,
  type State,
  VALIDATORS_MAX,
  type Validator,
  ValidatorStatus,
  ValidatorType,
} from "./state.ts";
import { addToSupply, takeFromSupply } from "./supply.ts";

type Value<Selector extends number> = Extract<Operation, { selector: Selector }>["value"];
type Entry = { readonly validator: ValidatorIndex; readonly it: Validator };

export function getValidator(state: State, validator: ValidatorIndex): Validator {
  return state.validators.getReadonly(validator).toValue();
}

export function putValidator(state: State, validator: ValidatorIndex, it: Validator): void {
  state.validators.set(validator, ValidatorType.toViewDU(it));
}

/** All validators as they stand, withdrawn ones included. */
export function validators(state: State): Entry[] {
  return Array.from({ length: state.validators.length }, (_, i) => {
    const validator = ValidatorIndex(i);
    return { validator, it: getValidator(state, validator) };
  });
}

/** Where keys were found last: checked against the state, so that a wrong hint costs a search and no more. */
const HINTS_MAX = 4 * VALIDATORS_MAX;
const hints = new Map<string, number>();

export function findValidator(state: State, blsKey: Uint8Array): Entry | undefined {
  const name = toHex(blsKey);
  const isAt = (i: number): boolean =>
    i < state.validators.length && equalBytes(state.validators.getReadonly(i).blsKey, blsKey);
  const hint = hints.get(name);
  let at = hint !== undefined && isAt(hint) ? hint : 0;
  while (at < state.validators.length && !isAt(at)) at++;
  if (at >= state.validators.length) return undefined;
  if (hints.size >= HINTS_MAX) hints.delete(hints.keys().next().value ?? "");
  hints.set(name, at);
  return { validator: ValidatorIndex(at), it: getValidator(state, ValidatorIndex(at)) };
}

/** First epoch in which an unbonding validator may withdraw: a slashing makes it wait the whole time again. */
export function withdrawableFrom({ unbondFrom, slashes, slashedLast }: Validator, params: Params): Epoch {
  const from = slashes > 0 && slashedLast > unbondFrom ? slashedLast : unbondFrom;
  return Epoch(from + Number(params.unbondingEpochs));
}

/** A place for a new validator: one more, or that of a withdrawn one that nothing speaks of any more. */
function freePlace(state: State): number | undefined {
  if (state.validators.length < VALIDATORS_MAX) return state.validators.length;
  const spoken = new Set<number>();
  for (let i = 0; i < state.slashings.length; i++) spoken.add(state.slashings.getReadonly(i).validator);
  return validators(state).find(
    ({ validator, it }) =>
      it.status === ValidatorStatus.withdrawn && it.lockedDebt === 0n && !spoken.has(validator),
  )?.validator;
}

/** Its possession is one of the block's checks (checks.ts). */
export function validatorJoin(
  state: State,
  sender: Sender,
  { blsKey, stake }: Value<5>,
  { params }: Context,
): Decision {
  if (stake < params.stakeMin)
    return fault("validator/stake-low", { stake: String(stake), least: String(params.stakeMin) });
  if (sender.available < stake)
    return fault("transaction/balance-low", { needed: String(stake), field: "stake" });
  if (findValidator(state, blsKey) !== undefined) return fault("validator/key-used");
  const place = freePlace(state);
  if (place === undefined) return fault("validator/limit", { limit: VALIDATORS_MAX });
  return () => {
    debit(state, sender.address, stake);
    addToSupply(state, "staked", stake);
    const it = newValidator(blsKey, sender.address, stake, state.epoch);
    if (place < state.validators.length) putValidator(state, ValidatorIndex(place), it);
    else state.validators.push(ValidatorType.toViewDU(it));
  };
}

/** The sender's own validator in one of these states, or why not. */
function owned(state: State, sender: Sender, blsKey: Uint8Array, allowed: readonly number[]): Entry | Fault {
  const found = findValidator(state, blsKey);
  if (found === undefined) return fault("validator/unknown");
  if (!equalBytes(found.it.account, sender.address))
    return fault("transaction/sender-not-allowed", { owner: "the validator's account" });
  const { status } = found.it;
  return allowed.includes(status) ? found : fault("validator/status", { status: statusName(status) });
}

export type StatusName = keyof typeof ValidatorStatus;
const STATUS_NAMES = Object.keys(ValidatorStatus) as StatusName[];
export const statusName = (status: number): StatusName =>
  STATUS_NAMES.find((name) => ValidatorStatus[name] === status) ?? "withdrawn";

const { active, jailed, unbonding, withdrawn } = ValidatorStatus;

export function validatorTopUp(state: State, sender: Sender, { blsKey, amount }: Value<6>): Decision {
  if (amount === 0n) return fault("transaction/amount-zero");
  if (sender.available < amount)
    return fault("transaction/balance-low", { needed: String(amount), field: "amount" });
  const found = owned(state, sender, blsKey, [active, jailed]);
  if ("code" in found) return found;
  const { validator, it } = found;
  return () => {
    debit(state, sender.address, amount);
    addToSupply(state, "staked", amount);
    putValidator(state, validator, { ...it, stake: add(it.stake, amount) });
  };
}

export function validatorExit(state: State, sender: Sender, { blsKey }: Value<7>): Decision {
  const found = owned(state, sender, blsKey, [active, jailed]);
  if ("code" in found) return found;
  const { validator, it } = found;
  return () => {
    const leaving = { ...it, exitEpoch: state.epoch };
    putValidator(state, validator, leave(leaving, state.epoch));
  };
}

/** Of one that gets no more seats: it unbonds from the first epoch without one. */
export function startUnbonding(it: Validator, now: Epoch): Validator {
  const unbondFrom = it.seatedUntil > now ? it.seatedUntil : now;
  return { ...it, status: ValidatorStatus.unbonding, unbondFrom };
}

/** A jailed one has left the sets already; any other one waits for its turn. */
export function leave(it: Validator, now: Epoch): Validator {
  return it.status === jailed ? startUnbonding(it, now) : { ...it, status: ValidatorStatus.exiting };
}

export function validatorWithdraw(
  state: State,
  sender: Sender,
  { blsKey }: Value<8>,
  { params }: Context,
): Decision {
  const found = owned(state, sender, blsKey, [unbonding]);
  if ("code" in found) return found;
  const { validator, it } = found;
  const from = withdrawableFrom(it, params);
  if (state.epoch < from) return fault("validator/too-early", { epoch: state.epoch, from });
  return () => {
    takeFromSupply(state, "staked", it.stake);
    credit(state, it.account, it.stake);
    putValidator(state, validator, { ...it, stake: ZERO, status: withdrawn });
  };
}

export function validatorUnjail(
  state: State,
  sender: Sender,
  { blsKey }: Value<9>,
  { params }: Context,
): Decision {
  const found = owned(state, sender, blsKey, [jailed]);
  if ("code" in found) return found;
  const { validator, it } = found;
  const { jailedUntil, stake } = it;
  if (state.epoch < jailedUntil)
    return fault("validator/too-early", { epoch: state.epoch, from: jailedUntil });
  if (stake < params.stakeMin)
    return fault("validator/stake-low", { stake: String(stake), least: String(params.stakeMin) });
  return () => {
    putValidator(state, validator, { ...it, status: active, absentEpochs: 0 });
  };
}

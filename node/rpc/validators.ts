/** How validators look in JSON, for node/rpc/methods.ts. Reads only. */
import { toHex } from "../../consensus/primitives/bytes.ts";
import { FaultError } from "../../consensus/primitives/faults.ts";
import type { Params } from "../../consensus/primitives/params.ts";
import type { ValidatorIndex } from "../../consensus/primitives/units.ts";
import { membersAt } from "../../consensus/state/sets.ts";
import { type State, type Validator, ValidatorStatus } from "../../consensus/state/state.ts";
import { findValidator, statusName, validators, withdrawableFrom } from "../../consensus/state/validators.ts";
import { formatAddress } from "../../consensus/types/address.ts";
import { quorumOf } from "../../consensus/types/validator-set.ts";
import type { ResultOf, ValidatorInfo } from "../../rpc/methods.ts";

function weightIn(state: State, epoch: number, validator: ValidatorIndex): bigint {
  return membersAt(state, epoch)?.find((member) => member.validator === validator)?.weight ?? 0n;
}

function viewOf(state: State, validator: ValidatorIndex, it: Validator, params: Params): ValidatorInfo {
  const { unbonding, jailed } = ValidatorStatus;
  return {
    validator,
    blsKey: toHex(it.blsKey),
    account: formatAddress(it.account),
    status: statusName(it.status),
    stake: String(it.stake),
    weight: String(weightIn(state, state.epoch, validator)),
    nextWeight: String(weightIn(state, state.epoch + 1, validator)),
    joinedEpoch: String(it.joined),
    ...(it.status === unbonding ? { withdrawableEpoch: String(withdrawableFrom(it, params)) } : {}),
    ...(it.status === jailed ? { jailedUntil: String(it.jailedUntil) } : {}),
    absentEpochs: it.absentEpochs,
    slashes: it.slashes,
    slashed: String(it.slashed),
  };
}

export function validatorList(state: State, params: Params): ResultOf<"validator_list"> {
  const total = (membersAt(state, state.epoch) ?? []).reduce((sum, { weight }) => sum + weight, 0n);
  return {
    epoch: String(state.epoch),
    totalWeight: String(total),
    quorum: String(quorumOf(total)),
    stakeMin: String(params.stakeMin),
    validators: validators(state).map(({ validator, it }) => viewOf(state, validator, it, params)),
  };
}

export function validatorGet(state: State, blsKey: Uint8Array, params: Params): ResultOf<"validator_get"> {
  const found = findValidator(state, blsKey);
  if (found === undefined) throw new FaultError("validator/unknown", { blsKey: toHex(blsKey) });
  return viewOf(state, found.validator, found.it, params);
}

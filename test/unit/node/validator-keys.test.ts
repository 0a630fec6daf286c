/** Whose votes are carried: everybody with stake or a seat, as soon as the chain says so. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Epoch, ValidatorIndex, ZERO, zkp } from "../../../consensus/primitives/units.ts";
import { newValidator, type State, ValidatorType } from "../../../consensus/state/state.ts";
import { getValidator, putValidator } from "../../../consensus/state/validators.ts";
import { createValidatorKeys } from "../../../node/validator-keys.ts";
import { createChain, genesisLink } from "../../helpers/chain.ts";

const chain = createChain();

function open() {
  const { state: genesis, ...link } = genesisLink(chain);
  genesis.commit();
  const at: { state: State } = { state: genesis.clone() };
  const final = () => ({
    ...link,
    block: undefined,
    state: at.state,
    height: at.state.height,
    receipt: { transactions: [], submissions: [], epoch: undefined },
  });
  return { at, isValidator: createValidatorKeys({ chain: { final } }) };
}
const keyOf = (fill: number): Uint8Array => new Uint8Array(48).fill(fill);

test("those with a seat are validators, others are not", () => {
  const { isValidator } = open();
  for (const { secret } of chain.validators) assert.ok(isValidator(secret.toPublicKey().toBytes()));
  assert.equal(isValidator(keyOf(9)), false);
});

test("who joins is one at once, two epochs before the seat", () => {
  const { at, isValidator } = open();
  assert.equal(isValidator(keyOf(9)), false);
  at.state.validators.push(
    ValidatorType.toViewDU(newValidator(keyOf(9), new Uint8Array(20), zkp(1_000), Epoch(0))),
  );
  at.state.commit();
  assert.ok(isValidator(keyOf(9)));
});

test("who took the stake back stays one while seated, and is none afterwards", () => {
  const { at, isValidator } = open();
  const index = ValidatorIndex(0);
  const it = getValidator(at.state, index);
  putValidator(at.state, index, { ...it, stake: ZERO });
  at.state.commit();
  assert.ok(isValidator(it.blsKey), "the seat counts");
  at.state.epoch = Epoch(7);
  at.state.commit();
  assert.equal(isValidator(it.blsKey), false);
});

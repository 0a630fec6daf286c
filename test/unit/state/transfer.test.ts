/** Transfers, and what is asked of every transaction: nonce, fee, balance. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { equalBytes } from "../../../consensus/primitives/bytes.ts";
import { zkp } from "../../../consensus/primitives/units.ts";
import { applyTransaction } from "../../../consensus/state/apply-transaction.ts";
import { accountFits, getAccount, putAccount } from "../../../consensus/state/maps.ts";
import { fork } from "../../../consensus/state/state.ts";
import { addressOf } from "../../../consensus/types/transaction.ts";
import { devKey } from "../../../node/keys.ts";
import { assertConserved, createChain, sign, transferOf } from "../../helpers/chain.ts";
import { assertRefused, contextAt } from "../../helpers/refusals.ts";

const chain = createChain();
const { state } = chain.genesis;
const [alice, bob] = chain.accounts as [(typeof chain.accounts)[0], (typeof chain.accounts)[0]];
const to = addressOf(bob.publicKey);
const stranger = new Uint8Array(20).fill(9);
const deposit = chain.params.accountDeposit;
const balanceOf = (at: typeof state, address: Uint8Array) => getAccount(at, address)?.balance;

describe("a transfer", () => {
  test("moves the amount; half of the fee is burned, half is the proposer's", () => {
    const after = fork(state);
    const transaction = sign(chain, alice, 0, transferOf(to, 5n), 10_001n);
    assert.equal(applyTransaction(after, transaction, contextAt(chain, 1)), undefined);
    assert.equal(balanceOf(after, addressOf(alice.publicKey)), zkp(1_000) - 5n - 10_001n);
    assert.equal(balanceOf(after, to), zkp(1_000) + 5n);
    assert.equal(after.supply.burned, 5_000n, "the odd nzkp is the proposer's");
    const proposer = addressOf(devKey("account", "validator-0").publicKey);
    assert.equal(balanceOf(after, proposer), 5_001n);
    assert.equal(getAccount(after, addressOf(alice.publicKey))?.nonce, 1);
    assertConserved(after);
  });

  test("to an unknown address opens it and burns the deposit out of the amount", () => {
    const after = fork(state);
    const transaction = sign(chain, alice, 0, transferOf(stranger, deposit + 3n), 10_000n);
    assert.equal(applyTransaction(after, transaction, contextAt(chain, 1)), undefined);
    assert.equal(balanceOf(after, stranger), 3n);
    assert.equal(after.supply.burned, deposit + 5_000n);
    assertConserved(after);
  });

  test("of exactly the deposit opens an empty account", () => {
    const after = fork(state);
    const transaction = sign(chain, alice, 0, transferOf(stranger, deposit));
    assert.equal(applyTransaction(after, transaction, contextAt(chain, 1)), undefined);
    assert.equal(balanceOf(after, stranger), 0n);
  });

  test("of less than the deposit does not open an account", () => {
    const transaction = sign(chain, alice, 0, transferOf(stranger, deposit - 1n));
    assertRefused(chain, state, transaction, "transaction/operation-invalid");
  });

  test("to oneself costs the fee only", () => {
    const after = fork(state);
    const own = addressOf(alice.publicKey);
    const all = zkp(1_000) - 10_000n;
    assert.equal(
      applyTransaction(after, sign(chain, alice, 0, transferOf(own, all)), contextAt(chain, 1)),
      undefined,
    );
    assert.equal(balanceOf(after, own), all);
    assertConserved(after);
  });

  test("by the proposer gives half of the fee back", () => {
    const after = fork(state);
    const proposer = devKey("account", "validator-0");
    putAccount(after, {
      address: addressOf(proposer.publicKey),
      nonce: 0,
      balance: zkp(1),
      locked: zkp(0),
    });
    assert.equal(
      applyTransaction(after, sign(chain, proposer, 0, transferOf(to, 1n)), contextAt(chain, 1)),
      undefined,
    );
    assert.equal(balanceOf(after, addressOf(proposer.publicKey)), zkp(1) - 1n - 5_000n);
  });

  test("of nothing is refused", () => {
    assertRefused(chain, state, sign(chain, alice, 0, transferOf(to, 0n)), "transaction/amount-zero");
  });

  test("of everything that the fee leaves is taken, of 1 nzkp more is not", () => {
    const left = zkp(1_000) - 10_000n;
    const after = fork(state);
    assert.equal(
      applyTransaction(after, sign(chain, alice, 0, transferOf(to, left)), contextAt(chain, 1)),
      undefined,
    );
    assertRefused(chain, state, sign(chain, alice, 0, transferOf(to, left + 1n)), "transaction/balance-low");
    assertRefused(
      chain,
      state,
      sign(chain, alice, 0, transferOf(to, 2n ** 64n - 1n)),
      "transaction/balance-low",
    );
  });

  test("to a new address in a full bucket is refused, to a known one in it is not", () => {
    const full = fork(state);
    const known = new Uint8Array(20).fill(3);
    const balance = zkp(0);
    for (let i = 0; i < 4_096; i++) {
      const address = known.slice();
      new DataView(address.buffer).setUint32(8, i);
      putAccount(full, { address, nonce: 0, balance, locked: balance });
    }
    full.commit();
    const other = known.slice();
    other[19] = 77;
    assert.equal(accountFits(full, other), false);
    assertRefused(chain, full, sign(chain, alice, 0, transferOf(other, deposit)), "transaction/bucket-full");
    const first = known.slice();
    new DataView(first.buffer).setUint32(8, 0);
    const transaction = sign(chain, alice, 0, transferOf(first, 1n));
    assert.equal(applyTransaction(full, transaction, contextAt(chain, 1)), undefined);
  });
});

describe("every transaction", () => {
  test("of an unknown account is refused", () => {
    const nobody = devKey("account", "nobody");
    assertRefused(chain, state, sign(chain, nobody, 0, transferOf(to, 1n)), "transaction/balance-low");
  });

  test("has the account's nonce, not one below or above", () => {
    const after = fork(state);
    const first = sign(chain, alice, 0, transferOf(to, 1n));
    assert.equal(applyTransaction(after, first, contextAt(chain, 1)), undefined);
    assertRefused(chain, after, first, "transaction/nonce-low");
    assertRefused(chain, after, sign(chain, alice, 2, transferOf(to, 1n)), "transaction/nonce-high");
    const far = Number.MAX_SAFE_INTEGER;
    assertRefused(chain, after, sign(chain, alice, far, transferOf(to, 1n)), "transaction/nonce-high");
  });

  test("pays at least the least fee, and can pay it", () => {
    assertRefused(chain, state, sign(chain, alice, 0, transferOf(to, 1n), 9_999n), "transaction/fee-low");
    const fee = zkp(1_000) + 1n;
    assertRefused(chain, state, sign(chain, alice, 0, transferOf(to, 1n), fee), "transaction/balance-low");
    const huge = 2n ** 64n - 1n;
    assertRefused(chain, state, sign(chain, alice, 0, transferOf(to, 1n), huge), "transaction/balance-low");
  });

  test("is the account's whose key it carries", () => {
    assert.ok(equalBytes(addressOf(alice.publicKey), addressOf(alice.publicKey.slice())));
    assert.ok(!equalBytes(addressOf(alice.publicKey), addressOf(bob.publicKey)));
  });
});

/**
 * One transaction: nonce, fee, then its operation. Everything is checked before anything is written,
 * so that a refused transaction leaves no trace. Its signature is a check of its own (checks.ts).
 */
import { type Fault, fault } from "../primitives/faults.ts";
import { share, subtract, ZERO } from "../primitives/units.ts";
import { addressOf, type Transaction } from "../types/transaction.ts";
import type { Context, Decision, Sender } from "./context.ts";
import { holdoutReveal } from "./holdout-reveal.ts";
import { credit, getAccount, putAccount } from "./maps.ts";
import { datasetRegister, podEnroll, podRegister } from "./pods.ts";
import type { State } from "./state.ts";
import { addToSupply } from "./supply.ts";
import { transfer } from "./transfer.ts";
import {
  validatorExit,
  validatorJoin,
  validatorTopUp,
  validatorUnjail,
  validatorWithdraw,
} from "./validators.ts";

function decide(state: State, sender: Sender, { operation }: Transaction, context: Context): Decision {
  switch (operation.selector) {
    case 0:
      return transfer(state, sender, operation.value, context);
    case 1:
      return podRegister(state, sender, operation.value, context);
    case 2:
      return datasetRegister(state, sender, operation.value);
    case 3:
      return podEnroll(state, sender, operation.value, context);
    case 4:
      return holdoutReveal(state, sender, operation.value, context);
    case 5:
      return validatorJoin(state, sender, operation.value, context);
    case 6:
      return validatorTopUp(state, sender, operation.value);
    case 7:
      return validatorExit(state, sender, operation.value);
    case 8:
      return validatorWithdraw(state, sender, operation.value, context);
    case 9:
      return validatorUnjail(state, sender, operation.value, context);
  }
}

/** Why the operation alone would be refused on this state; writes nothing. For admission. */
export function checkOperation(state: State, transaction: Transaction, context: Context): Fault | undefined {
  const address = addressOf(transaction.publicKey);
  const balance = getAccount(state, address)?.balance ?? ZERO;
  const available = balance > transaction.fee ? subtract(balance, transaction.fee) : ZERO;
  const sender = { address, publicKey: transaction.publicKey, available };
  const decision = decide(state, sender, transaction, context);
  return typeof decision === "function" ? undefined : decision;
}

/** Applies a transaction, or says why not and writes nothing. */
export function applyTransaction(
  state: State,
  transaction: Transaction,
  context: Context,
): Fault | undefined {
  const address = addressOf(transaction.publicKey);
  const account = getAccount(state, address);
  const { fee, nonce } = transaction;
  if (account === undefined) return fault("transaction/balance-low", { balance: "0" });
  if (nonce < account.nonce) return fault("transaction/nonce-low", { next: account.nonce, found: nonce });
  if (nonce > account.nonce) return fault("transaction/nonce-high", { next: account.nonce, found: nonce });
  if (fee < context.params.feeMin)
    return fault("transaction/fee-low", { least: String(context.params.feeMin) });
  if (account.balance < fee) return fault("transaction/balance-low", { balance: String(account.balance) });
  const available = subtract(account.balance, fee);
  const decision = decide(
    state,
    { address, publicKey: transaction.publicKey, available },
    transaction,
    context,
  );
  if (typeof decision !== "function") return decision;

  putAccount(state, { ...account, nonce: nonce + 1, balance: available });
  const burned = share(fee, 1n, 2n);
  addToSupply(state, "burned", burned);
  credit(state, state.validators.getReadonly(context.proposer).account, subtract(fee, burned));
  decision();
  return undefined;
}

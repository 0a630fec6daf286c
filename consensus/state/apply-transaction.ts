/**
 * One transaction: nonce, fee, then its operation. Everything is checked before anything is written,
 * so that a refused transaction leaves no trace. Its signature is a check of its own (checks.ts).
 */
import { type Fault, fault } from "../primitives/faults.ts";
import { type Amount, share, subtract } from "../primitives/units.ts";
import type { Account } from "../types/account.ts";
import { addressOf, SELECTOR, type Transaction } from "../types/transaction.ts";
import type { Context, Decision, Sender } from "./context.ts";
import { holdoutReveal } from "./holdout-reveal.ts";
import { credit, getAccount, putAccount } from "./maps.ts";
import { podExit, podTopUp } from "./pod-bond.ts";
import { podEvidence } from "./pod-evidence.ts";
import { datasetRegister, podEnroll, podRegister } from "./pods.ts";
import type { State } from "./state.ts";
import { addToSupply } from "./supply.ts";
import { taskCreate } from "./task-create.ts";
import { taskApprove, taskClose, taskFund } from "./task-money.ts";
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
    case SELECTOR.podExit:
      return podExit(state, sender, operation.value, context);
    case SELECTOR.taskCreate:
      return taskCreate(state, sender, operation.value, context);
    case SELECTOR.taskFund:
      return taskFund(state, sender, operation.value);
    case SELECTOR.taskApprove:
      return taskApprove(state, sender, operation.value);
    case SELECTOR.taskClose:
      return taskClose(state, sender, operation.value);
    case SELECTOR.podEvidence:
      return podEvidence(state, operation.value, context);
    case SELECTOR.podTopUp:
      return podTopUp(state, sender, operation.value, context);
  }
}

type Prepared = {
  readonly account: Account;
  readonly available: Amount;
  readonly carryOut: () => void;
};

/** Everything that is asked before anything is written; its fault is why the state would refuse it now. */
export function prepareTransaction(
  state: State,
  transaction: Transaction,
  context: Context,
): Fault | Prepared {
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
  return typeof decision === "function" ? { account, available, carryOut: decision } : decision;
}

/** Applies a transaction, or says why not and writes nothing. */
export function applyTransaction(
  state: State,
  transaction: Transaction,
  context: Context,
): Fault | undefined {
  const prepared = prepareTransaction(state, transaction, context);
  if ("code" in prepared) return prepared;
  const { account, available, carryOut } = prepared;
  const { fee, nonce } = transaction;
  putAccount(state, { ...account, nonce: nonce + 1, balance: available });
  const burned = share(fee, 1n, 2n);
  addToSupply(state, "burned", burned);
  credit(state, state.validators.getReadonly(context.proposer).account, subtract(fee, burned));
  carryOut();
  return undefined;
}

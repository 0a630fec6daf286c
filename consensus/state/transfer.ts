/** Operation `transfer`: moves coins; opening an account burns the deposit out of the amount. */
import { fault } from "../primitives/faults.ts";
import { Amount, subtract } from "../primitives/units.ts";
import type { Operation } from "../types/transaction.ts";
import type { Context, Decision, Sender } from "./context.ts";
import { accountFits, credit, debit, getAccount } from "./maps.ts";
import type { State } from "./state.ts";
import { addToSupply } from "./supply.ts";

type Transfer = Extract<Operation, { selector: 0 }>["value"];

export function transfer(
  state: State,
  sender: Sender,
  { to, amount }: Transfer,
  { params }: Context,
): Decision {
  if (amount === 0n) return fault("transaction/amount-zero");
  if (sender.available < amount)
    return fault("transaction/balance-low", { needed: String(amount), field: "amount" });
  if (!accountFits(state, to)) return fault("transaction/bucket-full", { map: "accounts" });
  const deposit = getAccount(state, to) === undefined ? Amount(params.accountDeposit) : Amount(0n);
  if (amount < deposit) {
    return fault("transaction/operation-invalid", {
      field: "amount",
      expected: `at least ${deposit} to open an account`,
    });
  }
  return () => {
    debit(state, sender.address, amount);
    credit(state, to, subtract(amount, deposit));
    addToSupply(state, "burned", deposit);
  };
}

/** Development chains only: sends coins from the public faucet account, one transfer after the other. */
import { FaultError } from "../consensus/primitives/faults.ts";
import { type Amount, zkp } from "../consensus/primitives/units.ts";
import { getAccount } from "../consensus/state/maps.ts";
import {
  addressOf,
  type Transaction,
  transactionId,
  type UnsignedTransaction,
} from "../consensus/types/transaction.ts";
import type { Admission } from "./admission.ts";
import type { Chain } from "./chain.ts";
import { type Key, signEd25519 } from "./keys.ts";
import type { Mempool } from "./mempool.ts";

const AMOUNT_MAX = zkp(1_000);

export function createFaucet(
  key: Key,
  {
    chain,
    mempool,
    admission,
  }: { chain: Chain; mempool: Mempool; admission: Pick<Admission, "admitTransaction"> },
): (to: Uint8Array, amount: Amount) => Uint8Array {
  return (to, amount) => {
    if (amount > AMOUNT_MAX)
      throw new FaultError("rpc/params-invalid", { field: "amount", most: String(AMOUNT_MAX) });
    const address = addressOf(key.publicKey);
    const account = getAccount(chain.tip().state, address);
    const unsigned: UnsignedTransaction = {
      publicKey: key.publicKey,
      nonce: mempool.nextNonce(address, account?.nonce ?? 0),
      fee: chain.params.feeMin as Amount,
      operation: { selector: 0, value: { to, amount } },
    };
    const id = transactionId(chain.chain, unsigned);
    const transaction: Transaction = { ...unsigned, signature: signEd25519(key.seed, id) };
    const verdict = admission.admitTransaction(transaction);
    if (verdict.kind !== "accept") throw new FaultError(verdict.fault.code, verdict.fault.data);
    return id;
  };
}

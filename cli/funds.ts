/** Coins for what a command is about to send. Called by task.ts, pod-bond.ts and validator.ts. */
import { FaultError } from "../consensus/primitives/faults.ts";
import { NZKP_PER_ZKP } from "../consensus/primitives/units.ts";
import type { Account } from "../pod/account.ts";
import type { Client } from "../pod/client.ts";
import { waitFor } from "../pod/wait.ts";

/** What the faucet gives at once. */
const FAUCET_MAX = 1_000n * NZKP_PER_ZKP;

/** On a development chain the faucet helps, as often as needed; elsewhere the account has to be funded first. */
export async function ensureFunds(
  client: Client,
  account: Account,
  needed: bigint,
  chainId: string,
  signal: AbortSignal,
): Promise<void> {
  const balance = async (): Promise<bigint> =>
    BigInt((await client.call("chain_account", { address: account.name }, { signal })).balance);
  for (let has = await balance(); has < needed; ) {
    if (!chainId.startsWith("dev-")) {
      throw new FaultError("transaction/balance-low", {
        account: account.name,
        balance: String(has),
        needed: String(needed),
      });
    }
    const missing = needed - has + NZKP_PER_ZKP;
    const amount = missing < FAUCET_MAX ? missing : FAUCET_MAX;
    await client.call("dev_faucet", { address: account.name, amount: String(amount) }, { signal });
    const before = has;
    has = await waitFor(
      "faucet",
      async () => {
        const now = await balance();
        return now > before ? now : undefined;
      },
      { signal, timeoutMs: 60_000 },
    );
  }
}

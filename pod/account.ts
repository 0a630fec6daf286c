/**
 * An account: an Ed25519 key from a 32-byte seed, its address, and transactions sent and waited for.
 * Called by the agent, the sponsor, the devnet and the tests. Runs in a browser.
 */
import { ed25519 } from "@noble/curves/ed25519.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { toHex } from "../consensus/primitives/bytes.ts";
import { type FaultCode, FaultError, invariant, isFaultCode } from "../consensus/primitives/faults.ts";
import { hash } from "../consensus/primitives/hash.ts";
import { Amount } from "../consensus/primitives/units.ts";
import { formatAddress } from "../consensus/types/address.ts";
import {
  addressOf,
  type Operation,
  type Transaction,
  TransactionType,
  transactionId,
} from "../consensus/types/transaction.ts";
import type { TxStatus } from "../rpc/methods.ts";
import type { Client } from "./client.ts";
import { isOutage, pause, type Waiting, withPatience } from "./wait.ts";

export type Account = {
  readonly publicKey: Uint8Array;
  /** 20 bytes. */
  readonly address: Uint8Array;
  /** bech32m, zkp1… */
  readonly name: string;
  sign(message: Uint8Array): Uint8Array;
};

/** The seed stays in the closure: an account that is printed or serialised shows public parts only. */
export function accountFromSeed(seed: Uint8Array): Account {
  if (seed.length !== 32)
    throw new FaultError("key/invalid", { expected: "a seed of 32 bytes", found: seed.length });
  const secret = seed.slice();
  const publicKey = ed25519.getPublicKey(secret);
  const address = addressOf(publicKey);
  return {
    publicKey,
    address,
    name: formatAddress(address),
    sign: (message) => ed25519.sign(message, secret),
  };
}

/** The 32 bytes that stand for the chain in everything that is signed. */
export function chainTag(chainId: string): Uint8Array {
  return hash("chain-id", utf8ToBytes(chainId));
}

export type Terms = { readonly nonce: number; readonly fee: bigint };

export function signTransaction(
  account: Account,
  chain: Uint8Array,
  operation: Operation,
  terms: Terms,
): Transaction {
  const unsigned = { publicKey: account.publicKey, nonce: terms.nonce, fee: Amount(terms.fee), operation };
  return { ...unsigned, signature: account.sign(transactionId(chain, unsigned)) };
}

export type SentTransaction = { readonly id: string; readonly height: number };
export type SendOptions = Waiting & {
  /** nzkp; the chain's least fee by default. */
  readonly fee?: bigint;
};

const SEND_MS = 120_000;
const NONCE_RACES_MAX = 5;
const WAIT_MS = 10_000;
/** Faults that a fresh nonce or a fresh look cures: somebody else used this account, or a fork lost it. */
const RACES: ReadonlySet<FaultCode> = new Set([
  "transaction/nonce-low",
  "transaction/nonce-high",
  "transaction/expired",
]);

/**
 * Signs the operation with the next nonce, sends it, and returns when it is final.
 * @throws FaultError: the chain's reason, or `rpc/timeout`
 */
export async function sendTransaction(
  client: Client,
  account: Account,
  operation: Operation,
  options: SendOptions = {},
): Promise<SentTransaction> {
  const { signal, timeoutMs = SEND_MS } = options;
  const end = Date.now() + timeoutMs;
  const within = { signal, timeoutMs };
  const status = await withPatience(() => client.call("chain_status", {}, { signal }), within);
  const chain = chainTag(status.chainId);
  const fee = options.fee ?? BigInt(status.feeMin);
  for (let race = 1; ; race++) {
    const nonce = await nextNonce(client, account, within);
    const transaction = signTransaction(account, chain, operation, { nonce, fee });
    try {
      return await follow(client, transaction, toHex(transactionId(chain, transaction)), end, signal);
    } catch (error) {
      if (!(error instanceof FaultError) || !RACES.has(error.code) || race >= NONCE_RACES_MAX) throw error;
      await pause(100 * race, signal);
    }
  }
}

async function nextNonce(client: Client, account: Account, within: Waiting): Promise<number> {
  const { nonce } = await withPatience(
    () => client.call("chain_account", { address: account.name }, { signal: within.signal }),
    within,
  );
  const value = Number(nonce);
  invariant(Number.isSafeInteger(value), "a nonce is below 2^53");
  return value;
}

/** Submitting is idempotent: the same bytes are sent again after an outage and while the node does not know them. */
async function follow(
  client: Client,
  transaction: Transaction,
  id: string,
  end: number,
  signal: AbortSignal | undefined,
): Promise<SentTransaction> {
  const bytes = toHex(
    TransactionType.serialize(transaction as Parameters<typeof TransactionType.serialize>[0]),
  );
  let known = false;
  while (Date.now() < end) {
    try {
      const status: TxStatus = known
        ? await client.call("tx_wait", { id, timeoutMs: WAIT_MS }, { signal, timeoutMs: 2 * WAIT_MS })
        : await client.call("tx_submit", { transaction: bytes }, { signal });
      if (status.stage === "final") return { id, height: Number(status.height ?? 0) };
      if (status.stage === "rejected") throw rejection(status.fault?.code, status.fault?.reason);
      known = status.stage !== "unknown";
    } catch (error) {
      if (!isOutage(error)) throw error;
      known = false;
      await pause(500, signal);
    }
  }
  throw new FaultError("rpc/timeout", { awaited: "transaction final", id });
}

function rejection(code: string | undefined, reason: string | undefined): FaultError {
  if (code !== undefined && isFaultCode(code)) return new FaultError(code);
  return new FaultError("rpc/internal", { message: reason ?? "rejected without a reason" });
}

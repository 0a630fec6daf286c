/** Accounts as people see them: bech32m (BIP-350) with the prefix "zkp" around the 20 bytes of an address. */
import { bech32m } from "@scure/base";
import { FaultError } from "../primitives/faults.ts";

const PREFIX = "zkp";
const BYTES = 20;

/** "zkp1…" for the 20 bytes of an address. */
export function formatAddress(address: Uint8Array): string {
  if (address.length !== BYTES)
    throw new FaultError("config/invalid", { bytes: address.length, expected: `${BYTES} bytes` });
  return bech32m.encode(PREFIX, bech32m.toWords(address));
}

/** Strict: prefix, checksum and length; upper case only throughout, as BIP-173 has it. */
export function parseAddress(text: string): Uint8Array {
  const address = decodeAddress(text);
  if (address === undefined) {
    throw new FaultError("config/invalid", {
      value: text.slice(0, 80),
      expected: "an account such as zkp1…",
    });
  }
  return address;
}

function decodeAddress(text: string): Uint8Array | undefined {
  try {
    const { prefix, words } = bech32m.decode(text as `${string}1${string}`);
    const address = bech32m.fromWords(words);
    return prefix === PREFIX && address.length === BYTES ? address : undefined;
  } catch {
    return undefined; // the library throws on any malformed text: one verdict for all of them
  }
}

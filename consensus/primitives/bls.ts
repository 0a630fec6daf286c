/**
 * BLS12-381 signatures (min-pk: 48-byte keys, 96-byte signatures) through blst. Synchronous and
 * deterministic; nothing here holds a secret key. blst-ts has no domain parameter, so separation is
 * inside the 32-byte messages (hash.ts). Keys must have shown possession before they are aggregated.
 */
import {
  aggregatePublicKeys,
  aggregateSerializedSignatures,
  fastAggregateVerify,
  PublicKey,
  Signature,
  verify,
  verifyMultipleAggregateSignatures,
} from "@chainsafe/blst";
import { toHex } from "./bytes.ts";

/** Decoded keys, because decoding with the group check costs a tenth of a verification. Bounded. */
const KEYS_MAX = 1024;
const keys = new Map<string, PublicKey>();

function decodeKey(bytes: Uint8Array): PublicKey {
  const name = toHex(bytes);
  const known = keys.get(name);
  if (known !== undefined) return known;
  const key = PublicKey.fromBytes(bytes, true);
  if (keys.size >= KEYS_MAX) keys.delete(keys.keys().next().value ?? "");
  keys.set(name, key);
  return key;
}

/** Whether `signature` is the key's over the 32-byte message; malformed points are simply false. */
export function verifySignature(message: Uint8Array, key: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(message, decodeKey(key), Signature.fromBytes(signature, true), false, false);
  } catch {
    return false; // blst throws on encodings that are no valid points: the same verdict as a wrong signature
  }
}

/** Whether `signature` aggregates signatures of all `keys` over one message. False for no keys. */
export function verifyAggregate(
  message: Uint8Array,
  keys: readonly Uint8Array[],
  signature: Uint8Array,
): boolean {
  if (keys.length === 0) return false;
  try {
    return fastAggregateVerify(message, keys.map(decodeKey), Signature.fromBytes(signature, true), false);
  } catch {
    return false; // see verifySignature
  }
}

export type AggregateCheck = {
  readonly message: Uint8Array;
  readonly keys: readonly Uint8Array[];
  readonly signature: Uint8Array;
};

/**
 * Whether all of them verify, for less than each alone: one final exponentiation for a random combination,
 * which a wrong one passes with a chance of 2^−64. Which one is wrong it does not say.
 */
export function verifyAggregates(checks: readonly AggregateCheck[]): boolean {
  const [only] = checks;
  if (only === undefined) return true;
  if (checks.length === 1) return verifyAggregate(only.message, only.keys, only.signature);
  try {
    return verifyMultipleAggregateSignatures(
      checks.map(({ message, keys: signers, signature }) => ({
        msg: message,
        pk: aggregatePublicKeys(signers.map(decodeKey), false),
        sig: Signature.fromBytes(signature, true),
      })),
      false,
      false,
    );
  } catch {
    return false; // see verifySignature; no keys at all are false too
  }
}

/**
 * The sum of signatures; undefined if one is no point of the curve. That they are in the group nobody looks at
 * here: the sum is worth nothing before it is verified, and that includes it.
 */
export function aggregateSignatures(signatures: readonly Uint8Array[]): Uint8Array | undefined {
  try {
    return aggregateSerializedSignatures([...signatures], false).toBytes();
  } catch {
    return undefined; // see verifySignature
  }
}

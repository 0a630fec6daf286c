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

/**
 * Aggregates that verified, the newest of them, by all that a verification depends on: the message, the sum of the
 * keys, the signature. A certificate is looked at when it is assembled or comes, and again in the block that carries
 * it.
 */
const VERIFIED_MAX = 256;
const verified = new Set<string>();
const nameOf = (message: Uint8Array, signers: readonly PublicKey[], signature: Uint8Array): string =>
  [message, aggregatePublicKeys([...signers], false).toBytes(), signature].map(toHex).join("/");
function remember(name: string): void {
  const [oldest] = verified;
  if (verified.size >= VERIFIED_MAX && oldest !== undefined) verified.delete(oldest);
  verified.add(name);
}

/** Whether `signature` aggregates signatures of all `keys` over one message. False for no keys. */
export function verifyAggregate(
  message: Uint8Array,
  keys: readonly Uint8Array[],
  signature: Uint8Array,
): boolean {
  if (keys.length === 0) return false;
  try {
    const signers = keys.map(decodeKey);
    const name = nameOf(message, signers, signature);
    if (verified.has(name)) return true;
    const holds = fastAggregateVerify(message, signers, Signature.fromBytes(signature, true), false);
    if (holds) remember(name);
    return holds;
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
  try {
    const open = checks
      .map(({ message, keys: signers, signature }) => ({
        message,
        keys: signers,
        signature,
        name: nameOf(message, signers.map(decodeKey), signature),
      }))
      .filter(({ name }) => !verified.has(name));
    const [only] = open;
    if (only === undefined) return true;
    if (open.length === 1) return verifyAggregate(only.message, only.keys, only.signature);
    const hold = verifyMultipleAggregateSignatures(
      open.map(({ message, keys: signers, signature }) => ({
        msg: message,
        pk: aggregatePublicKeys(signers.map(decodeKey), false),
        sig: Signature.fromBytes(signature, true),
      })),
      false,
      false,
    );
    if (hold) for (const { name } of open) remember(name);
    return hold;
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

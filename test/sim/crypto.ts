/**
 * Signatures for the simulator. The mock is a keyed mix whose aggregate is the XOR: it verifies
 * properly, needs no pairing, and has BLS's trap (swapped signatures leave the aggregate valid). A
 * small sample of runs uses BLS itself.
 */
import { SecretKey } from "@chainsafe/blst";
import type { Signatures } from "../../consensus/engine/tally.ts";
import * as bls from "../../consensus/primitives/bls.ts";

export type Crypto = Signatures & {
  publicKey(position: number): Uint8Array;
  sign(position: number, message: Uint8Array): Uint8Array;
};

const WORDS = 24;

/** 96 bytes that depend on key and message; the mock's key is no secret, which the verifier needs. */
function mix(key: Uint8Array, message: Uint8Array): Uint8Array {
  let state = 0x811c9dc5;
  const absorb = (bytes: Uint8Array): void => {
    for (const byte of bytes) state = Math.imul(state ^ byte, 0x01000193) ^ (state >>> 15);
  };
  absorb(key);
  absorb(message);
  const words = new Uint32Array(WORDS);
  for (let i = 0; i < WORDS; i++) {
    state = Math.imul(state ^ (state >>> 16), 0x85ebca6b) + 0x9e3779b9;
    words[i] = state ^ (state >>> 13);
  }
  return new Uint8Array(words.buffer);
}

function xor(signatures: readonly Uint8Array[]): Uint8Array {
  const sum = new Uint8Array(96);
  for (const signature of signatures)
    for (let i = 0; i < 96; i++) sum[i] = (sum[i] ?? 0) ^ (signature[i] ?? 0);
  return sum;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, i) => byte === b[i]);

export function createMockCrypto(): Crypto {
  const publicKey = (position: number): Uint8Array => new Uint8Array(48).fill(position + 1);
  return {
    publicKey,
    sign: (position, message) => mix(publicKey(position), message),
    verifySignature: (message, key, signature) => same(mix(key, message), signature),
    verifyAggregate: (message, keys, signature) =>
      keys.length > 0 && same(xor(keys.map((key) => mix(key, message))), signature),
    aggregateSignatures: xor,
  };
}

export function createBlsCrypto(): Crypto {
  const secrets = new Map<number, SecretKey>();
  const secret = (position: number): SecretKey => {
    const known = secrets.get(position) ?? SecretKey.fromKeygen(new Uint8Array(32).fill(position + 1));
    secrets.set(position, known);
    return known;
  };
  return {
    publicKey: (position) => secret(position).toPublicKey().toBytes(),
    sign: (position, message) => secret(position).sign(message).toBytes(),
    verifySignature: bls.verifySignature,
    verifyAggregate: bls.verifyAggregate,
    aggregateSignatures: bls.aggregateSignatures,
  };
}

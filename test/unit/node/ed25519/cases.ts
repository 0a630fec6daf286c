/** Signatures at the edges of the rule, and what ZIP-215 says of them. Used by the tests beside it. */

import { createHash, createPublicKey, verify as cryptoVerify } from "node:crypto";
import { ED25519_TORSION_SUBGROUP, ed25519 } from "@noble/curves/ed25519.js";
import { concatBytes, fromHex } from "../../../../consensus/primitives/bytes.ts";
import type { SignatureJob } from "../../../../node/ed25519/verifier.ts";
import { devKey, signEd25519 } from "../../../../node/keys.ts";

export type Case = { readonly label: string; readonly job: SignatureJob; readonly valid: boolean };

const { Point } = ed25519;
export const P = Point.Fp.ORDER;
export const L = Point.Fn.ORDER;

export function littleEndian(value: bigint): Uint8Array {
  const bytes = new Uint8Array(32);
  for (let i = 0; i < 32; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 255n);
  return bytes;
}
export const numberOf = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

/** The eight points of small order, in their canonical encodings. */
export const TORSION = ED25519_TORSION_SUBGROUP.map((hex) => fromHex(`0x${hex}`));
/** All encodings of them that there are besides: y + p, and the other sign where x is 0. */
export const NON_CANONICAL = [
  littleEndian(1n | (1n << 255n)),
  littleEndian((P - 1n) | (1n << 255n)),
  littleEndian(P),
  littleEndian(P | (1n << 255n)),
  littleEndian(P + 1n),
  littleEndian((P + 1n) | (1n << 255n)),
];
const SMALL = [...TORSION, ...NON_CANONICAL];

export const message = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
export const honest = (label: string, text = message(1)): SignatureJob => {
  const key = devKey("account", label);
  return { publicKey: key.publicKey, message: text, signature: signEd25519(key.seed, text) };
};

const hashOf = (...parts: Uint8Array[]): bigint =>
  Point.Fn.create(
    numberOf(
      createHash("sha512")
        .update(concatBytes(...parts))
        .digest(),
    ),
  );

/** Signed with a key and a nonce that have parts of small order: s = r + h·a, whatever these are. */
export function torsioned(keyPart: number, noncePart: number, text: Uint8Array): SignatureJob {
  const part = (i: number) => Point.fromBytes(TORSION[i] ?? new Uint8Array());
  const [a, r] = [BigInt(keyPart + 7) ** 60n % L, BigInt(noncePart + 11) ** 70n % L];
  const publicKey = Point.BASE.multiply(a).add(part(keyPart)).toBytes();
  const nonce = Point.BASE.multiply(r).add(part(noncePart)).toBytes();
  const s = Point.Fn.create(r + hashOf(nonce, publicKey, text) * a);
  return { publicKey, message: text, signature: concatBytes(nonce, littleEndian(s)) };
}

const changed = (bytes: Uint8Array, at: number, bit: number): Uint8Array =>
  bytes.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));
const withR = (job: SignatureJob, r: Uint8Array): SignatureJob => ({
  ...job,
  signature: concatBytes(r, job.signature.subarray(32)),
});
export const withS = (job: SignatureJob, s: bigint): SignatureJob => ({
  ...job,
  signature: concatBytes(job.signature.subarray(0, 32), littleEndian(s)),
});
export const sOf = (job: SignatureJob): bigint => numberOf(job.signature.subarray(32));

/** 0 and what else has no point, canonical or not. */
const OFF_CURVE = [2n, 7n, P + 2n, P + 7n].map(littleEndian);

export function edgeCases(): Case[] {
  const cases: Case[] = [];
  const add = (label: string, job: SignatureJob, valid: boolean): void =>
    void cases.push({ label, job, valid });
  for (const [i, publicKey] of SMALL.entries()) {
    for (const [j, r] of SMALL.entries()) {
      const of = (s: bigint): SignatureJob => ({
        publicKey,
        message: message(i),
        signature: concatBytes(r, littleEndian(s)),
      });
      add(`key of small order ${i}, R of small order ${j}, s = 0`, of(0n), true);
      if (i === j) add(`key and R of small order ${i}, s = 1`, of(1n), false);
      if (i === j) add(`key and R of small order ${i}, s = L`, of(L), false);
    }
  }
  for (let i = 0; i < 8; i++) {
    for (let j = 0; j < 8; j++) {
      const job = torsioned(i, j, message(8 * i + j));
      add(`key with part ${i}, nonce with part ${j}`, job, true);
      if (i === j) add(`key with part ${i}, another message`, { ...job, message: message(99) }, false);
    }
  }
  const job = honest("edges");
  add("honest", job, true);
  add("honest, empty message", honest("edges", new Uint8Array()), true);
  add("honest, long message", honest("edges", new Uint8Array(5000).fill(3)), true);
  for (const [name, s] of [
    ["s + L", sOf(job) + L],
    ["L − 1", L - 1n],
    ["L", L],
    ["2^255 − 1", (1n << 255n) - 1n],
    ["2^256 − 1", (1n << 256n) - 1n],
    ["−s", L - sOf(job)],
    ["0", 0n],
  ] as const) {
    add(`s is ${name}`, withS(job, s), false);
  }
  for (const at of [0, 15, 31, 32, 47, 63]) {
    for (const bit of [0, 7]) {
      add(`bit ${bit} of byte ${at} changed`, { ...job, signature: changed(job.signature, at, bit) }, false);
      const publicKey = changed(job.publicKey, at % 32, bit);
      add(`bit ${bit} of byte ${at % 32} of the key changed`, { ...job, publicKey }, false);
    }
  }
  for (const [i, bytes] of OFF_CURVE.entries()) {
    add(`R is no point, ${i}`, withR(job, bytes), false);
    add(`the key is no point, ${i}`, { ...job, publicKey: bytes }, false);
  }
  for (const [i, bytes] of SMALL.entries()) {
    add(`R of small order ${i} for an honest key`, withR(job, bytes), false);
    // R counts as it is written, so a signature with R neutral needs its hash with that encoding.
    const a = 5n ** 80n % L;
    const publicKey = Point.BASE.multiply(a).toBytes();
    const s = Point.Fn.create(hashOf(bytes, publicKey, message(i)) * a);
    add(
      `signed with R of small order ${i}`,
      { publicKey, message: message(i), signature: concatBytes(bytes, littleEndian(s)) },
      true,
    );
  }
  for (const [key, length] of [
    [31, 64],
    [33, 64],
    [32, 63],
    [32, 65],
    [0, 64],
    [32, 0],
    [0, 0],
  ] as const) {
    const padded = (bytes: Uint8Array, size: number): Uint8Array =>
      concatBytes(bytes, new Uint8Array(8)).slice(0, size);
    add(
      `a key of ${key} bytes, a signature of ${length}`,
      { ...job, publicKey: padded(job.publicKey, key), signature: padded(job.signature, length) },
      false,
    );
  }
  const other = honest("edges 2");
  add("another's signature", { ...job, signature: other.signature }, false);
  add("another's key", { ...job, publicKey: other.publicKey }, false);
  return cases;
}

/** What node:crypto says: the rule of before. */
export function cryptoAccepts({ publicKey, message: text, signature }: SignatureJob): boolean {
  if (publicKey.length !== 32) return false;
  try {
    const key = concatBytes(fromHex("0x302a300506032b6570032100"), publicKey);
    return cryptoVerify(
      null,
      text,
      createPublicKey({ key: Buffer.from(key), format: "der", type: "spki" }),
      signature,
    );
  } catch {
    return false;
  }
}

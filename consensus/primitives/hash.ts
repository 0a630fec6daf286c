/**
 * SHA-256 with domain separation. The one list of domains: a tag is hashed in front of every
 * message, so that no signature or hash made for one purpose can be shown for another.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { concatBytes } from "./bytes.ts";

const DOMAINS = [
  "address",
  "beacon",
  "chain-id",
  "data-normalization",
  "draw-batch",
  "draw-close",
  "draw-slices",
  "draw-slots",
  "evidence",
  "hello",
  "holdout-leaf",
  "holdout-node",
  "inputs",
  "possession",
  "proposer-order",
  "score-permutation",
  "submission",
  "task",
  "task-create",
  "transaction",
  "vote",
] as const;
export type Domain = (typeof DOMAINS)[number];

const TAGS = new Map(DOMAINS.map((domain) => [domain, sha256(utf8ToBytes(`zkp/${domain}/v1`))]));

/** 32 bytes: SHA-256(SHA-256("zkp/domain/v1") ‖ parts…). Callers give parts of fixed length, or one variable part last. */
export function hash(domain: Domain, ...parts: readonly Uint8Array[]): Uint8Array {
  const tag = TAGS.get(domain);
  return sha256(concatBytes(tag ?? new Uint8Array(32), ...parts));
}

/**
 * {@link hash} of parts that many messages begin with, and a last one: the first are hashed once. Nothing is left of
 * one message when the next begins.
 */
export function hashAfter(domain: Domain, ...parts: readonly Uint8Array[]): (last: Uint8Array) => Uint8Array {
  const begun = sha256.create().update(TAGS.get(domain) ?? new Uint8Array(32));
  for (const part of parts) begun.update(part);
  const work = sha256.create();
  return (last) => {
    const digest = new Uint8Array(32);
    begun._cloneInto(work).update(last).digestInto(digest);
    return digest;
  };
}

const WORDS = 8;

/** A stream of uniform integers below a bound, drawn from a 32-byte seed; rejection sampling, no bias. */
export function createDraw(domain: Domain, seed: Uint8Array): { below(bound: number): number } {
  // hash(domain, seed, counter), with the work on the first two done once.
  const start = sha256
    .create()
    .update(TAGS.get(domain) ?? new Uint8Array(32))
    .update(seed);
  const count = new DataView(new ArrayBuffer(4));
  const message = new Uint8Array(count.buffer);
  const block = new DataView(new ArrayBuffer(4 * WORDS));
  const digest = new Uint8Array(block.buffer);
  let counter = 0;
  let word = WORDS;
  const next32 = (): number => {
    if (word === WORDS) {
      count.setUint32(0, counter++, true);
      start.clone().update(message).digestInto(digest);
      word = 0;
    }
    return block.getUint32(4 * word++, true);
  };
  return {
    below(bound) {
      if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) throw new RangeError(`bound ${bound}`);
      const limit = 2 ** 32 - (2 ** 32 % bound);
      // A draw is rejected with probability under 1/2, so 256 in a row are not seen; the bound keeps the loop finite.
      for (let tries = 0; tries < 256; tries++) {
        const value = next32();
        if (value < limit) return value % bound;
      }
      return 0;
    },
  };
}

/** The first `count` of a shuffled 0 … n − 1 (Fisher–Yates); all of them if count ≥ n. */
export function drawWithout(draw: { below(bound: number): number }, n: number, count: number): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  const taken = Math.min(n, count);
  for (let i = 0; i < taken; i++) {
    const j = i + draw.below(n - i);
    const a = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = a;
  }
  return order.slice(0, taken);
}

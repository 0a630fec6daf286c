/**
 * The circuits' hashes, natively: what a pod needs to commit to its data and to know its own outputs.
 * Called by pods and by witness builders, also in a browser; nodes never hash with Poseidon.
 *
 * A hash of a domain is the permutation of circomlib's Poseidon, started from the domain's tag where plain
 * Poseidon starts from 0. The tag is SHA-256("zkp/circuits/<domain>") mod r: circuits/gadgets/hash.circom
 * holds the same numbers, and a test compares them.
 */

import { Field } from "@noble/curves/abstract/modular.js";
import { grainGenConstants, type PoseidonFn, poseidon } from "@noble/curves/abstract/poseidon.js";
import { bytesToNumberBE } from "@noble/curves/utils.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { invariant } from "../consensus/primitives/faults.ts";
import { FEATURE_BITS, FEATURE_MIN, FIELD_ORDER, type Rows, rowsValid } from "../consensus/work/gradient.ts";

/** Every use of the hash, by the name its tag is derived from. */
export const DOMAINS = ["pod-id", "context", "nullifier", "data-tag", "content", "leaf", "node"] as const;
export type Domain = (typeof DOMAINS)[number];

const tags = new Map<Domain, bigint>();

/** The state that a domain's hashes start from. */
export function tagOf(domain: Domain): bigint {
  let tag = tags.get(domain);
  if (tag === undefined) {
    tag = bytesToNumberBE(sha256(utf8ToBytes(`zkp/circuits/${domain}`))) % FIELD_ORDER;
    tags.set(domain, tag);
  }
  return tag;
}

/** Partial rounds for 1, 2, 3, … 16 inputs: circomlib's table (Poseidon paper, table 2, rounded up). */
const PARTIAL_ROUNDS = [56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68];
const SPONGE_WIDTH = 16;
const ELEMENT_BITS = 252;

const field = Field(FIELD_ORDER);
const permutations = new Map<number, PoseidonFn>();

/** The permutation for so many inputs; its constants are generated on first use, in about 10 to 40 ms. */
function permutationOf(inputs: number): PoseidonFn {
  let permutation = permutations.get(inputs);
  if (permutation === undefined) {
    const roundsPartial = PARTIAL_ROUNDS[inputs - 1];
    invariant(roundsPartial !== undefined, "Poseidon takes 1 to 16 inputs");
    const options = { Fp: field, t: inputs + 1, roundsFull: 8, roundsPartial, sboxPower: 5 };
    permutation = poseidon({ ...options, ...grainGenConstants(options) });
    permutations.set(inputs, permutation);
  }
  return permutation;
}

/** `Hash(n, tag)` of gadgets/hash.circom. */
export function poseidonHash(tag: bigint, inputs: readonly bigint[]): bigint {
  const [digest] = permutationOf(inputs.length)([tag, ...inputs]);
  invariant(digest !== undefined, "a permutation has a first place");
  return digest;
}

/** `Sponge(n, tag)` of gadgets/hash.circom. */
function sponge(tag: bigint, elements: readonly bigint[]): bigint {
  const padded = (block: readonly bigint[]): bigint[] => [
    ...block,
    ...new Array<bigint>(SPONGE_WIDTH - block.length).fill(0n),
  ];
  let digest = poseidonHash(tag, padded(elements.slice(0, SPONGE_WIDTH)));
  for (let at = SPONGE_WIDTH; at < elements.length; at += SPONGE_WIDTH - 1) {
    digest = poseidonHash(tag, padded([digest, ...elements.slice(at, at + SPONGE_WIDTH - 1)]));
  }
  return digest;
}

/** The hash of a batch: values + 2^11 as one stream of 12 bits each, then the labels, in 252-bit elements. */
export function contentOf(rows: Rows): bigint {
  invariant(rowsValid(rows), "a batch's features have 12 bits and its labels are 0 or 1");
  const elements: bigint[] = [];
  let element = 0n;
  let bits = 0;
  const put = (value: number, width: number): void => {
    element |= BigInt(value) << BigInt(bits);
    bits += width;
    if (bits === ELEMENT_BITS) {
      elements.push(element);
      element = 0n;
      bits = 0;
    }
  };
  for (const value of rows.x) put(value - FEATURE_MIN, FEATURE_BITS);
  for (const label of rows.y) put(label, 1);
  if (bits > 0) elements.push(element);
  return sponge(tagOf("content") + BigInt(rows.y.length * 65536 + rows.features), elements);
}

/** A batch's leaf. `salt`: 128 random bits, one salt a batch, kept with the data. */
export function leafOf(content: bigint, salt: bigint): bigint {
  return poseidonHash(tagOf("leaf"), [content, salt]);
}

export type MerkleTree = {
  readonly root: bigint;
  /** The siblings of the leaf at `index`, from the bottom up: `depth` elements. */
  path(index: number): bigint[];
};

/** A tree of 2^depth leaves; those not given are 0, which no batch can hash to. */
export function merkleTree(leaves: readonly bigint[], depth: number): MerkleTree {
  invariant(leaves.length <= 2 ** depth, "a tree of this depth holds 2^depth leaves");
  const empty = [0n];
  const levels: (readonly bigint[])[] = [leaves];
  for (let level = 0; level < depth; level++) {
    const below = levels[level] ?? [];
    const missing = empty[level] ?? 0n;
    const above: bigint[] = [];
    for (let i = 0; i < below.length; i += 2) {
      above.push(poseidonHash(tagOf("node"), [below[i] ?? missing, below[i + 1] ?? missing]));
    }
    levels.push(above);
    empty.push(poseidonHash(tagOf("node"), [missing, missing]));
  }
  return {
    root: levels[depth]?.[0] ?? empty[depth] ?? 0n,
    path: (index) => {
      invariant(Number.isInteger(index) && index >= 0 && index < 2 ** depth, "an index is inside the tree");
      return Array.from({ length: depth }, (_, level) => {
        const sibling = (index >> level) ^ 1;
        return levels[level]?.[sibling] ?? empty[level] ?? 0n;
      });
    },
  };
}

/** A pod's public id; `secret` is a uniformly random field element. */
export function podIdOf(secret: bigint): bigint {
  return poseidonHash(tagOf("pod-id"), [secret]);
}

export type Drawn = {
  readonly secret: bigint;
  readonly task: bigint;
  readonly epoch: number | bigint;
  readonly batchIndex: number;
};

/** The nullifier of a drawn batch: one for a (pod, task, epoch, batch). */
export function nullifierOf({ secret, task, epoch, batchIndex }: Drawn): bigint {
  const context = poseidonHash(tagOf("context"), [task, BigInt(epoch), podIdOf(secret)]);
  return poseidonHash(tagOf("nullifier"), [secret, context, BigInt(batchIndex)]);
}

/** The tag of a batch in a round: the same whoever proves it, unlinkable across rounds. */
export function dataTagOf(content: bigint, task: bigint, epoch: number | bigint): bigint {
  return poseidonHash(tagOf("data-tag"), [content, task, BigInt(epoch)]);
}

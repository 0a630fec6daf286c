/**
 * The two SSZ roots of submissions, that of all bytes and that of all but the signature, for many submissions at a
 * time. They share nearly all of their trees: the second is the first with nothing in the signature's place. And the
 * hasher takes a hundred blocks in one call for little more than it takes one. Used by submission.ts; tests hold it
 * equal to the library's roots.
 */
import { hashInto, zeroHash } from "@chainsafe/persistent-merkle-tree";
import { OUTPUTS_MAX } from "./outputs.ts";

const CHUNK = 32;
const BLOCK = 2 * CHUNK;
/** Of the outputs' tree, above its leaves. */
const DEPTH = Math.ceil(Math.log2(OUTPUTS_MAX));
/** Leaves that are hashed at once, those of the largest submission at least: 64 KiB. */
const LEAVES_AT_ONCE = 2 ** DEPTH;
const AT_ONCE = 32;

export type Hashed = {
  readonly task: Uint8Array;
  readonly epoch: number;
  readonly slot: number;
  readonly podId: Uint8Array;
  readonly inputsHash: Uint8Array;
  readonly outputs: Uint8Array;
  readonly proof: Uint8Array;
  readonly signature: Uint8Array;
};
export type SubmissionRoots = { readonly content: Uint8Array; readonly unsigned: Uint8Array };

const leaves = new Uint8Array(CHUNK * LEAVES_AT_ONCE);
const blocks = new Uint8Array(5 * BLOCK * AT_ONCE);
const chunks = new Uint8Array(5 * CHUNK * AT_ONCE);
const tops = new Uint8Array(CHUNK * AT_ONCE);

/** Of any number, each of any number of outputs. */
export function rootsOfAll(submissions: readonly Hashed[]): SubmissionRoots[] {
  const roots: SubmissionRoots[] = [];
  for (let from = 0; from < submissions.length; ) {
    const first = submissions[from];
    if (first === undefined) break;
    const { length } = first.outputs;
    if (length % CHUNK !== 0 || length > CHUNK * OUTPUTS_MAX)
      throw new RangeError(`${length} bytes are no outputs`);
    const width = 2 ** Math.ceil(Math.log2(Math.max(1, length / CHUNK)));
    const most = Math.min(AT_ONCE, LEAVES_AT_ONCE / width);
    let to = from + 1;
    while (to - from < most && submissions[to]?.outputs.length === length) to += 1;
    hashAlike(submissions.slice(from, to), width, roots);
    from = to;
  }
  return roots;
}

/** Puts a byte string of this length, as SSZ has it, into its place. */
function put(into: Uint8Array, at: number, value: Uint8Array, length: number): void {
  if (value.length !== length) throw new RangeError(`${value.length} bytes are not ${length}`);
  into.set(value, at);
}
function putNumber(into: Uint8Array, at: number, value: number): void {
  into.fill(0, at, at + CHUNK);
  for (let i = at, rest = value; rest > 0; i++, rest = Math.floor(rest / 256)) into[i] = rest % 256;
}

/** One level of trees: so many blocks of `from` become as many chunks of `into`, which may be where they were. */
const level = (from: Uint8Array, into: Uint8Array, count: number): void =>
  hashInto(from.subarray(0, BLOCK * count), into.subarray(0, CHUNK * count));

/** The roots of all outputs, which are `width` leaves each, into `tops`. */
function hashOutputs(submissions: readonly Hashed[], width: number): void {
  const count = submissions.length;
  leaves.fill(0, 0, CHUNK * width * count);
  for (const [i, { outputs }] of submissions.entries()) leaves.set(outputs, CHUNK * width * i);
  let height = 0;
  for (let each = width; each > 1; each /= 2, height++) level(leaves, leaves, (count * each) / 2);
  tops.set(leaves.subarray(0, CHUNK * count));
  for (; height < DEPTH; height++) {
    const zero = zeroHash(height);
    for (let i = 0; i < count; i++) {
      blocks.set(tops.subarray(CHUNK * i, CHUNK * (i + 1)), BLOCK * i);
      blocks.set(zero, BLOCK * i + CHUNK);
    }
    level(blocks, tops, count);
  }
  for (const [i, { outputs }] of submissions.entries()) {
    blocks.set(tops.subarray(CHUNK * i, CHUNK * (i + 1)), BLOCK * i);
    putNumber(blocks, BLOCK * i + CHUNK, outputs.length / CHUNK);
  }
  level(blocks, tops, count);
}

/** Of submissions with as many outputs each; the eight fields are the leaves of three levels. */
function hashAlike(submissions: readonly Hashed[], width: number, roots: SubmissionRoots[]): void {
  const count = submissions.length;
  hashOutputs(submissions, width);
  for (const [i, { task, epoch, slot, podId, proof, signature }] of submissions.entries()) {
    const at = 5 * BLOCK * i;
    put(blocks, at, proof, 2 * BLOCK);
    put(blocks, at + 2 * BLOCK, signature, BLOCK);
    put(blocks, at + 3 * BLOCK, task, CHUNK);
    putNumber(blocks, at + 3 * BLOCK + CHUNK, epoch);
    putNumber(blocks, at + 4 * BLOCK, slot);
    put(blocks, at + 4 * BLOCK + CHUNK, podId, CHUNK);
  }
  level(blocks, chunks, 5 * count);
  // proof, proof, signature, task and epoch, slot and pod: the signature's root waits in the second buffer.
  for (const [i, { inputsHash }] of submissions.entries()) {
    const [at, from] = [3 * BLOCK * i, 5 * CHUNK * i];
    blocks.set(chunks.subarray(from, from + BLOCK), at);
    blocks.set(chunks.subarray(from + 3 * CHUNK, from + 5 * CHUNK), at + BLOCK);
    put(blocks, at + 2 * BLOCK, inputsHash, CHUNK);
    blocks.set(tops.subarray(CHUNK * i, CHUNK * (i + 1)), at + 2 * BLOCK + CHUNK);
    tops.set(chunks.subarray(from + 2 * CHUNK, from + 3 * CHUNK), CHUNK * i);
  }
  level(blocks, chunks, 3 * count);
  // The proof beside its signature, and beside none.
  for (let i = 0; i < count; i++) {
    const [at, from] = [2 * BLOCK * i, 3 * CHUNK * i];
    const proof = chunks.subarray(from, from + CHUNK);
    blocks.set(proof, at);
    blocks.set(tops.subarray(CHUNK * i, CHUNK * (i + 1)), at + CHUNK);
    blocks.set(proof, at + BLOCK);
    blocks.fill(0, at + BLOCK + CHUNK, at + 2 * BLOCK);
  }
  level(blocks, leaves, 2 * count);
  for (let side = 0; side < 2; side++) {
    for (let i = 0; i < count; i++) {
      const at = BLOCK * (2 * i + side);
      blocks.set(chunks.subarray(CHUNK * (3 * i + 2), CHUNK * (3 * i + 3)), at);
      blocks.set(leaves.subarray(CHUNK * (2 * i + side), CHUNK * (2 * i + side + 1)), at + CHUNK);
    }
  }
  level(blocks, leaves, 2 * count);
  for (let i = 0; i < 2 * count; i++) {
    const left = CHUNK * (3 * (i >> 1) + 1);
    blocks.set(chunks.subarray(left, left + CHUNK), BLOCK * i);
    blocks.set(leaves.subarray(CHUNK * i, CHUNK * (i + 1)), BLOCK * i + CHUNK);
  }
  level(blocks, leaves, 2 * count);
  for (let i = 0; i < count; i++) {
    const at = BLOCK * i;
    roots.push({ content: leaves.slice(at, at + CHUNK), unsigned: leaves.slice(at + CHUNK, at + BLOCK) });
  }
}

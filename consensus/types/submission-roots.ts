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

/** One piece of memory: what moves within it needs no view of its own. */
const LEAVES = 0;
const BLOCKS = LEAVES + CHUNK * LEAVES_AT_ONCE;
const CHUNKS = BLOCKS + 5 * BLOCK * AT_ONCE;
const TOPS = CHUNKS + 5 * CHUNK * AT_ONCE;
const memory = new Uint8Array(TOPS + CHUNK * AT_ONCE);
const words = new Uint32Array(memory.buffer);

/** Moves a chunk. */
function move(to: number, from: number): void {
  const target = to >> 2;
  const source = from >> 2;
  for (let i = 0; i < CHUNK >> 2; i++) words[target + i] = words[source + i] ?? 0;
}
function clear(at: number): void {
  for (let i = at >> 2; i < (at + CHUNK) >> 2; i++) words[i] = 0;
}

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
function put(at: number, value: Uint8Array, length: number): void {
  if (value.length !== length) throw new RangeError(`${value.length} bytes are not ${length}`);
  memory.set(value, at);
}
function putNumber(at: number, value: number): void {
  clear(at);
  for (let i = at, rest = value; rest > 0; i++, rest = Math.floor(rest / 256)) memory[i] = rest % 256;
}

/** One level of trees: so many blocks become as many chunks elsewhere, or where they were. */
const level = (from: number, into: number, count: number): void =>
  hashInto(memory.subarray(from, from + BLOCK * count), memory.subarray(into, into + CHUNK * count));

/** The roots of all outputs, which are `width` leaves each, to TOPS. */
function hashOutputs(submissions: readonly Hashed[], width: number): void {
  const count = submissions.length;
  memory.fill(0, LEAVES, LEAVES + CHUNK * width * count);
  for (let i = 0; i < count; i++) {
    const it = submissions[i];
    if (it !== undefined) memory.set(it.outputs, LEAVES + CHUNK * width * i);
  }
  let height = 0;
  for (let each = width; each > 1; each /= 2, height++) level(LEAVES, LEAVES, (count * each) / 2);
  for (let i = 0; i < count; i++) move(TOPS + CHUNK * i, LEAVES + CHUNK * i);
  for (; height < DEPTH; height++) {
    const zero = zeroHash(height);
    for (let i = 0; i < count; i++) {
      move(BLOCKS + BLOCK * i, TOPS + CHUNK * i);
      memory.set(zero, BLOCKS + BLOCK * i + CHUNK);
    }
    level(BLOCKS, TOPS, count);
  }
  for (let i = 0; i < count; i++) {
    move(BLOCKS + BLOCK * i, TOPS + CHUNK * i);
    putNumber(BLOCKS + BLOCK * i + CHUNK, (submissions[i]?.outputs.length ?? 0) / CHUNK);
  }
  level(BLOCKS, TOPS, count);
}

/** Of submissions with as many outputs each; the eight fields are the leaves of three levels. */
function hashAlike(submissions: readonly Hashed[], width: number, roots: SubmissionRoots[]): void {
  const count = submissions.length;
  hashOutputs(submissions, width);
  // By places and not by iterators, whose pairs would be the larger part of what this leaves to the collector.
  for (let i = 0; i < count; i++) {
    const it = submissions[i];
    if (it === undefined) break;
    const at = BLOCKS + 5 * BLOCK * i;
    put(at, it.proof, 2 * BLOCK);
    put(at + 2 * BLOCK, it.signature, BLOCK);
    put(at + 3 * BLOCK, it.task, CHUNK);
    putNumber(at + 3 * BLOCK + CHUNK, it.epoch);
    putNumber(at + 4 * BLOCK, it.slot);
    put(at + 4 * BLOCK + CHUNK, it.podId, CHUNK);
  }
  level(BLOCKS, CHUNKS, 5 * count);
  // Two halves of the proof, the signature, task and epoch, slot and pod. The signature's root waits with the leaves.
  for (let i = 0; i < count; i++) {
    const it = submissions[i];
    if (it === undefined) break;
    const at = BLOCKS + 3 * BLOCK * i;
    const from = CHUNKS + 5 * CHUNK * i;
    move(at, from);
    move(at + CHUNK, from + CHUNK);
    move(at + BLOCK, from + 3 * CHUNK);
    move(at + BLOCK + CHUNK, from + 4 * CHUNK);
    put(at + 2 * BLOCK, it.inputsHash, CHUNK);
    move(at + 2 * BLOCK + CHUNK, TOPS + CHUNK * i);
    move(LEAVES + CHUNK * i, from + 2 * CHUNK);
  }
  level(BLOCKS, CHUNKS, 3 * count);
  // The proof beside its signature, and beside none; then behind inputsHash and outputs, then behind the first four.
  for (let i = 0; i < count; i++) {
    const at = BLOCKS + 2 * BLOCK * i;
    const from = CHUNKS + 3 * CHUNK * i;
    move(at, from);
    move(at + CHUNK, LEAVES + CHUNK * i);
    move(at + BLOCK, from);
    clear(at + BLOCK + CHUNK);
  }
  level(BLOCKS, LEAVES, 2 * count);
  for (const before of [2, 1]) {
    for (let i = 0; i < 2 * count; i++) {
      move(BLOCKS + BLOCK * i, CHUNKS + CHUNK * (3 * (i >> 1) + before));
      move(BLOCKS + BLOCK * i + CHUNK, LEAVES + CHUNK * i);
    }
    level(BLOCKS, LEAVES, 2 * count);
  }
  for (let i = 0; i < count; i++) {
    const at = LEAVES + BLOCK * i;
    roots.push({ content: memory.slice(at, at + CHUNK), unsigned: memory.slice(at + CHUNK, at + BLOCK) });
  }
}

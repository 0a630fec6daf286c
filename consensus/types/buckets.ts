/**
 * A map's buckets: SSZ's vector of lists, with the same encoding and the same roots. Empty buckets are one node,
 * and so is each range of nothing else, whose root is known. Of a map with 65,536 buckets for accounts nearly all
 * are empty for years; the library makes three nodes of each, 20 MB that every full collection looks through.
 */
import { BranchNode, type Node } from "@chainsafe/persistent-merkle-tree";
import { type ByteViews, type ListCompositeType, VectorCompositeType } from "@chainsafe/ssz";
import { invariant } from "../primitives/faults.ts";
import type { Fields, StructType } from "./struct.ts";

/** SSZ's offset in front of each part whose size varies. */
export const OFFSET_BYTES = 4;

export class BucketsType<F extends Fields> extends VectorCompositeType<ListCompositeType<StructType<F>>> {
  /** By height: an empty bucket, two of them, four, … */
  readonly #empty: readonly Node[];

  constructor(bucket: ListCompositeType<StructType<F>>, length: number) {
    super(bucket, length);
    invariant(length === 2 ** this.chunkDepth, "a map's buckets are a power of two");
    const empty = [bucket.value_toTree([])];
    for (const node of empty) if (empty.length <= this.chunkDepth) empty.push(new BranchNode(node, node));
    // A tree's roots are gathered before they are hashed: one without a root would be gathered once for each bucket.
    for (const node of empty) void node.rootHashObject;
    this.#empty = empty;
  }

  /** Throws on whatever the library's vector throws on. */
  override tree_deserializeFromBytes(data: ByteViews, start: number, end: number): Node {
    const offsets = this.#offsets(data, start, end);
    const tree = (height: number, bucket: number): Node => {
      const [from, to] = [offsets[bucket] ?? 0, offsets[bucket + 2 ** height] ?? 0];
      const empty = this.#empty[height];
      if (from === to && empty !== undefined) return empty;
      if (height === 0) return this.elementType.tree_deserializeFromBytes(data, start + from, start + to);
      const half = height - 1;
      return new BranchNode(tree(half, bucket), tree(half, bucket + 2 ** half));
    };
    return tree(this.chunkDepth, 0);
  }

  /** Where each bucket begins, from `start`, and where the last one ends. */
  #offsets({ dataView }: ByteViews, start: number, end: number): Float64Array {
    const size = end - start;
    const offsets = new Float64Array(this.length + 1).fill(size);
    if (size < OFFSET_BYTES * this.length) throw new RangeError(`${size} bytes are too few for the offsets`);
    for (let i = 0, least = 0; i < this.length; i++) {
      const offset = dataView.getUint32(start + OFFSET_BYTES * i, true);
      const fits = i === 0 ? offset === OFFSET_BYTES * this.length : offset >= least && offset <= size;
      if (!fits) throw new RangeError(`bucket ${i} cannot begin at byte ${offset} of ${size}`);
      offsets[i] = least = offset;
    }
    return offsets;
  }
}

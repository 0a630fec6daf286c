/**
 * A map's buckets: SSZ's vector of lists, with the same encoding and the same roots. Empty buckets are one node,
 * and so is each range of nothing else, whose root is known. Of a map with 65,536 buckets for accounts nearly all
 * are empty for years; the library makes three nodes of each, 20 MB that every full collection looks through.
 */
import { BranchNode, type Node } from "@chainsafe/persistent-merkle-tree";
import { type ByteViews, type ListCompositeType, VectorCompositeType } from "@chainsafe/ssz";
import { invariant } from "../primitives/faults.ts";
import type { Fields, StructType } from "./struct.ts";

export class BucketsType<F extends Fields> extends VectorCompositeType<ListCompositeType<StructType<F>>> {
  /** By height: an empty bucket, two of them, four, … */
  readonly #empty: readonly Node[];

  constructor(bucket: ListCompositeType<StructType<F>>, length: number) {
    super(bucket, length);
    invariant(length === 2 ** this.chunkDepth, "a map's buckets are a power of two");
    const empty = [bucket.value_toTree([])];
    for (const node of empty) if (empty.length <= this.chunkDepth) empty.push(new BranchNode(node, node));
    // A tree's roots are gathered before they are hashed: one without a root would be gathered once for each bucket.
    for (const node of empty) node.applyHash(node.rootHashObject);
    this.#empty = empty;
  }

  override tree_deserializeFromBytes(data: ByteViews, start: number, end: number): Node {
    return this.#shared(super.tree_deserializeFromBytes(data, start, end), this.chunkDepth);
  }

  #shared(node: Node, height: number): Node {
    const [empty, half] = [this.#empty[height], this.#empty[height - 1]];
    if (empty === undefined) return node;
    if (half === undefined) return this.elementType.tree_getLength(node) === 0 ? empty : node;
    const [left, right] = [this.#shared(node.left, height - 1), this.#shared(node.right, height - 1)];
    if (left === half && right === half) return empty;
    return left === node.left && right === node.right ? node : new BranchNode(left, right);
  }
}

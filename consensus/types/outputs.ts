/**
 * A submission's public outputs: SSZ's `List[Bytes32, OUTPUTS_MAX]`, its encoding and its roots, held as the one byte
 * string that it is encoded as. A dozen arrays for each submission were the larger part of what it left to the
 * collector. Used by submission.ts.
 */
import {
  BranchNode,
  digest64Into,
  LeafNode,
  merkleizeBlocksBytes,
  type Node,
} from "@chainsafe/persistent-merkle-tree";
import { ByteListType, type ByteViews } from "@chainsafe/ssz";

/** Values in a model or a gradient, with its bias. */
export const VALUES_MAX = 1024;
export const OUTPUTS_MAX = VALUES_MAX + 8;
const BYTES = 32;

/** The library's list of bytes, whose length in the tree is in bytes; here it is the number of outputs. */
class OutputsType extends ByteListType {
  constructor() {
    super(BYTES * OUTPUTS_MAX, { typeName: `List[Bytes32, ${OUTPUTS_MAX}]` });
  }

  protected override assertValidSize(size: number): void {
    super.assertValidSize(size);
    if (size % BYTES !== 0) throw new RangeError(`${size} bytes are no whole outputs`);
  }

  override hashTreeRootFromBytesInto(
    data: Uint8Array,
    start: number,
    end: number,
    output: Uint8Array,
    offset: number,
  ): void {
    this.assertValidSize(end - start);
    const blocks = new Uint8Array(2 * BYTES * Math.ceil((end - start) / (2 * BYTES)));
    blocks.set(data.subarray(start, end));
    const top = new Uint8Array(BYTES);
    merkleizeBlocksBytes(blocks, OUTPUTS_MAX, top, 0);
    digest64Into(top, lengthChunk((end - start) / BYTES), output.subarray(offset, offset + BYTES));
  }

  override tree_getByteLen(node?: Node): number {
    return BYTES * super.tree_getByteLen(node);
  }
  override tree_serializedSize(node: Node): number {
    return BYTES * super.tree_serializedSize(node);
  }
  override tree_serializeToBytes(output: ByteViews, offset: number, node: Node): number {
    return super.tree_serializeToBytes(output, offset, withLength(node, this.tree_serializedSize(node)));
  }
  override tree_deserializeFromBytes(data: ByteViews, start: number, end: number): Node {
    return withLength(super.tree_deserializeFromBytes(data, start, end), (end - start) / BYTES);
  }
}

const withLength = (node: Node, length: number): Node =>
  new BranchNode(node.left, LeafNode.fromUint32(length));

function lengthChunk(length: number): Uint8Array {
  const chunk = new Uint8Array(BYTES);
  for (let i = 0, rest = length; rest > 0; i++, rest >>= 8) chunk[i] = rest & 0xff;
  return chunk;
}

export const outputsType = new OutputsType();

/** Output `i`, a view; zero where there is none. */
export function outputAt(outputs: Uint8Array, i: number): Uint8Array {
  const output = outputs.subarray(BYTES * i, BYTES * (i + 1));
  return output.length === BYTES ? output : new Uint8Array(BYTES);
}

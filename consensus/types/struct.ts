/**
 * Small records of the state's tree, each a single node that holds its value. As the library's own
 * ContainerNodeStructType, with the same encoding and the same roots; but a root is made of the value itself,
 * where the library builds the record's whole tree for it and throws it away.
 */
import { LeafNode, type Node } from "@chainsafe/persistent-merkle-tree";
import { BranchNodeStruct, type ByteViews, ContainerNodeStructType, type Type } from "@chainsafe/ssz";

export type Fields = Record<string, Type<unknown>>;
type Value<F extends Fields> = ReturnType<ContainerNodeStructType<F>["tree_toValue"]>;

class StructNode<F extends Fields> extends BranchNodeStruct<Value<F>> {
  readonly #type: StructType<F>;

  constructor(type: StructType<F>, value: Value<F>) {
    super((it) => type.treeOf(it), value);
    this.#type = type;
  }

  override get rootHashObject() {
    // What the library has in a node without a root, whatever its type says.
    if ((this.h0 as number | null) === null)
      this.applyHash(LeafNode.fromRoot(this.#type.hashTreeRoot(this.value)));
    return this;
  }
}

/** A value goes into the tree as it is: nobody changes it afterwards. */
export class StructType<F extends Fields> extends ContainerNodeStructType<F> {
  /** For branches into a record. */
  treeOf(value: Value<F>): Node {
    return super.value_toTree(value);
  }

  override value_toTree(value: Value<F>): Node {
    return new StructNode(this, value);
  }

  override tree_deserializeFromBytes(data: ByteViews, start: number, end: number): Node {
    return new StructNode(this, this.value_deserializeFromBytes(data, start, end));
  }
}

/** Records of the state as single nodes: encoding, roots and branches are those of the library's plain containers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Tree } from "@chainsafe/persistent-merkle-tree";
import { ByteListType, ContainerType, ListCompositeType } from "@chainsafe/ssz";
import fc from "fast-check";
import { Bytes20, Bytes32, bigint64, bigint128, uint16, uint64 } from "../../../consensus/types/ssz.ts";
import { StructType } from "../../../consensus/types/struct.ts";

const fields = {
  small: uint16,
  large: uint64,
  id: Bytes32,
  address: Bytes20,
  amount: bigint64,
  sum: bigint128,
  bytes: new ByteListType(1_024),
};
const plain = new ContainerType(fields);
const struct = new StructType(fields);
const fixed = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const values = fc.record(
  {
    small: fc.integer({ min: 0, max: 65_535 }),
    large: fc.maxSafeNat(),
    id: fixed(32),
    address: fixed(20),
    amount: fc.bigInt(0n, 2n ** 64n - 1n),
    sum: fc.bigInt(0n, 2n ** 128n - 1n),
    bytes: fc.uint8Array({ maxLength: 200 }),
  },
  { noNullPrototype: true },
);

test("a record has the root of its tree, whether it was made, read or changed", () => {
  fc.assert(
    fc.property(values, values, (value, other) => {
      const root = plain.hashTreeRoot(value);
      const bytes = plain.serialize(value);
      assert.deepEqual(struct.serialize(value), bytes);
      const view = struct.toViewDU(value);
      assert.deepEqual(view.hashTreeRoot(), root);
      assert.deepEqual(view.serialize(), bytes);
      assert.deepEqual(struct.deserializeToViewDU(bytes).hashTreeRoot(), root);
      view.small = other.small;
      view.bytes = other.bytes;
      const changed = { ...value, small: other.small, bytes: other.bytes };
      assert.deepEqual(view.hashTreeRoot(), plain.hashTreeRoot(changed));
      assert.deepEqual(view.toValue(), changed);
    }),
    { numRuns: 50 },
  );
});

test("a list of records has the root and the branches of one of trees", () => {
  fc.assert(
    fc.property(fc.array(values, { minLength: 1, maxLength: 9 }), values, (all, last) => {
      const [plainList, structList] = [new ListCompositeType(plain, 64), new ListCompositeType(struct, 64)];
      const view = structList.toViewDU(all);
      assert.deepEqual(view.hashTreeRoot(), plainList.hashTreeRoot(all));
      view.push(struct.toViewDU(last));
      const roots = plainList.toViewDU([...all, last]);
      assert.deepEqual(view.hashTreeRoot(), roots.hashTreeRoot());
      // The third field of the first record: 64 records below the left child of the root, eight leaves each.
      const field = ((2n * 64n) << 3n) | 2n;
      const branch = (node: typeof view.node) => new Tree(node).getSingleProof(field);
      assert.deepEqual(branch(view.node), branch(roots.node));
    }),
    { numRuns: 25 },
  );
});

/** Buckets of which the empty ones are one node: encoding, roots and branches are those of the library's vector. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Node, Tree } from "@chainsafe/persistent-merkle-tree";
import { ListCompositeType, VectorCompositeType } from "@chainsafe/ssz";
import fc from "fast-check";
import { BucketsType } from "../../../consensus/types/buckets.ts";
import { uint16 } from "../../../consensus/types/ssz.ts";
import { StructType } from "../../../consensus/types/struct.ts";

const BUCKETS = 64;
const bucket = new ListCompositeType(new StructType({ key: uint16, value: uint16 }), 16);
const plain = new VectorCompositeType(bucket, BUCKETS);
const shared = new BucketsType(bucket, BUCKETS);

const entry = fc.record({ key: fc.nat(65_535), value: fc.nat(65_535) }, { noNullPrototype: true });
/** Entries, and which buckets they go to. */
const entries = fc.array(fc.tuple(fc.nat(BUCKETS - 1), entry), { maxLength: 12 });
type Entries = [number, { key: number; value: number }][];

const filled = (of: Entries): Entries[number][1][][] =>
  Array.from({ length: BUCKETS }, (_, at) => of.flatMap(([i, it]) => (i === at ? [it] : [])));

function nodesOf(root: Node): number {
  const seen = new Set<Node>();
  const look = (node: Node): void => {
    if (seen.has(node)) return;
    seen.add(node);
    if (node.isLeaf()) return;
    look(node.left);
    look(node.right);
  };
  look(root);
  return seen.size;
}

test("buckets have the vector's bytes, roots and branches, however they were made", () => {
  fc.assert(
    fc.property(entries, entries, fc.nat(BUCKETS - 1), (some, more, at) => {
      const [before, after] = [filled(some), filled([...some, ...more])];
      const bytes = plain.serialize(before);
      assert.deepEqual(shared.serialize(before), bytes);
      for (const view of [shared.toViewDU(before), shared.deserializeToViewDU(bytes)]) {
        assert.deepEqual(view.hashTreeRoot(), plain.hashTreeRoot(before));
        assert.deepEqual(view.serialize(), bytes);
        for (const [i, it] of more) view.get(i).push(bucket.elementType.toViewDU(it));
        view.commit();
        assert.deepEqual(view.hashTreeRoot(), plain.hashTreeRoot(after));
        assert.deepEqual(view.serialize(), plain.serialize(after));
        const gindex = BigInt(BUCKETS + at);
        assert.deepEqual(
          new Tree(view.node).getSingleProof(gindex),
          new Tree(plain.toViewDU(after).node).getSingleProof(gindex),
        );
      }
    }),
    { numRuns: 60 },
  );
});

test("what one bucket gets, the empty ones beside it do not", () => {
  const view = shared.defaultViewDU();
  view.get(5).push(bucket.elementType.toViewDU({ key: 1, value: 2 }));
  view.commit();
  assert.deepEqual(view.toValue(), filled([[5, { key: 1, value: 2 }]]));
  assert.deepEqual(shared.defaultViewDU().toValue(), filled([]));
});

test("a map costs nodes for what is in it, and not for its buckets", () => {
  const height = Math.log2(BUCKETS);
  // One a height, the list's length, and those of an empty list's limit.
  const { node } = new BucketsType(bucket, BUCKETS).defaultViewDU();
  const empty = nodesOf(node);
  assert.ok(empty <= 2 * height + 4, `${empty} nodes`);
  assert.notEqual(node.h0, null, "its root is known before anybody asks");
  const one = shared.deserializeToViewDU(plain.serialize(filled([[9, { key: 1, value: 2 }]])));
  const own = nodesOf(one.node) - empty;
  assert.ok(own <= 2 * height + 8, `${own} nodes more`);
});

test("bytes that the vector refuses are refused, and what it takes has its root", () => {
  const good = plain.serialize(
    filled([
      [9, { key: 1, value: 2 }],
      [40, { key: 3, value: 4 }],
    ]),
  );
  const alike = (bytes: Uint8Array): void => {
    let root: Uint8Array | undefined;
    try {
      root = plain.deserializeToViewDU(bytes).hashTreeRoot();
    } catch {
      assert.throws(() => shared.deserializeToViewDU(bytes));
      return;
    }
    assert.deepEqual(shared.deserializeToViewDU(bytes).hashTreeRoot(), root);
  };
  for (let length = 0; length <= good.length + 4; length++) {
    const bytes = new Uint8Array(length);
    bytes.set(good.subarray(0, length));
    alike(bytes);
  }
  // A bucket that goes back again, and one past the end, between two that are empty.
  for (const [at, offset] of [
    [20, 260],
    [20, 255],
    [20, 9_999],
    [0, 0],
    [0, 252],
    [0, 260],
    [63, 264],
  ]) {
    const bytes = Uint8Array.from(good);
    new DataView(bytes.buffer).setUint32(4 * (at ?? 0), offset ?? 0, true);
    alike(bytes);
  }
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
      const bytes = Uint8Array.from(good);
      bytes[at] = byte;
      alike(bytes);
    }),
    { numRuns: 200 },
  );
});

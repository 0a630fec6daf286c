/** The circuits' hashes, natively: domains, batches, trees. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { poseidon1, poseidon2, poseidon3, poseidon16 } from "poseidon-lite";
import {
  contentOf,
  DOMAINS,
  dataTagOf,
  leafOf,
  merkleTree,
  nullifierOf,
  podIdOf,
  poseidonHash,
  tagOf,
} from "../../../circuits/hash.ts";
import { FIELD_ORDER, type Rows } from "../../../consensus/work/gradient.ts";

const source = readFileSync(new URL("../../../circuits/gadgets/hash.circom", import.meta.url), "utf8");

test("the circuit holds the same domain tags, and no others", () => {
  const written = [...source.matchAll(/function TAG_(\w+)\(\) \{\s*return (\d+);/g)];
  assert.deepEqual(
    written.map(([, name = "", value = ""]) => [name.toLowerCase().replaceAll("_", "-"), BigInt(value)]),
    DOMAINS.map((domain) => [domain, tagOf(domain)]),
  );
});

test("domain tags are large and distinct", () => {
  const tags = DOMAINS.map(tagOf);
  assert.equal(new Set(tags).size, DOMAINS.length);
  for (const tag of tags) assert.ok(tag > 2n ** 200n && tag < FIELD_ORDER);
});

test("from the state 0 the permutation is the Poseidon that everybody knows", () => {
  const inputs = Array.from({ length: 16 }, (_, i) => BigInt(i) ** 40n);
  assert.equal(poseidonHash(0n, inputs.slice(3, 4)), poseidon1(inputs.slice(3, 4)));
  assert.equal(poseidonHash(0n, inputs.slice(0, 2)), poseidon2(inputs.slice(0, 2)));
  assert.equal(poseidonHash(0n, inputs.slice(0, 3)), poseidon3(inputs.slice(0, 3)));
  assert.equal(poseidonHash(0n, inputs), poseidon16(inputs));
});

test("one changed bit of a batch changes its content", () => {
  const rows: Rows = { features: 2, x: Int16Array.from([0, 1, -2048, 2047]), y: Uint8Array.from([0, 1]) };
  const contents = new Set([contentOf(rows)]);
  for (let i = 0; i < rows.x.length; i++) {
    contents.add(contentOf({ ...rows, x: rows.x.with(i, (rows.x[i] ?? 0) ^ 1) }));
  }
  contents.add(contentOf({ ...rows, y: Uint8Array.from([1, 1]) }));
  contents.add(contentOf({ ...rows, y: Uint8Array.from([0, 0]) }));
  assert.equal(contents.size, 1 + 4 + 2);
});

test("the same bits in another shape are another content", () => {
  const y = Uint8Array.from([1, 0]);
  const wide: Rows = { features: 2, x: Int16Array.from([1, 2, 3, 4]), y };
  const flat: Rows = { features: 4, x: Int16Array.from([1, 2, 3, 4]), y: Uint8Array.from([1]) };
  assert.notEqual(contentOf(wide), contentOf(flat));
});

test("a batch out of range has no content", () => {
  const y = Uint8Array.from([1]);
  assert.throws(() => contentOf({ features: 1, x: Int16Array.from([2048]), y }));
  assert.throws(() => contentOf({ features: 1, x: Int16Array.from([0]), y: Uint8Array.from([2]) }));
});

test("a path leads from every leaf to the root", () => {
  const leaves = [11n, 12n, 13n, 14n, 15n];
  const tree = merkleTree(leaves, 4);
  for (let index = 0; index < 16; index++) {
    let node = leaves[index] ?? 0n;
    for (const [level, sibling] of tree.path(index).entries()) {
      const children = (index >> level) % 2 === 0 ? [node, sibling] : [sibling, node];
      node = poseidonHash(tagOf("node"), children);
    }
    assert.equal(node, tree.root);
  }
  assert.throws(() => tree.path(16));
  assert.throws(() => tree.path(-1));
  assert.throws(() => merkleTree(new Array<bigint>(17).fill(1n), 4));
});

test("the root depends on every leaf and its place", () => {
  const roots = [[], [1n], [0n, 1n], [1n, 2n], [2n, 1n], [1n, 2n, 3n]].map((l) => merkleTree(l, 10).root);
  assert.equal(new Set(roots).size, roots.length);
});

test("a nullifier depends on pod, task, epoch and batch, a data tag on content, task and epoch", () => {
  const drawn = { secret: 1n, task: 2n, epoch: 3, batchIndex: 4 };
  const nullifiers = [
    drawn,
    { ...drawn, secret: 5n },
    { ...drawn, task: 5n },
    { ...drawn, epoch: 5 },
    { ...drawn, batchIndex: 5 },
  ].map(nullifierOf);
  assert.equal(new Set(nullifiers).size, 5);
  assert.equal(
    new Set([dataTagOf(1n, 2n, 3), dataTagOf(4n, 2n, 3), dataTagOf(1n, 4n, 3), dataTagOf(1n, 2n, 4)]).size,
    4,
  );
  assert.notEqual(podIdOf(1n), podIdOf(2n));
  assert.notEqual(leafOf(1n, 2n), leafOf(1n, 3n));
});

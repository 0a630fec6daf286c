/** Units, bytes, hashes, draws, Merkle trees and BLS: the edges of each. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  aggregateSignatures,
  verifyAggregate,
  verifyAggregates,
  verifySignature,
} from "../../../consensus/primitives/bls.ts";
import {
  bigintToBytes,
  bytesToBigint,
  compareBytes,
  equalBytes,
  fromHex,
  nameOf,
  toHex,
} from "../../../consensus/primitives/bytes.ts";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { createDraw, drawWithout, hash, hashAfter } from "../../../consensus/primitives/hash.ts";
import {
  merkleBranch,
  merkleLevels,
  merkleRoot,
  verifyBranch,
} from "../../../consensus/primitives/merkle.ts";
import {
  Amount,
  add,
  formatZkp,
  Height,
  parseZkp,
  share,
  subtract,
  zkp,
} from "../../../consensus/primitives/units.ts";
import { blsSecretKey } from "../../../node/keys.ts";

describe("amounts", () => {
  test("never wrap, never go below zero", () => {
    const most = Amount(2n ** 64n - 1n);
    assert.throws(() => add(most, Amount(1n)));
    assert.throws(() => subtract(Amount(1n), Amount(2n)));
    assert.throws(() => Amount(2n ** 64n));
    assert.throws(() => Amount(-1n));
    assert.throws(() => Height(2 ** 53));
    assert.throws(() => Height(0.5));
    assert.equal(share(most, 2n ** 64n, 2n ** 64n), most);
    assert.throws(() => share(most, 1n, 0n));
  });

  test("are read and written as ZKP without loss", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 9_999_999_999_999_999_999n), (value) => {
        assert.equal(parseZkp(formatZkp(value).replace(" ZKP", "")), value);
      }),
    );
    assert.equal(formatZkp(zkp(12)), "12 ZKP");
    assert.equal(formatZkp(1n), "0.000000001 ZKP");
    assert.equal(parseZkp("12.5"), 12_500_000_000n);
    for (const text of [
      "",
      ".",
      "1.",
      ".5",
      "-1",
      "1e3",
      "1,5",
      " 1",
      "1.0000000001",
      "0x1",
      "12345678901",
    ]) {
      assert.throws(() => parseZkp(text), FaultError);
    }
  });
});

describe("bytes", () => {
  test("are read from strict hex only", () => {
    assert.deepEqual(fromHex("0xaB01"), Uint8Array.of(0xab, 1));
    for (const text of ["ab", "0xa", "0xg0", "0x ", "", "0X00"])
      assert.throws(() => fromHex(text), FaultError);
    assert.throws(() => fromHex("0x00", 2), FaultError);
    fc.assert(fc.property(fc.uint8Array(), (it) => assert.deepEqual(fromHex(toHex(it)), it)));
  });

  test("have a name that no other 32 bytes have, and that their places and memory don't matter to", () => {
    const names = new Set<string>();
    const zero = new Uint8Array(32);
    names.add(nameOf(zero));
    // Each byte and each bit of it counts.
    for (let bit = 0; bit < 256; bit++) names.add(nameOf(zero.with(bit >> 3, 1 << (bit & 7))));
    assert.equal(names.size, 257);
    const thirtyTwo = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(thirtyTwo, thirtyTwo, (a, b) => {
        assert.equal(nameOf(a) === nameOf(b), equalBytes(a, b));
        assert.equal(nameOf(Uint8Array.from([7, ...a, 9]).subarray(1, 33)), nameOf(a));
        assert.equal(equalBytes(a, a.slice()), true);
      }),
    );
    assert.equal(nameOf(Uint8Array.of(1, 2)), "0x0102");
  });

  test("are ordered like hex and turned into numbers and back", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        const expected = toHex(a) < toHex(b) ? -1 : toHex(a) > toHex(b) ? 1 : 0;
        assert.equal(Math.sign(compareBytes(a, b)), expected);
        assert.equal(equalBytes(a, b), expected === 0);
        assert.deepEqual(bigintToBytes(bytesToBigint(a), a.length), a);
      }),
    );
    assert.throws(() => bigintToBytes(256n, 1), RangeError);
    assert.throws(() => bigintToBytes(-1n, 1), RangeError);
  });
});

describe("a draw", () => {
  const seed = new Uint8Array(32).fill(3);

  test("is uniform below its bound, and the same for the same seed", () => {
    const counts = new Array<number>(7).fill(0);
    const draw = createDraw("draw-slots", seed);
    const again = createDraw("draw-slots", seed);
    for (let i = 0; i < 7_000; i++) {
      const value = draw.below(7);
      assert.equal(again.below(7), value);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    const chiSquared = counts.reduce((total, count) => total + (count - 1_000) ** 2 / 1_000, 0);
    assert.ok(chiSquared < 22.5, `χ² ${chiSquared} of 6 degrees`);
  });

  test("takes bounds from 1 to 2^32 and no others", () => {
    const draw = createDraw("draw-slots", seed);
    assert.equal(draw.below(1), 0);
    assert.ok(draw.below(2 ** 32) < 2 ** 32);
    assert.ok(draw.below(2 ** 31 + 1) <= 2 ** 31);
    for (const bound of [0, -1, 0.5, 2 ** 32 + 1, Number.NaN])
      assert.throws(() => draw.below(bound), RangeError);
  });

  test("of some from many gives distinct ones, all if there are too few", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(200), (n, count) => {
        const drawn = drawWithout(createDraw("draw-slots", seed), n, count);
        assert.equal(drawn.length, Math.min(n, count));
        assert.equal(new Set(drawn).size, drawn.length);
        assert.ok(drawn.every((it) => it >= 0 && it < n));
      }),
    );
  });

  test("of another domain is another one", () => {
    assert.notEqual(
      createDraw("draw-slots", seed).below(2 ** 32),
      createDraw("draw-batch", seed).below(2 ** 32),
    );
    assert.notDeepEqual(hash("task", seed), hash("vote", seed));
  });

  test("of what many messages begin with is the hash of the whole, whatever came before", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 3 }),
        fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 4 }),
        (first, lasts) => {
          const hashOf = hashAfter("inputs", ...first);
          const digests = lasts.map((last) => hashOf(last));
          assert.deepEqual(
            digests,
            lasts.map((last) => hash("inputs", ...first, last)),
          );
        },
      ),
    );
  });
});

describe("a Merkle branch", () => {
  const leaf = (i: number): Uint8Array => hash("holdout-leaf", Uint8Array.of(i));

  test("verifies for every leaf at its own place and nowhere else", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 16 }), fc.nat(15), fc.nat(15), (count, at, other) => {
        const levels = merkleLevels(
          Array.from({ length: count }, (_, i) => leaf(i)),
          4,
        );
        const index = at % count;
        const branch = merkleBranch(levels, index);
        const root = merkleRoot(levels);
        assert.equal(branch.length, 4);
        assert.ok(verifyBranch(root, leaf(index), index, branch));
        if (other !== index) assert.ok(!verifyBranch(root, leaf(index), other, branch));
        assert.ok(!verifyBranch(root, leaf(index), index + 16, branch));
        assert.ok(!verifyBranch(root, leaf(index), -1, branch));
        assert.ok(!verifyBranch(root, leaf(index), index, branch.slice(1)));
        assert.ok(!verifyBranch(root, leaf(99), index, branch));
      }),
    );
  });

  test("of a node does not pass for a leaf's", () => {
    const levels = merkleLevels([leaf(0), leaf(1), leaf(2), leaf(3)], 2);
    const [inner] = levels[1] ?? [];
    assert.ok(inner !== undefined);
    assert.notDeepEqual(hash("holdout-leaf", leaf(0), leaf(1)), inner);
  });

  test("needs a tree that is deep enough", () => {
    assert.throws(() => merkleLevels([leaf(0), leaf(1), leaf(2)], 1), RangeError);
    assert.deepEqual(merkleBranch(merkleLevels([], 1), 0), [new Uint8Array(32)]);
  });
});

describe("BLS", () => {
  const secrets = [1, 2, 3].map((fill) => blsSecretKey(new Uint8Array(32).fill(fill)));
  const keys = secrets.map((secret) => secret.toPublicKey().toBytes());
  const message = new Uint8Array(32).fill(5);
  const signatures = secrets.map((secret) => secret.sign(message).toBytes());
  const [key = new Uint8Array(48), second = key] = keys;
  const [signature = new Uint8Array(96)] = signatures;

  test("verifies one and many, and answers false to anything malformed", () => {
    assert.ok(verifySignature(message, key, signature));
    assert.ok(!verifySignature(message, second, signature));
    const sum = aggregateSignatures(signatures);
    assert.ok(sum !== undefined && verifyAggregate(message, keys, sum));
    assert.ok(!verifyAggregate(message, keys.slice(1), sum));
    assert.ok(!verifyAggregate(message, [], sum));
    for (const bad of [
      new Uint8Array(96),
      new Uint8Array(95),
      new Uint8Array(96).fill(255),
      new Uint8Array(0),
    ]) {
      assert.ok(!verifySignature(message, key, bad));
      assert.equal(aggregateSignatures([signature, bad]), undefined);
    }
    for (const bad of [new Uint8Array(48), new Uint8Array(48).fill(255), new Uint8Array(0)]) {
      assert.ok(!verifySignature(message, bad, signature));
    }
  });

  test("what is on the curve and outside the group spoils every sum that it is in", () => {
    const outside = Array.from({ length: 32 }, (_, x) => {
      const bytes = new Uint8Array(96);
      [bytes[0], bytes[95]] = [0x80, x];
      return bytes;
    }).find((bytes) => aggregateSignatures([bytes]) !== undefined);
    assert.ok(outside !== undefined, "half of all small x are on the curve, and hardly one in the group");
    assert.ok(!verifySignature(message, key, outside));
    const sum = aggregateSignatures([...signatures, outside]);
    assert.ok(sum !== undefined);
    assert.ok(!verifyAggregate(message, keys, sum));
    assert.ok(!verifyAggregate(message, [...keys, key], sum));
    assert.ok(!verifyAggregates([{ message, keys, signature: sum }]));
    const good = { message, keys, signature: aggregateSignatures(signatures) ?? sum };
    assert.ok(verifyAggregates([good, good]));
    assert.ok(!verifyAggregates([good, { message, keys, signature: sum }]));
  });

  test("verifies several together exactly when each alone does", () => {
    const sum = aggregateSignatures(signatures) ?? new Uint8Array(96);
    const other = new Uint8Array(32).fill(6);
    const good = [
      { message, keys, signature: sum },
      { message: other, keys: [second], signature: secrets[1]?.sign(other).toBytes() ?? sum },
    ];
    const infinity = new Uint8Array(96);
    infinity[0] = 0xc0;
    const negated = key.slice();
    negated[0] = (negated[0] ?? 0) ^ 0x20;
    const bad = [
      { message: other, keys, signature: sum },
      { message, keys: keys.slice(1), signature: sum },
      { message, keys: [], signature: sum },
      { message, keys: [key], signature: infinity },
      // Keys that cancel each other, with the signature of nobody.
      { message, keys: [key, negated], signature: infinity },
      { message, keys: [new Uint8Array(48)], signature: sum },
      { message, keys, signature: new Uint8Array(96).fill(255) },
    ];
    assert.ok(verifyAggregates([]));
    assert.ok(verifyAggregates(good));
    for (const [i, it] of bad.entries()) {
      assert.ok(!verifyAggregate(it.message, it.keys, it.signature), `${i} alone`);
      assert.ok(!verifyAggregates([it]), `${i} alone`);
      assert.ok(!verifyAggregates([...good, it]), `${i} last`);
      assert.ok(!verifyAggregates([it, ...good]), `${i} first`);
    }
    // Two wrong signatures whose errors cancel each other in a sum.
    const [first, then] = good;
    assert.ok(first !== undefined && then !== undefined);
    const swapped = [
      { ...first, signature: then.signature },
      { ...then, signature: first.signature },
    ];
    assert.ok(!verifyAggregates(swapped));
  });

  test("takes the point at infinity neither as key nor as signature", () => {
    const infinityKey = new Uint8Array(48);
    infinityKey[0] = 0xc0;
    const infinity = new Uint8Array(96);
    infinity[0] = 0xc0;
    assert.ok(!verifySignature(message, infinityKey, infinity));
    assert.ok(!verifySignature(message, key, infinity));
  });
});

/** The SDK's BLS gives the node's verdicts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as blst from "../../../consensus/primitives/bls.ts";
import { verifyAggregate } from "../../../pod/light.ts";
import { person } from "../state/chain.ts";

test("noble and blst agree about sums, missing signers, other messages and points that are none", () => {
  const message = new Uint8Array(32).fill(3);
  const keys = [1, 2, 3].map((i) => person(i).blsKey);
  const sum = blst.aggregateSignatures([1, 2, 3].map((i) => person(i).bls.sign(message).toBytes()));
  assert.ok(sum !== undefined);
  const infinity = new Uint8Array(48);
  infinity[0] = 0xc0;
  const cases: [Uint8Array, Uint8Array[], Uint8Array][] = [
    [message, keys, sum],
    [message, keys.slice(1), sum],
    [message, [], sum],
    [new Uint8Array(32), keys, sum],
    [message, keys, new Uint8Array(96)],
    [message, keys, new Uint8Array(96).fill(255)],
    [message, [...keys, infinity], sum],
    [message, [...keys, new Uint8Array(48)], sum],
  ];
  const verdicts = cases.map(([m, k, s]) => [verifyAggregate(m, k, s), blst.verifyAggregate(m, k, s)]);
  assert.deepEqual(verdicts, [[true, true], ...cases.slice(1).map(() => [false, false])]);
});

/** What a peer may cost: false objects are paid for, honest peers never pay. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fault } from "../../../consensus/primitives/faults.ts";
import { createBuckets } from "../../../node/buckets.ts";
import { createRelayLimits } from "../../../node/relay-limits.ts";

function open() {
  const clock = { ms: 0 };
  const blamed: string[] = [];
  const limits = createRelayLimits({
    network: { blame: (peer) => blamed.push(peer) },
    nowMs: () => clock.ms,
  });
  return { clock, blamed, limits };
}
const FALSE_PROOF = fault("submission/proof-invalid");

test("a peer that relays false proofs is not listened to for a while, and one beside it is", () => {
  const { clock, blamed, limits } = open();
  for (let i = 0; i < 5; i++) {
    assert.ok(limits.mayRelay("liar"));
    limits.onRejected("liar", FALSE_PROOF);
  }
  assert.equal(limits.mayRelay("liar"), false);
  assert.equal(limits.mayRelay("honest"), true);
  clock.ms = 1_000;
  assert.equal(limits.mayRelay("liar"), true);
  assert.deepEqual(blamed, []);
});

test("a peer that goes on while it is not listened to is cut off, and again if it comes back unchanged", () => {
  const { clock, blamed, limits } = open();
  for (let i = 0; i < 5; i++) limits.onRejected("liar", FALSE_PROOF);
  for (let i = 0; blamed.length === 0 && i < 1_000; i++) limits.mayRelay("liar");
  assert.deepEqual(blamed, ["liar"]);
  clock.ms = 10_000;
  for (let i = 0; blamed.length === 1 && i < 200; i++) limits.mayRelay("liar");
  assert.deepEqual(blamed, ["liar", "liar"]);
  clock.ms = 61_000;
  assert.equal(limits.mayRelay("liar"), true, "in the end it is forgiven");
});

test("a clock that ticks between any two looks at it does not save a liar", () => {
  const blamed: string[] = [];
  let ms = 0;
  const limits = createRelayLimits({
    network: { blame: (peer) => blamed.push(peer) },
    nowMs: () => {
      ms += 0.001;
      return ms;
    },
  });
  for (let i = 0; i < 30; i++) limits.onRejected("liar", fault("submission/signature-invalid"));
  assert.ok(blamed.length > 0);
});

test("many false ones that were in hand at once do not keep a peer away longer", () => {
  const { clock, blamed, limits } = open();
  for (let i = 0; i < 64; i++) limits.onRejected("liar", FALSE_PROOF);
  assert.ok(blamed.every((it) => it === "liar") && blamed.length > 0);
  clock.ms = 50_001;
  assert.equal(limits.mayRelay("liar"), true);
});

test("a peer that sends faster than anybody needs is cut off, even if all of it is only late", () => {
  const { clock, blamed, limits } = open();
  for (let i = 0; i < 20_000; i++) {
    clock.ms += 1; // a thousand a second
    assert.ok(limits.mayRelay("honest"));
  }
  for (let i = 0; blamed.length === 0 && i < 20_000; i++) limits.mayRelay("flooder");
  assert.deepEqual(blamed, ["flooder"]);
  assert.ok(limits.mayRelay("honest"));
});

test("buckets of more keys than may be remembered take the place of the oldest", () => {
  const buckets = createBuckets({ leakPerSecond: 1, nowMs: () => 0 });
  buckets.add("first", 5);
  for (let i = 0; i < 10_000; i++) buckets.add(`key ${i}`, 1);
  assert.equal(buckets.size(), 4_096);
  assert.equal(buckets.level("first"), 0);
  assert.equal(buckets.level("key 9999"), 1);
});

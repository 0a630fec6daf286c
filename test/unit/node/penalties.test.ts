/** What a peer may do on its streams: limits are kept by peer, and forgiven in time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createPenalties } from "../../../node/network/penalties.ts";

function open() {
  const clock = { ms: 0 };
  return { clock, penalties: createPenalties({ nowMs: () => clock.ms }) };
}

test("the third strike is one too many, and minutes make up for one", () => {
  const { clock, penalties } = open();
  assert.deepEqual(
    [1, 2, 3].map(() => penalties.strike("clumsy")),
    [false, false, true],
  );
  assert.equal(penalties.strike("other"), false);
  clock.ms = 130_000;
  assert.equal(penalties.strike("clumsy"), false, "two of three are forgotten");
});

test("who was refused is let in again after ten seconds", () => {
  const { clock, penalties } = open();
  penalties.refuse("liar");
  assert.ok(penalties.isRefused("liar"));
  clock.ms = 10_000;
  assert.equal(penalties.isRefused("liar"), false);
});

test("a validator that this node does not know yet is never cut off", () => {
  const { clock, penalties } = open();
  // Ten views a second: two votes and two certificates each, and every fourth proposal, of half a megabyte.
  for (let view = 0; view < 600; view++) {
    for (let i = 0; i < 4; i++) assert.equal(penalties.isTooMuchUnseated("unknown", 300), false);
    if (view % 4 === 0) assert.equal(penalties.isTooMuchUnseated("unknown", 512 * 1024), false);
    clock.ms += 100;
  }
});

test("who shouts without a seat is cut off, by messages or by bytes", () => {
  const { penalties } = open();
  let messages = 0;
  while (!penalties.isTooMuchUnseated("shouter", 100)) messages++;
  assert.ok(messages > 1_500 && messages < 2_500);
  let proposals = 0;
  while (!penalties.isTooMuchUnseated("giant", 2 * 1024 * 1024)) proposals++;
  assert.ok(proposals > 10 && proposals < 20);
});

test("of one peer eight answers are under way, others have their own, and places come back", async () => {
  const { penalties } = open();
  const gates: (() => void)[] = [];
  const reply = Uint8Array.of(1);
  const slow = () => new Promise<Uint8Array>((resolve) => gates.push(() => resolve(reply)));
  const asked = Array.from({ length: 9 }, () => penalties.answering("eager", slow));
  assert.equal(await asked[8], undefined);
  const other = penalties.answering("other", slow);
  assert.equal(gates.length, 9);
  for (const answer of gates) answer();
  assert.deepEqual(await Promise.all([...asked.slice(0, 8), other]), Array(9).fill(reply));
  const failing = () => Promise.reject(new Error("disk on fire"));
  for (let i = 0; i < 20; i++) await assert.rejects(penalties.answering("eager", failing));
  assert.equal(await penalties.answering("eager", async () => reply), reply);
});

test("a peer that asks on and on is answered a hundred times a second", async () => {
  const { clock, penalties } = open();
  const answered = async (): Promise<number> => {
    let count = 0;
    while ((await penalties.answering("eager", async () => Uint8Array.of(1))) !== undefined) count++;
    return count;
  };
  assert.equal(await answered(), 256);
  clock.ms = 1_000;
  assert.equal(await answered(), 100);
});

test("what a peer is answered counts by its bytes: a snapshot at once, 32 MiB a second after it", async () => {
  const { clock, penalties } = open();
  const large = new Uint8Array(2 * 1024 * 1024);
  const answered = async (): Promise<number> => {
    let count = 0;
    while ((await penalties.answering("greedy", async () => large)) !== undefined) count++;
    return count;
  };
  assert.equal(await answered(), 160);
  assert.equal(await penalties.answering("other", async () => large), large);
  clock.ms = 1_000;
  assert.equal(await answered(), 16);
});

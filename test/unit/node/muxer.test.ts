/** yamux that gathers what it grants: nothing is lost, nobody waits, and what must leave at once does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FrameHeader } from "@libp2p/yamux";
import { createKey, libp2pKey } from "../../../node/keys.ts";
import { createHost } from "../../../node/network/host.ts";
import { gatherGrants } from "../../../node/network/muxer.ts";
import { until } from "./samples.ts";

const [DATA, GRANT, PING] = [0, 1, 2];
const [OPENS, CLOSES, RESETS] = [1, 4, 8];
const KIB = 1024;
const HELD_MAX = 64 * KIB;

function open() {
  const sent: FrameHeader[] = [];
  const send = gatherGrants((header) => sent.push(header) > 0);
  const grant = (streamID: number, length: number, flag = 0): boolean =>
    send({ type: GRANT, flag, streamID, length });
  const granted = (streamID: number): number =>
    sent
      .filter((it) => it.type === GRANT && it.streamID === streamID)
      .reduce((sum, it) => sum + it.length, 0);
  return { sent, send, grant, granted };
}

test("small grants of a stream leave as one, and none of it is lost", () => {
  const { sent, grant, granted } = open();
  let taken = 0;
  for (let i = 0; i < 5_000; i++) {
    const length = 1 + ((i * 7919) % 700);
    grant(3, length);
    taken += length;
    assert.ok(granted(3) <= taken, "nothing is granted that was not taken");
    assert.ok(taken - granted(3) < HELD_MAX, "a sender lacks a quarter of the least window at most");
  }
  assert.ok(sent.length <= taken / HELD_MAX);
  grant(5, HELD_MAX);
  assert.equal(granted(5), HELD_MAX, "a large one leaves by itself");
});

test("what opens or closes a stream leaves at once, with what was held; a reset grants nothing", () => {
  const { sent, grant, granted } = open();
  grant(1, 0, OPENS);
  assert.equal(sent.length, 1);
  grant(1, 10);
  grant(1, 5, CLOSES);
  assert.deepEqual(sent.at(-1), { type: GRANT, flag: CLOSES, streamID: 1, length: 15 });
  grant(1, HELD_MAX - 1);
  assert.equal(granted(1), 15, "and it counts anew");
  grant(1, 0, RESETS);
  assert.deepEqual(sent.at(-1), { type: GRANT, flag: RESETS, streamID: 1, length: 0 });
});

test("data and pings pass as they are, and hold nothing up", () => {
  const { sent, send, grant } = open();
  grant(1, 10);
  const frames = [
    { type: DATA, flag: 0, streamID: 1, length: 7 },
    { type: PING, flag: OPENS, streamID: 0, length: 99 },
  ];
  for (const frame of frames) send(frame);
  assert.deepEqual(sent, frames);
});

test("of many streams the oldest gets what is its own: what is held has a bound", () => {
  const { sent, grant } = open();
  for (let stream = 1; stream <= 1_024; stream++) grant(stream, stream);
  assert.deepEqual(sent, []);
  grant(2_000, 1);
  assert.deepEqual(sent, [{ type: GRANT, flag: 0, streamID: 1, length: 1 }]);
});

test("between hosts many times the window passes, in small pieces and large ones", async (t) => {
  const hosts = await Promise.all(
    [0, 1].map(async () =>
      createHost({
        listen: "/ip4/127.0.0.1/tcp/0",
        privateKey: await libp2pKey(createKey("network").seed),
        isRefused: () => false,
      }),
    ),
  );
  t.after(() => Promise.all(hosts.map(async (host) => host.stop())));
  const [here, there] = hosts;
  assert.ok(here !== undefined && there !== undefined);
  let received = 0;
  await there.handle("/test/1", (stream) => {
    stream.addEventListener("message", ({ data }) => {
      received += data.byteLength;
    });
  });
  for (const host of hosts) await host.start();
  const stream = await here.dialProtocol(there.getMultiaddrs(), "/test/1");
  let sent = 0;
  for (let i = 0; i < 600; i++) {
    const bytes = i % 10 === 0 ? 40 * KIB : 300;
    sent += bytes;
    if (!stream.send(new Uint8Array(bytes))) await stream.onDrain();
  }
  await until(() => received === sent, "all of it");
});

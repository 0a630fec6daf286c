/** Noise in one piece: byte for byte what the library's own says and hears, however it is cut, and nothing forged. */
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { concatBytes } from "../../../consensus/primitives/bytes.ts";
import { createKey, libp2pKey } from "../../../node/keys.ts";
import { createHost } from "../../../node/network/host.ts";
import { createMessageDecoder } from "../../../node/network/secure.ts";
import { until } from "./samples.ts";

const KIB = 1024;
const LISTEN = "/ip4/127.0.0.1/tcp/0";
const filled = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i * 7919);
const framed = (message: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(message.length >> 8, message.length & 0xff), message);

test("messages come out whole and in order however the bytes are cut, and empty ones not at all", () => {
  const lengths = [1, 2, 0, 255, 256, 257, 65_535, 3, 0, 700, 65_000, 1];
  const whole = concatBytes(...lengths.map((length) => framed(filled(length))));
  for (const cut of [1, 2, 3, 7, 1_000, 65_536, 65_537, whole.length]) {
    const before = cut === 3 ? 1 : 0;
    const decoder = createMessageDecoder(whole.subarray(0, before));
    const messages: Uint8Array[] = [];
    for (let at = before; at < whole.length; at += cut)
      messages.push(...decoder.decode(whole.subarray(at, at + cut)).map((it) => new Uint8Array(it)));
    assert.deepEqual(messages, lengths.filter((length) => length > 0).map(filled), `cut to ${cut}`);
  }
});

async function plainHost() {
  return createLibp2p({
    privateKey: await libp2pKey(createKey("network").seed),
    addresses: { listen: [LISTEN] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  });
}
async function ownHost() {
  const privateKey = await libp2pKey(createKey("network").seed);
  const host = await createHost({ listen: LISTEN, privateKey, isRefused: () => false });
  await host.start();
  return host;
}
type AnyHost = Awaited<ReturnType<typeof plainHost>> | Awaited<ReturnType<typeof ownHost>>;

/** What `there` hears of one stream. */
async function hearing(there: AnyHost): Promise<() => Uint8Array> {
  const parts: Uint8Array[] = [];
  await there.handle("/test/1", (stream) => {
    stream.addEventListener("message", ({ data }) => void parts.push(data.subarray().slice()));
  });
  return () => concatBytes(...parts);
}

/** Around where the cipher changes and where a message is full. */
const LENGTHS = [1, 500, 570, 588, 589, 600, 1_200, 17_000, 65_490, 65_507, 65_508, 65_519, 65_520, 140_000];

for (const [name, makeHere, makeThere] of [
  ["the library's own hears it", ownHost, plainHost],
  ["it hears the library's own", plainHost, ownHost],
  ["it hears itself", ownHost, ownHost],
] as const) {
  test(`${name}, messages of all lengths`, async (t) => {
    const [here, there] = [await makeHere(), await makeThere()];
    t.after(() => Promise.all([here.stop(), there.stop()]));
    const heard = await hearing(there);
    const stream = await here.dialProtocol(there.getMultiaddrs(), "/test/1");
    for (const length of LENGTHS) if (!stream.send(filled(length))) await stream.onDrain();
    const all = concatBytes(...LENGTHS.map(filled));
    await until(() => heard().length === all.length, "all of it");
    assert.deepEqual(heard(), all);
  });
}

/** Between two hosts; changes one byte of what passes once it is told to. */
async function meddler(t: TestContext, port: number) {
  let meddles = false;
  const server = createServer((from) => {
    const to = connect(port, "127.0.0.1");
    t.after(() => [from, to].map((it) => it.destroy()));
    to.pipe(from);
    for (const it of [from, to]) it.on("error", () => it.destroy());
    from.on("data", (chunk: Buffer) => {
      if (meddles) chunk[chunk.length - 1] = (chunk.at(-1) ?? 0) ^ 1;
      to.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => void server.close());
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return {
    port: address.port,
    meddle(): void {
      meddles = true;
    },
  };
}

for (const length of [100, 5_000]) {
  test(`a changed byte of ${length} ends the connection, and nothing of it is heard`, async (t) => {
    const [here, there] = [await ownHost(), await ownHost()];
    t.after(() => Promise.all([here.stop(), there.stop()]));
    const heard = await hearing(there);
    const [address] = there.getMultiaddrs();
    assert.ok(address);
    const port = Number(address.getComponents().find(({ name }) => name === "tcp")?.value);
    const between = await meddler(t, port);
    const target = multiaddr(`/ip4/127.0.0.1/tcp/${between.port}/p2p/${there.peerId.toString()}`);
    const stream = await here.dialProtocol(target, "/test/1");
    stream.send(filled(10 * KIB));
    await until(() => heard().length === 10 * KIB, "what nobody changed");
    between.meddle();
    stream.send(filled(length));
    await until(() => there.getConnections().length === 0, "the end of the connection");
    assert.equal(heard().length, 10 * KIB);
  });
}

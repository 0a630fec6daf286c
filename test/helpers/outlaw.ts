/** A peer that speaks gossipsub and holds to nothing else: it sends what it likes, as fast as it likes. */
import { RPC } from "@libp2p/gossipsub/message";
import { createKey, type Key, libp2pKey } from "../../node/keys.ts";
import { createHost, type Host, parseTarget } from "../../node/network/host.ts";
import { encodeGossip, type GossipMessage, topicId } from "../../node/network/topics.ts";

const PROTOCOL = "/meshsub/1.2.0";

export type RawMessage = { readonly topic: string; readonly data: Uint8Array };
export type Outlaw = Awaited<ReturnType<typeof createOutlaw>>;

export const rawMessage = (chainId: string, message: GossipMessage): RawMessage => ({
  topic: topicId(chainId, message.topic),
  data: encodeGossip(message),
});

/** One envelope of the library's protocol: its length as a varint, then the messages. */
export function envelope(messages: readonly RawMessage[]): Uint8Array {
  const bytes = RPC.encode({ subscriptions: [], messages: messages.map((it) => ({ ...it })) });
  const length: number[] = [];
  let rest = bytes.length;
  for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128);
  const out = new Uint8Array(length.length + 1 + bytes.length);
  out.set([...length, rest]);
  out.set(bytes, length.length + 1);
  return out;
}

async function outlawHost(key: Key): Promise<Host> {
  const privateKey = await libp2pKey(key.seed);
  const host = await createHost({ listen: "/ip4/127.0.0.1/tcp/0", privateKey, isRefused: () => false });
  // Nobody is listened to who can't be answered.
  await host.handle(PROTOCOL, () => undefined);
  await host.start();
  return host;
}

/** Connects; throws if it is refused. */
export async function createOutlaw(address: string, key: Key = createKey("network")) {
  const host = await outlawHost(key);
  try {
    const connection = await host.dial(parseTarget(address).address, { signal: AbortSignal.timeout(5_000) });
    const stream = await connection.newStream(PROTOCOL, { signal: AbortSignal.timeout(5_000) });
    return {
      host,
      connection,
      stream,
      peerId: host.peerId.toString(),
      send: (messages: readonly RawMessage[]): boolean => stream.send(envelope(messages)),
      stop: () => host.stop(),
    };
  } catch (error) {
    await host.stop();
    throw error;
  }
}

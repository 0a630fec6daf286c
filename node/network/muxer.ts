/**
 * yamux that answers less: the library grants a sender the bytes of each frame again at once, in a message of
 * its own, which costs as much as the frame did. Here grants are gathered until they matter. Made by host.ts.
 */
import type { StreamMuxerFactory } from "@libp2p/interface";
import { type FrameHeader, type YamuxMuxerInit, yamux } from "@libp2p/yamux";

/** Bytes that a stream holds back at most: a quarter of the least window, so that a sender never waits for them. */
const HELD_BYTES_MAX = 64 * 1024;
/** Streams whose grants are held back; the oldest gets its own at the latest then. */
const STREAMS_MAX = 1024;
/** yamux' names for a frame that grants bytes, and for the flag of one that ends its stream. */
const WINDOW_UPDATE = 1;
const RESET = 8;

export type SendFrame = (header: FrameHeader, data?: unknown) => boolean;

/** In the place of a muxer's own function; what opens, closes or ends a stream passes at once. */
export function gatherGrants(send: SendFrame): SendFrame {
  const held = new Map<number, number>();
  return (header, data) => {
    const { type, flag, streamID, length } = header;
    if (type !== WINDOW_UPDATE) return send(header, data);
    const bytes = length + (held.get(streamID) ?? 0);
    held.delete(streamID);
    if ((flag & RESET) !== 0) return send(header, data);
    // Flags open a stream or close a half of it: others wait for them.
    if (flag !== 0 || bytes >= HELD_BYTES_MAX) return send({ ...header, length: bytes }, data);
    const [oldest] = held;
    if (held.size >= STREAMS_MAX && oldest !== undefined) {
      const [stream, itsBytes] = oldest;
      held.delete(stream);
      send({ type: WINDOW_UPDATE, flag: 0, streamID: stream, length: itsBytes });
    }
    held.set(streamID, bytes);
    return true;
  };
}

export function quietYamux(init: YamuxMuxerInit): () => StreamMuxerFactory {
  const create = yamux(init);
  return () => {
    const factory = create();
    const { createStreamMuxer } = factory;
    factory.createStreamMuxer = (connection) => {
      const muxer = createStreamMuxer.call(factory, connection);
      // Private by its type; streams take it from here when they are made, so it is replaced before any is.
      const frames = muxer as unknown as { sendFrame: SendFrame };
      frames.sendFrame = gatherGrants(frames.sendFrame.bind(muxer));
      return muxer;
    };
    return factory;
  };
}

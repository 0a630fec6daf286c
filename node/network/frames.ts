/**
 * Frames on a libp2p stream: four bytes of length, little-endian, then the message. Streams keep no
 * message borders, so that one chunk may hold many frames or a part of one. Used by network.ts for
 * what arrives, by channel.ts for what leaves.
 */
import type { Stream } from "@libp2p/interface";

const LENGTH_BYTES = 4;

export function encodeFrame(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(LENGTH_BYTES + message.length);
  new DataView(frame.buffer).setUint32(0, message.length, true);
  frame.set(message, LENGTH_BYTES);
  return frame;
}

export type FrameDecoder = {
  push(chunk: Uint8Array): void;
  /** The next whole message, copied; undefined if there is none yet; "oversized" from the first length above the limit on. */
  next(): Uint8Array | "oversized" | undefined;
};

export function createFrameDecoder(bytesMax: number): FrameDecoder {
  let chunks: Uint8Array[] = [];
  let length = 0;
  /** Makes the first chunk hold at least `count` bytes; called once a header and once a message, so joining is linear. */
  const gather = (count: number): Uint8Array | undefined => {
    if (length < count) return undefined;
    const [first] = chunks;
    if (first !== undefined && first.length >= count) return first;
    const joined = new Uint8Array(length);
    let offset = 0;
    for (const chunk of chunks) {
      joined.set(chunk, offset);
      offset += chunk.length;
    }
    chunks = [joined];
    return joined;
  };
  return {
    push(chunk) {
      if (chunk.length === 0) return;
      chunks.push(chunk);
      length += chunk.length;
    },
    next() {
      const header = gather(LENGTH_BYTES);
      if (header === undefined) return undefined;
      const size = new DataView(header.buffer, header.byteOffset, LENGTH_BYTES).getUint32(0, true);
      if (size > bytesMax) return "oversized";
      const whole = gather(LENGTH_BYTES + size);
      if (whole === undefined) return undefined;
      // Copied: a chunk may be a Buffer, whose slices share memory, and a message may outlive its chunk.
      const message = new Uint8Array(size);
      message.set(whole.subarray(LENGTH_BYTES, LENGTH_BYTES + size));
      const rest = whole.subarray(LENGTH_BYTES + size);
      if (rest.length > 0) chunks[0] = rest;
      else chunks.shift();
      length -= LENGTH_BYTES + size;
      return message;
    },
  };
}

export type ReadOptions = {
  readonly bytesMax: number;
  /** Messages whose handling may be under way; the stream is paused meanwhile, and the sender feels it. */
  readonly inFlightMax: number;
  /** False if the message is malformed. A promise holds one place in flight; it must not reject. */
  readonly onMessage: (message: Uint8Array) => boolean | Promise<void>;
  /** The stream is aborted; called once. */
  readonly onMisbehaviour: (reason: string) => void;
};

/** Reads frames until the stream ends. Whoever sends what is oversized or malformed loses the stream. */
export function readFrames(stream: Stream, options: ReadOptions): void {
  const decoder = createFrameDecoder(options.bytesMax);
  let inFlight = 0;
  let ended = false;
  const fail = (reason: string): void => {
    ended = true;
    stream.abort(new Error(reason));
    options.onMisbehaviour(reason);
  };
  const isOpen = (): boolean => !ended && stream.status === "open";
  const drain = (): void => {
    while (!ended && inFlight < options.inFlightMax) {
      const message = decoder.next();
      if (message === undefined) return;
      const handled = message === "oversized" ? false : options.onMessage(message);
      if (handled === false) {
        fail(message === "oversized" ? "oversized frame" : "malformed message");
        return;
      }
      if (handled === true) continue;
      inFlight += 1;
      void handled.finally(() => {
        inFlight -= 1;
        drain();
        if (isOpen() && inFlight < options.inFlightMax && stream.readStatus === "paused") stream.resume();
      });
    }
    if (isOpen() && inFlight >= options.inFlightMax && stream.readStatus === "readable") stream.pause();
  };
  stream.addEventListener("message", ({ data }) => {
    if (ended) return;
    decoder.push(data.subarray());
    drain();
  });
}

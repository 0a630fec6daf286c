/**
 * A stream whose small sends leave in one piece once the events at hand are dealt with. Each send by itself would
 * be a message of yamux and of noise and a call of the kernel, at both ends: for gossip, which comes in bursts and
 * whose library sends every message alone, that is more work than the messages are. Used by gossip-streams.ts.
 */
import type { Stream } from "@libp2p/interface";
import { concatBytes } from "../../consensus/primitives/bytes.ts";

/** What waits leaves at once from so many bytes on. */
const WAITING_BYTES_MAX = 64 * 1024;

type Sender = Pick<Stream, "send">;

/** `onRefused`: the stream took nothing; its close event tells everybody. */
export function gatherSends(stream: Sender, onRefused: (error: unknown) => void): void {
  const send = stream.send.bind(stream);
  let waiting: Parameters<Stream["send"]>[0][] = [];
  let waitingBytes = 0;
  const flush = (): void => {
    if (waiting.length === 0) return;
    const [first] = waiting;
    // What is sent to several peers is the same pieces: alone they are not joined for each.
    const piece =
      waiting.length === 1 && first !== undefined
        ? first
        : concatBytes(...waiting.map((data) => data.subarray()));
    waiting = [];
    waitingBytes = 0;
    try {
      send(piece);
    } catch (error) {
      onRefused(error);
    }
  };
  stream.send = (data) => {
    if (waiting.length === 0) setImmediate(flush);
    waiting.push(data);
    waitingBytes += data.byteLength;
    if (waitingBytes >= WAITING_BYTES_MAX) flush();
    return true;
  };
}

/**
 * One protocol's outbound stream to one connected peer: opened, kept open, opened again after a
 * failure, with a bounded queue in front. A full queue loses its oldest frame, which is counted: what
 * consensus must not lose it sends again by itself. Made by network.ts for each peer and protocol.
 */
import type { Stream } from "@libp2p/interface";
import type { Log } from "../log.ts";

/** libp2p queues without limit unless told otherwise; at most one frame is handed over while it is full. */
const WRITE_BUFFER_BYTES_MAX = 8 * 1024 * 1024;
const OPEN_TIMEOUT_MS = 5000;
const REOPEN_FIRST_MS = 50;
const REOPEN_MAX_MS = 2000;
/** A stream that lived this long was a good one: the next failure starts with a short wait again. */
const GOOD_STREAM_MS = 5000;

export type ChannelOptions = {
  readonly protocol: string;
  readonly framesMax: number;
  readonly bytesMax: number;
  /** Sent first on every new stream. */
  readonly greeting?: Uint8Array | undefined;
};

export type ChannelComponents = {
  readonly open: (protocol: string, signal: AbortSignal) => Promise<Stream>;
  /** A new stream, before anything is sent on it: for protocols whose answers come back on it. */
  readonly onStream?: (stream: Stream) => void;
  readonly onStreamLost?: () => void;
  readonly log: Log;
};

export type Channel = {
  /** Takes the frame; false if it cost an older one its place, or is larger than the whole queue. */
  send(frame: Uint8Array): boolean;
  /** Frames lost since the start. */
  dropped(): number;
  stop(): void;
};

export function createChannel(options: ChannelOptions, components: ChannelComponents): Channel {
  const { protocol, framesMax, bytesMax, greeting } = options;
  const { open, onStream, onStreamLost, log } = components;
  const stopped = new AbortController();
  const queue: Uint8Array[] = [];
  let queuedBytes = 0;
  let dropped = 0;
  let stream: Stream | undefined;
  let draining = false;
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;

  const flush = (): void => {
    while (stream !== undefined && stream.status === "open" && !draining && queue.length > 0) {
      const frame = queue.shift();
      if (frame === undefined) return;
      queuedBytes -= frame.length;
      write(stream, frame);
    }
  };
  const write = (to: Stream, frame: Uint8Array): void => {
    let more: boolean;
    try {
      more = to.send(frame);
    } catch (error) {
      log.debug({ protocol, error: String(error) }, "stream refused a frame"); // its close event follows
      return;
    }
    if (more) return;
    draining = true;
    to.onDrain({ signal: stopped.signal }).then(
      () => {
        if (to !== stream) return;
        draining = false;
        flush();
      },
      (error: unknown) => log.debug({ protocol, error: String(error) }, "stream ended while full"),
    );
  };
  const reopenLater = (): void => {
    if (stopped.signal.aborted) return;
    const waitMs = Math.min(REOPEN_MAX_MS, REOPEN_FIRST_MS * 2 ** Math.min(failures, 10));
    failures += 1;
    timer = setTimeout(() => void start(), waitMs);
  };
  const start = async (): Promise<void> => {
    try {
      const opened = await open(
        protocol,
        AbortSignal.any([stopped.signal, AbortSignal.timeout(OPEN_TIMEOUT_MS)]),
      );
      if (stopped.signal.aborted) {
        opened.abort(new Error("stopped"));
        return;
      }
      use(opened);
    } catch (error) {
      log.debug({ protocol, error: String(error) }, "stream cannot be opened");
      reopenLater();
    }
  };
  const use = (opened: Stream): void => {
    const openedMs = performance.now();
    opened.maxWriteBufferLength = WRITE_BUFFER_BYTES_MAX;
    opened.addEventListener("close", () => {
      if (stream !== opened) return;
      stream = undefined;
      draining = false;
      onStreamLost?.();
      if (performance.now() - openedMs > GOOD_STREAM_MS) failures = 0;
      reopenLater();
    });
    stream = opened;
    draining = false;
    onStream?.(opened);
    if (greeting !== undefined) write(opened, greeting);
    flush();
  };

  void start();
  return {
    send(frame) {
      if (stopped.signal.aborted) return false;
      if (frame.length > bytesMax) {
        dropped += 1;
        return false;
      }
      queue.push(frame);
      queuedBytes += frame.length;
      flush();
      let lost = 0;
      while (queue.length > framesMax || queuedBytes > bytesMax) {
        queuedBytes -= queue.shift()?.length ?? 0;
        lost += 1;
      }
      dropped += lost;
      return lost === 0;
    },
    dropped: () => dropped,
    stop() {
      stopped.abort();
      clearTimeout(timer);
      const last = stream;
      stream = undefined;
      last?.abort(new Error("stopped"));
    },
  };
}

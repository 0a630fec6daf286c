/**
 * LevelDB as the store wants it: opened with its errors named, plain bytes out, synced batches in, and
 * no write after a failed one. Used by store.ts only.
 */
import { ClassicLevel } from "classic-level";
import { FaultError } from "../../consensus/primitives/faults.ts";
import type { Range } from "./keys.ts";
import type { BatchOp } from "./ops.ts";

const CACHE_BYTES = 16 * 1024 * 1024;
/** Blocks are large: with LevelDB's 4 MiB it would rewrite tables every few of them. */
const WRITE_BUFFER_BYTES = 8 * 1024 * 1024;

export type Entry = readonly [key: string, value: Uint8Array];

export type Level = {
  /** Microseconds, from memory or the page cache. */
  get(key: string): Uint8Array | undefined;
  /** Everything in a range, ascending, a few entries in memory at a time. */
  scan(range: Range): AsyncGenerator<Entry>;
  entries(range: Range, limit: number): Promise<Entry[]>;
  keys(range: Range, limit: number): Promise<string[]>;
  /** Resolves when the batch is on disk. After a failure nothing more is written: what is on disk is unknown then. */
  commit(batch: readonly BatchOp[]): Promise<void>;
  close(): Promise<void>;
};

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;

/** Not Node's Buffer, which LevelDB gives: its slices would share memory where decoders mean a copy. */
const plain = (value: Uint8Array): Uint8Array =>
  new Uint8Array(value.buffer, value.byteOffset, value.byteLength);

/** Throws node/store-locked, node/store-corrupt, node/store-failed. */
export async function openLevel(dir: string): Promise<Level> {
  const db = new ClassicLevel<string, Uint8Array>(dir, {
    keyEncoding: "utf8",
    valueEncoding: "view",
    cacheSize: CACHE_BYTES,
    writeBufferSize: WRITE_BUFFER_BYTES,
  });
  const named = (error: unknown): unknown =>
    codeOf(error) === "LEVEL_CORRUPTION"
      ? new FaultError("node/store-corrupt", { folder: dir }, error)
      : error;
  const reading = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw named(error);
    }
  };
  try {
    await db.open();
  } catch (error) {
    const code = codeOf(error instanceof Error ? error.cause : undefined);
    if (code === "LEVEL_LOCKED") throw new FaultError("node/store-locked", { folder: dir }, error);
    if (code === "LEVEL_CORRUPTION") throw new FaultError("node/store-corrupt", { folder: dir }, error);
    throw new FaultError("node/store-failed", { folder: dir }, error);
  }
  let failure: FaultError | undefined;

  return {
    get(key) {
      try {
        const value = db.getSync(key);
        return value === undefined ? undefined : plain(value);
      } catch (error) {
        throw named(error);
      }
    },
    async *scan(range) {
      try {
        for await (const [key, value] of db.iterator(range)) yield [key, plain(value)];
      } catch (error) {
        throw named(error);
      }
    },
    entries: (range, limit) =>
      reading(async () =>
        (await db.iterator({ ...range, limit }).all()).map(([key, value]) => [key, plain(value)]),
      ),
    keys: (range, limit) => reading(() => db.keys({ ...range, limit }).all()),
    async commit(batch) {
      if (failure !== undefined) throw failure;
      try {
        // Put by put into the batch: a list of operations is copied twice on its way there.
        const chained = db.batch();
        for (const op of batch) {
          if (op.type === "put") chained.put(op.key, op.value);
          else chained.del(op.key);
        }
        await chained.write({ sync: true });
      } catch (error) {
        failure = new FaultError("node/store-failed", { folder: dir }, error);
        throw failure;
      }
    },
    close: () => db.close(),
  };
}

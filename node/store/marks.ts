/**
 * What the newest batches left on disk, so that nobody asks the disk: which blocks are there, and which of them are
 * not final. Both have a bound: beyond it a block is written again, and marks are read. Used by store.ts.
 */
import { heightOfMark, isBlockKey } from "./keys.ts";
import type { BatchOp } from "./ops.ts";

/** Newest blocks, by key. */
const BLOCKS_MAX = 512;
/** Marks of blocks that are not final: beyond that many nothing has been final for hours. */
const MARKS_MAX = 4_096;

export type Marks = ReturnType<typeof createMarks>;

/** `found`: all marks on disk; undefined if there are too many. */
export function createMarks(found: readonly string[] | undefined) {
  const blocks = new Set<string>();
  let marks: Map<number, Set<string>> | undefined = new Map();
  let count = 0;

  const mark = (height: number, key: string): void => {
    if (marks === undefined) return;
    const there = marks.get(height) ?? new Set<string>();
    if (there.has(key)) return;
    marks.set(height, there.add(key));
    count += 1;
    // Some would be forgotten otherwise: whoever asks reads them from now on.
    if (count > MARKS_MAX) marks = undefined;
  };
  const unmark = (height: number, key: string): void => {
    const there = marks?.get(height);
    if (there?.delete(key) !== true) return;
    count -= 1;
    if (there.size === 0) marks?.delete(height);
  };
  if (found === undefined) marks = undefined;
  for (const key of found ?? []) mark(heightOfMark(key) ?? 0, key);

  return {
    /** Whether a block is known to be on disk, by its key. */
    holds: (key: string): boolean => blocks.has(key),
    /** The marks at a height, by key; undefined if they must be read. */
    at: (height: number): readonly string[] | undefined =>
      marks === undefined ? undefined : [...(marks.get(height) ?? [])],
    /** A batch is on disk. */
    note(batch: readonly BatchOp[]): void {
      for (const { type, key } of batch) {
        if (isBlockKey(key)) {
          blocks.delete(key);
          if (type === "put") blocks.add(key);
        }
        const height = heightOfMark(key);
        if (height !== undefined) (type === "put" ? mark : unmark)(height, key);
      }
      for (const key of blocks) {
        if (blocks.size <= BLOCKS_MAX) break;
        blocks.delete(key);
      }
    },
  };
}

/** How many marks to look for at opening: one more than are kept. */
export const MARKS_READ_MAX = MARKS_MAX + 1;

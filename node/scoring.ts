/**
 * Scores the rounds of an epoch in a thread before the block that settles them comes: all that a score depends
 * on is there once a task's slices are open, blocks before the epoch's end. The transition asks {@link score}
 * with its own input and has the thread's answer if the very same input was scored there, else computes it: with
 * and without this file every state is the same. Made by node.ts, used by chain.ts and the proposer.
 */
import { createHash } from "node:crypto";
import { extname } from "node:path";
import { startThread, type Thread } from "../circuits/thread.ts";
import { toHex } from "../consensus/primitives/bytes.ts";
import { closePlace, type Params, placeInEpoch } from "../consensus/primitives/params.ts";
import { scoreInputOf } from "../consensus/state/settle-epoch.ts";
import type { State } from "../consensus/state/state.ts";
import { type Score, type ScoreInput, scoreRound } from "../consensus/work/score.ts";
import type { Log } from "./log.ts";
import { aTurn } from "./turns.ts";

/** Rounds of a few forks of an epoch; the oldest go. */
const SCORES_MAX = 64;
const WAITING_MAX = 64;
const SEEN_MAX = 256;

export type Scoring = ReturnType<typeof createScoring>;

export function createScoring({ log }: { readonly log: Log }) {
  const script = new URL(`./scoring-worker${extname(import.meta.filename)}`, import.meta.url);
  let thread: Thread<ScoreInput, Score> | undefined;
  /** By everything that the score depends on. */
  const scores = new Map<string, Score>();
  /** Rounds whose input was made, by their root in the state. */
  const seen = new Set<string>();
  const waiting: (() => ScoreInput | undefined)[] = [];
  let running = false;
  let stopped = false;
  const counts = { ahead: 0, computed: 0 };

  const run = async (): Promise<void> => {
    running = true;
    for (let next = waiting.shift(); next !== undefined && !stopped; next = waiting.shift()) {
      // A round's input takes a moment to make: other events in between.
      await aTurn();
      try {
        const input = next();
        if (input === undefined) continue;
        thread ??= startThread<ScoreInput, Score>(script);
        const score = await thread.call(input);
        if (scores.size >= SCORES_MAX) scores.delete(scores.keys().next().value ?? "");
        scores.set(keyOf(input), score);
      } catch (error) {
        // The block's transition computes what isn't here.
        if (!stopped) log.warn({ error: String(error) }, "a round was not scored ahead");
        const ill = thread;
        thread = undefined;
        await ill?.stop();
      }
    }
    running = false;
  };

  return {
    /** After a block: begins with the rounds that are complete in its state and were not begun before. */
    prepare(state: State, params: Params): void {
      const place = placeInEpoch(state.height, params);
      if (place <= closePlace(params) || place >= Number(params.epochHeights)) return;
      for (let index = 0; index < state.rounds.length; index++) {
        if (state.rounds.getReadonly(index).labels.length === 0) continue;
        const roots = [state.rounds.getReadonly(index), state.tasks.getReadonly(index)].map((it) =>
          toHex(it.hashTreeRoot()),
        );
        const name = [...roots, toHex(state.beacon.close)].join();
        if (seen.has(name) || waiting.length >= WAITING_MAX) continue;
        if (seen.size >= SEEN_MAX) seen.delete(seen.keys().next().value ?? "");
        seen.add(name);
        waiting.push(() => scoreInputOf(state, index));
      }
      if (!running && waiting.length > 0) void run();
    },
    /** {@link scoreRound}, remembered. */
    score(input: ScoreInput): Score {
      const known = scores.get(keyOf(input));
      counts[known === undefined ? "computed" : "ahead"] += 1;
      return known ?? scoreRound(input);
    },
    /** Scores that are here, and rounds that were begun. */
    known: (): number => scores.size,
    begun: (): number => seen.size,
    /** Rounds settled with a score from the thread, and without. */
    counts: (): Readonly<typeof counts> => counts,
    async stop(): Promise<void> {
      stopped = true;
      waiting.length = 0;
      await thread?.stop();
    },
  };
}

/** SHA-256 of the whole input, every part after its length. */
function keyOf(input: ScoreInput): string {
  const { model, rows, gradients, rowsPerGradient, rate, normBound, weight, seed } = input;
  const digest = createHash("sha256");
  const numbers = (values: readonly number[]): void => {
    digest.update(Float64Array.of(values.length, ...values));
  };
  numbers([rows.features, rowsPerGradient, rate.numerator, rate.shift, weight, rows.x.length, rows.y.length]);
  digest.update(rows.x).update(rows.y);
  numbers(model);
  numbers([gradients.length]);
  for (const gradient of gradients) numbers(gradient);
  digest.update(`${normBound}/`).update(seed);
  return digest.digest("hex");
}

/** The thread of scoring.ts: the consensus rule itself, on an input of its own. */
import { serveThread } from "../circuits/thread.ts";
import { type Score, type ScoreInput, scoreRound } from "../consensus/work/score.ts";

serveThread<ScoreInput, Score>((input) => Promise.resolve(scoreRound(input)));

/**
 * Processes that have a batch verifier each and nothing else, and share nothing: what one of them reaches alone, and
 * what all of them reach at once, is what the machine gives. Started by the benches verify and throughput.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { invariant } from "../../consensus/primitives/faults.ts";
import type { ProcessRate } from "./verify-process-worker.ts";

const PROCESS = new URL("./verify-process-worker.ts", import.meta.url);
const TURN_MS = 400;

export type VerifyProcesses = {
  /** How fast the first `count` of them are at the same time. */
  rate(count: number): Promise<ProcessRate>;
  stop(): void;
};

export async function startVerifyProcesses(count: number): Promise<VerifyProcesses> {
  const processes = Array.from({ length: count }, () => fork(PROCESS));
  await Promise.all(processes.map(answerOf));
  return {
    rate: async (some) => {
      const them = processes.slice(0, some);
      invariant(them.length === some && some > 0, "there are so many");
      // All work for the same time: who is done early must not idle.
      for (const child of them) child.send(TURN_MS);
      const rates = (await Promise.all(them.map(answerOf))) as ProcessRate[];
      return {
        perMs: rates.reduce((sum, { perMs }) => sum + perMs, 0),
        cpuMs: rates.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / rates.length,
      };
    },
    stop: () => {
      for (const child of processes) child.kill();
    },
  };
}

/** The next message of a process; its end is an error. */
async function answerOf(child: ChildProcess): Promise<unknown> {
  const answered = new AbortController();
  const ended = once(child, "exit", { signal: answered.signal });
  // The race below tells of its end; that it is not waited for any more is no error.
  ended.catch(() => undefined);
  try {
    const [answer]: unknown[] = await Promise.race([
      once(child, "message"),
      ended.then(([code]) => Promise.reject(new Error(`a process of the bench ended with ${code}`))),
    ]);
    return answer;
  } finally {
    answered.abort();
  }
}

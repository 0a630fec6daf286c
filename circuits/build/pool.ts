/**
 * The builder's threads: requests queue for the first free one. Called by build.ts only, which starts a pool
 * for one build and stops it after.
 */

import { availableParallelism } from "node:os";
import { extname } from "node:path";
import { invariant } from "../../consensus/primitives/faults.ts";
import { startThread, type Thread } from "../thread.ts";
import type { BuilderReply, BuilderRequest } from "./worker.ts";

const THREADS_MAX = 8;

export type BuilderPool = {
  run(request: BuilderRequest): Promise<BuilderReply>;
  stop(): Promise<void>;
};

export function createBuilderPool(threadsMax: number = THREADS_MAX): BuilderPool {
  const script = new URL(`./worker${extname(import.meta.filename)}`, import.meta.url);
  const size = Math.max(1, Math.min(availableParallelism(), threadsMax));
  const threads: Thread<BuilderRequest, BuilderReply>[] = [];
  const idle: Thread<BuilderRequest, BuilderReply>[] = [];
  const waiting: ((thread: Thread<BuilderRequest, BuilderReply>) => void)[] = [];

  const acquire = (): Promise<Thread<BuilderRequest, BuilderReply>> => {
    const free = idle.pop();
    if (free !== undefined) return Promise.resolve(free);
    if (threads.length < size) {
      const thread = startThread<BuilderRequest, BuilderReply>(script);
      threads.push(thread);
      return Promise.resolve(thread);
    }
    return new Promise((resolve) => waiting.push(resolve));
  };

  return {
    run: async (request) => {
      const thread = await acquire();
      try {
        return await thread.call(request);
      } finally {
        const next = waiting.shift();
        if (next === undefined) idle.push(thread);
        else next(thread);
      }
    },
    stop: async () => {
      invariant(waiting.length === 0, "a pool is stopped when its work is done");
      await Promise.all(threads.map((thread) => thread.stop()));
    },
  };
}

/**
 * Loaded into every child of a devnet before its own code (`--import`): when the parent is gone, however
 * it went, the channel to it closes, and the child stops: gently at first, then for good.
 */
import { isMainThread } from "node:worker_threads";

const GENTLE_MS = 4_000;

if (isMainThread && process.channel !== undefined && process.channel !== null) {
  process.once("disconnect", () => {
    setTimeout(() => process.kill(process.pid, "SIGKILL"), GENTLE_MS).unref();
    process.kill(process.pid, "SIGTERM");
  });
  // Listening keeps the channel, and so the process, alive; it is no reason to be.
  process.channel.unref();
}

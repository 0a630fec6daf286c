/**
 * Gathers the submissions that are published in one turn of the event loop, and sends them as bundles at its end:
 * verdicts of one batch of proofs come together, and each message costs gossipsub and every peer about as much
 * for one submission as for thirty. Made by gossip.ts.
 */
import { type Submission, submissionName } from "../../consensus/types/submission.ts";
import { BUNDLE_MAX, bytesInBundle, TOPICS } from "./topics.ts";

export type BundlerComponents = {
  /** One to {@link BUNDLE_MAX} different ones that fit into a message. */
  send(bundle: readonly Submission[]): void;
};

export function createBundler({ send }: BundlerComponents) {
  const { bytesMax } = TOPICS.submissions;
  /** By the root of all bytes: the same one twice would make the bundle malformed. */
  const waiting = new Map<string, Submission>();
  let waitingBytes = 0;

  const take = (): Submission[] => {
    const bundle = [...waiting.values()];
    waiting.clear();
    waitingBytes = 0;
    return bundle;
  };
  const flush = (): void => {
    const bundle = take();
    if (bundle.length > 0) send(bundle);
  };

  return {
    add(submission: Submission): void {
      const root = submissionName(submission);
      if (waiting.has(root)) return;
      const bytes = bytesInBundle(submission);
      if (waitingBytes + bytes > bytesMax) flush();
      if (waiting.size === 0) setImmediate(flush);
      waiting.set(root, submission);
      waitingBytes += bytes;
      if (waiting.size >= BUNDLE_MAX) flush();
    },
    /** What waits is dropped: there is nobody left to send it to. */
    stop: (): void => void take(),
  };
}

/**
 * Verdicts also where the batch verifier throws, which it must not: whoever found what makes it throw could have
 * honest proofs of the same batch refused with its own. Then each job is verified by itself, and what still throws
 * is asked of the slow verifier, whose verdicts are the same. Called by verify-worker.ts.
 */
import type { VerifyJob } from "./verify.ts";

export type CarefulComponents = {
  readonly batch: { verify(jobs: readonly VerifyJob[]): boolean[] };
  /** Made when it is needed first. */
  createReference(): Promise<{ verify(jobs: readonly VerifyJob[]): Promise<boolean[]> }>;
  /** The batch verifier threw: to be told, because it is a bug. */
  onFailure(error: unknown): void;
};

export function createCarefulVerifier({ batch, createReference, onFailure }: CarefulComponents) {
  let reference: ReturnType<typeof createReference> | undefined;

  const tried = (jobs: readonly VerifyJob[]): boolean[] | undefined => {
    try {
      return batch.verify(jobs);
    } catch (error) {
      onFailure(error);
      return undefined;
    }
  };
  const slowly = async (job: VerifyJob): Promise<boolean> => {
    reference ??= createReference();
    const [verdict] = await (await reference).verify([job]);
    return verdict === true;
  };

  return {
    async verify(jobs: readonly VerifyJob[]): Promise<boolean[]> {
      const together = tried(jobs);
      if (together !== undefined) return together;
      const verdicts: boolean[] = [];
      for (const job of jobs) verdicts.push(tried([job])?.[0] ?? (await slowly(job)));
      return verdicts;
    },
  };
}

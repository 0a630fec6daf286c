/**
 * Leaky buckets by key: what somebody was charged lately, running out at a steady rate. Used by
 * relay-limits.ts, by admission.ts for pods, by intake.ts, and by the network for what a peer sends and asks.
 */

/** The bucket that was filled longest ago makes room for a new one. */
const KEYS_MAX = 4_096;

export type BucketsOptions = {
  readonly leakPerSecond: number;
  /** Of a clock that never goes back. */
  readonly nowMs?: () => number;
};
export type Buckets = ReturnType<typeof createBuckets>;

export function createBuckets({ leakPerSecond, nowMs = () => performance.now() }: BucketsOptions) {
  const buckets = new Map<string, { readonly level: number; readonly atMs: number }>();
  const level = (key: string): number => {
    const bucket = buckets.get(key);
    if (bucket === undefined) return 0;
    return Math.max(0, bucket.level - ((nowMs() - bucket.atMs) * leakPerSecond) / 1000);
  };
  return {
    level,
    /** The level after it. */
    add(key: string, amount: number): number {
      const filled = level(key) + amount;
      buckets.delete(key);
      if (buckets.size >= KEYS_MAX) buckets.delete(buckets.keys().next().value ?? "");
      buckets.set(key, { level: filled, atMs: nowMs() });
      return filled;
    },
    size: (): number => buckets.size,
  };
}

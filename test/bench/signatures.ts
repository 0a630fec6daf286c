/**
 * What verifying Ed25519 signatures costs, beside node:crypto one by one in the same run: as many at a time as come
 * alone, in bundles of gossip and in blocks, of as many keys, of half as many and of few; and where one or all are
 * false. Keys are known, as pods' keys are, but for one figure.
 */

import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { concatBytes, fromHex } from "../../consensus/primitives/bytes.ts";
import { invariant } from "../../consensus/primitives/faults.ts";
import { KEYS_MAX } from "../../node/ed25519/points.ts";
import { BATCH_MAX, createBatchVerifier, type SignatureJob } from "../../node/ed25519/verifier.ts";
import { devKey, signEd25519 } from "../../node/keys.ts";
import { type Figure, inTurns, timed } from "./figure.ts";

const ROUNDS = 25;
/** Signatures of a turn, at least. */
const TURN = 256;

const keyObject = (publicKey: Uint8Array): KeyObject =>
  createPublicKey({
    key: Buffer.from(concatBytes(fromHex("0x302a300506032b6570032100"), publicKey)),
    format: "der",
    type: "spki",
  });

const jobsOf = (count: number, keys: number): SignatureJob[] => {
  const pods = Array.from({ length: keys }, (_, i) => devKey("account", `bench-${i}`));
  return Array.from({ length: count }, (_, i) => {
    const { seed, publicKey } = pods[i % keys] ?? devKey("account", "bench");
    const message = new Uint8Array(createHash("sha256").update(`message ${i}`).digest());
    return { publicKey, message, signature: signEd25519(seed, message) };
  });
};

const spoiled = (jobs: readonly SignatureJob[], every: number): SignatureJob[] =>
  jobs.map((job, i) => (i % every === 0 ? { ...job, message: new Uint8Array(32) } : job));

export async function* bench(): AsyncGenerator<Figure> {
  const verifyMany = await createBatchVerifier();
  invariant(verifyMany !== undefined, "this machine has fused multiply-add");

  /** Microseconds a signature, of a turn of several rounds. */
  const each = (size: number, run: () => void) => async (): Promise<number> => {
    const rounds = Math.ceil(TURN / size);
    const ms = await timed(() => {
      for (let i = 0; i < rounds; i++) run();
    });
    return (1000 * ms) / (rounds * size);
  };
  const batch = (jobs: readonly SignatureJob[], valid: number) =>
    each(jobs.length, () =>
      invariant(
        verifyMany(jobs).filter((it) => it).length === valid,
        "what is valid holds, and nothing else",
      ),
    );
  const good = (count: number, keys: number) => batch(jobsOf(count, keys), count);
  const all = jobsOf(BATCH_MAX, BATCH_MAX);
  const objects = all.map(({ publicKey }) => keyObject(publicKey));
  const many = jobsOf(KEYS_MAX + BATCH_MAX, KEYS_MAX + BATCH_MAX);
  let next = 0;
  const contestants = {
    "node:crypto": each(BATCH_MAX, () => {
      for (const [i, { message, signature }] of all.entries()) {
        invariant(verify(null, message, objects[i] ?? "", signature), "signatures hold");
      }
    }),
    "1 at a time": good(1, 1),
    "4 at a time": good(4, 4),
    "16 at a time": good(16, 16),
    "32 at a time": good(32, 32),
    "64 at a time": good(64, 64),
    "128 at a time": good(BATCH_MAX, BATCH_MAX),
    "128 at a time, of 64 keys": good(BATCH_MAX, BATCH_MAX / 2),
    "128 at a time, of 8 keys": good(BATCH_MAX, 8),
    "128 at a time, one of them false": batch(
      all.map((job, i) => (i === 77 ? { ...job, message: new Uint8Array(32) } : job)),
      BATCH_MAX - 1,
    ),
    "128 at a time, all false": batch(spoiled(all, 1), 0),
    // Last, because the keys of all others are forgotten.
    "128 at a time, of keys never seen": each(BATCH_MAX, () => {
      const jobs = many.slice(next, next + BATCH_MAX);
      next = (next + BATCH_MAX) % many.length;
      invariant(
        verifyMany(jobs).every((it) => it),
        "signatures hold",
      );
    }),
  };
  const { "node:crypto": single, ...times } = await inTurns(ROUNDS, contestants);
  yield { name: "signatures: node:crypto, one by one", value: single, unit: "µs each" };
  for (const [name, value] of Object.entries(times)) {
    yield {
      name: `signatures: ${name}`,
      value,
      unit: "µs each",
      ratio: single / value,
      against: "node:crypto",
    };
  }
}

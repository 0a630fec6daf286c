/**
 * One process of a machine signs with a validator's key on a chain, in whichever folder it runs: a copied
 * folder, or a second one with the same key, is refused before anything is signed. Taken by node.ts.
 *
 * The lock is LevelDB's own (the operating system frees it when the process ends, however it ends), on an
 * empty database in the machine's folder for temporary files. Two machines it cannot keep apart.
 */
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { FaultError } from "../consensus/primitives/faults.ts";

export type KeyLockOptions = {
  /** The chain's 32-byte tag. */
  readonly chain: Uint8Array;
  readonly blsKey: Uint8Array;
  /** Where this machine's locks are; the folder for temporary files if absent. */
  readonly locksDir?: string | undefined;
};

export type KeyLock = { release(): Promise<void> };

/** Throws node/key-in-use. */
export async function lockKey({ chain, blsKey, locksDir = tmpdir() }: KeyLockOptions): Promise<KeyLock> {
  const name = createHash("sha256").update(chain).update(blsKey).digest("hex").slice(0, 32);
  const folder = join(locksDir, `zkp-signer-${name}`);
  const level = new ClassicLevel(folder);
  try {
    await level.open();
  } catch (error) {
    // Whatever the cause: without the lock nobody knows that the key is free.
    throw new FaultError("node/key-in-use", { lock: folder }, error);
  }
  return { release: () => level.close() };
}

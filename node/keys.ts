/**
 * The keys of one machine and their files: a validator's BLS key, an account's Ed25519 key, the
 * network identity of libp2p. Used by node/main, the CLI, genesis and devnet. Here is also the one rule by which
 * nodes accept Ed25519 signatures, one at a time; ed25519/ verifies many by the same rule.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { SecretKey } from "@chainsafe/blst";
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import type { Ed25519PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { ed25519 } from "@noble/curves/ed25519.js";
import { z } from "zod";
import { concatBytes, fromHex, toHex } from "../consensus/primitives/bytes.ts";
import { FaultError } from "../consensus/primitives/faults.ts";

export type KeyKind = "bls" | "account" | "network";

/** Every kind comes from a 32-byte seed; `publicKey` is the BLS key, the Ed25519 key, or libp2p's Ed25519 key. */
export type Key = { readonly kind: KeyKind; readonly seed: Uint8Array; readonly publicKey: Uint8Array };

// DER around raw Ed25519 keys (RFC 8410): node:crypto takes no raw ones.
const PKCS8_PREFIX = fromHex("0x302e020100300506032b657004220420");
const SPKI_PREFIX = fromHex("0x302a300506032b6570032100");
const SEED_BYTES = 32;

/** The BLS secret key of a seed (RFC 9380's KeyGen, as blst has it). */
export function blsSecretKey(seed: Uint8Array): SecretKey {
  return SecretKey.fromKeygen(checkSeed(seed));
}

function checkSeed(seed: Uint8Array): Uint8Array {
  if (seed.length !== SEED_BYTES)
    throw new FaultError("key/invalid", { bytes: seed.length, expected: `${SEED_BYTES} bytes` });
  return seed;
}

function publicKeyOf(kind: KeyKind, seed: Uint8Array): Uint8Array {
  return kind === "bls" ? blsSecretKey(seed).toPublicKey().toBytes() : ed25519PublicKey(seed);
}

export function keyFromSeed(kind: KeyKind, seed: Uint8Array): Key {
  return { kind, seed, publicKey: publicKeyOf(kind, seed) };
}

export function createKey(kind: KeyKind): Key {
  return keyFromSeed(kind, new Uint8Array(randomBytes(SEED_BYTES)));
}

/** A public development key: anybody can compute it. Never for a chain with value. */
export function devKey(kind: KeyKind, label: string): Key {
  return keyFromSeed(
    kind,
    new Uint8Array(createHash("sha256").update(`zkp/dev-key/v1/${kind}/${label}`).digest()),
  );
}

const hexOf = (bytes: number) => z.string().regex(new RegExp(`^0x[0-9a-f]{${2 * bytes}}$`));
const KeyFile = z.strictObject({
  version: z.literal(1),
  kind: z.enum(["bls", "account", "network"]),
  publicKey: z.union([hexOf(32), hexOf(48)]),
  seed: hexOf(SEED_BYTES),
});
const KEY_FILE_BYTES_MAX = 4096;

/** Writes a new file that only its owner can read (0600). Never replaces one: a lost key is lost for good. */
export async function saveKey(file: string, { kind, seed, publicKey }: Key): Promise<void> {
  const text = `${JSON.stringify({ version: 1, kind, publicKey: toHex(publicKey), seed: toHex(seed) }, null, 2)}\n`;
  try {
    const handle = await open(file, "wx", 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new FaultError("key/invalid", { file, problem: "cannot be written, or is there already" }, error);
  }
}

/** Reads a key file and checks that its public key follows from its seed. Throws key/invalid. */
export async function loadKey(file: string, kind: KeyKind): Promise<Key> {
  const found = await readKeyFile(file, kind);
  const key = keyFromSeed(kind, fromHex(found.seed));
  if (toHex(key.publicKey) !== found.publicKey) {
    throw new FaultError("key/invalid", { file, field: "publicKey", problem: "is not the seed's" });
  }
  return key;
}

async function readKeyFile(file: string, kind: KeyKind): Promise<z.infer<typeof KeyFile>> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new FaultError("key/invalid", { file, problem: "cannot be read" }, error);
  }
  if (text.length > KEY_FILE_BYTES_MAX) throw new FaultError("key/invalid", { file, bytes: text.length });
  let parsed: z.ZodSafeParseResult<z.infer<typeof KeyFile>>;
  try {
    parsed = KeyFile.safeParse(JSON.parse(text));
  } catch {
    // No cause: a JSON error quotes the text, and this text may be a secret.
    throw new FaultError("key/invalid", { file, problem: "is not JSON" });
  }
  if (!parsed.success)
    throw new FaultError("key/invalid", { file, field: String(parsed.error.issues[0]?.path[0] ?? "") });
  if (parsed.data.kind !== kind)
    throw new FaultError("key/invalid", { file, kind: parsed.data.kind, expected: kind });
  return parsed.data;
}

/** libp2p's private key of a network key's seed. */
export function libp2pKey(seed: Uint8Array): Promise<Ed25519PrivateKey> {
  return generateKeyPairFromSeed("Ed25519", checkSeed(seed));
}

/** The peer id, as it stands in multiaddrs after /p2p/. */
export function peerIdOf(key: Ed25519PrivateKey): string {
  return peerIdFromPrivateKey(key).toString();
}

/** Decoded keys; decoding costs about a tenth of a check. Bounded, oldest out first. */
const KEYS_MAX = 4096;

function createCache<T>(make: (bytes: Uint8Array) => T): (bytes: Uint8Array) => T {
  const cache = new Map<string, T>();
  return (bytes) => {
    const name = toHex(bytes);
    const known = cache.get(name);
    if (known !== undefined) return known;
    const made = make(bytes);
    if (cache.size >= KEYS_MAX) cache.delete(cache.keys().next().value ?? "");
    cache.set(name, made);
    return made;
  };
}

const privateKeyObject = (seed: Uint8Array): KeyObject =>
  createPrivateKey({
    key: Buffer.from(concatBytes(PKCS8_PREFIX, checkSeed(seed))),
    format: "der",
    type: "pkcs8",
  });
const publicKeyObject = createCache((key) =>
  createPublicKey({ key: Buffer.from(concatBytes(SPKI_PREFIX, key)), format: "der", type: "spki" }),
);

/** The 32-byte public key of a seed. */
export function ed25519PublicKey(seed: Uint8Array): Uint8Array {
  const der = createPublicKey(privateKeyObject(seed)).export({ format: "der", type: "spki" });
  return new Uint8Array(der.subarray(der.length - 32));
}

export function signEd25519(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, privateKeyObject(seed)));
}

/**
 * Whether ZIP-215 accepts it (docs/protocol.md, "Ed25519"); malformed is false. ed25519/ says the same of many.
 *
 * node:crypto is asked first, since what it accepts ZIP-215 accepts: it wants s below L as well, takes the key to
 * be the same point if it takes it at all, and has computed s·B − h·A and found that R is its encoding, so R is a
 * point and s·B = R + h·A, with or without the factor 8. What it refuses may still hold: where points have a part
 * of small order, or are not encoded canonically. That is slow, but nobody who signs honestly is in need of it.
 */
export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  return (
    isAcceptedByCrypto(publicKey, message, signature) ||
    ed25519.verify(signature, message, publicKey, { zip215: true })
  );
}

function isAcceptedByCrypto(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(null, message, publicKeyObject(publicKey), signature);
  } catch {
    return false; // OpenSSL throws on keys that it takes for no points
  }
}

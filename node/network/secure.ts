/**
 * Noise that costs less, byte for byte the same on the wire. The library gives each key to OpenSSL as bytes, which
 * takes longer than a small message's encryption; hands TCP each message in four pieces, each a call of the kernel
 * and a packet; and joins what arrives through lists of pieces. Made by host.ts.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import type { MessageStream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";

const CIPHER = "chacha20-poly1305";
const TAG_BYTES = 16;
const LENGTH_BYTES = 2;
/** Of a message's text; with its tag the length just fits. */
const TEXT_BYTES_MAX = 0xffff - TAG_BYTES;
/** What is shorter the library does in WebAssembly, which is faster then. */
const NATIVE_FROM_BYTES = 600;

type Bytes = { readonly byteLength: number; subarray(start?: number, end?: number): Uint8Array };
type Cipher = (text: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array, into?: Uint8Array) => Bytes;
/** What the library keeps private: of itself, and of an encrypted connection. */
type Private = { readonly crypto: { encrypt: Cipher; decrypt: Cipher } };
type Encrypted = {
  readonly stream: { send(data: Uint8Array): boolean };
  readonly handshake: { encrypt(text: Uint8Array): Bytes };
  decoder: { readonly buffer?: Bytes; decode(data: Bytes): Iterable<Uint8Array> };
  sendData(data: Bytes): { sentBytes: number; canSendMore: boolean };
};

const keys = new WeakMap<Uint8Array, KeyObject>();
function keyOf(bytes: Uint8Array): KeyObject {
  const known = keys.get(bytes);
  if (known !== undefined) return known;
  const key = createSecretKey(bytes);
  keys.set(bytes, key);
  return key;
}

/** With room for its length before it, so that a message is written once. */
function encrypt(text: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array): Uint8Array {
  const cipher = createCipheriv(CIPHER, keyOf(key), nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(ad, { plaintextLength: text.byteLength });
  const encrypted = cipher.update(text.subarray());
  cipher.final();
  const message = new Uint8Array(LENGTH_BYTES + encrypted.length + TAG_BYTES);
  message.set(encrypted, LENGTH_BYTES);
  message.set(cipher.getAuthTag(), LENGTH_BYTES + encrypted.length);
  return message.subarray(LENGTH_BYTES);
}

/** Throws if the tag is not that of the text. */
function decrypt(text: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array): Uint8Array {
  const bytes = text.subarray();
  const end = bytes.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, keyOf(key), nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(ad, { plaintextLength: end });
  decipher.setAuthTag(bytes.subarray(end));
  const decrypted = decipher.update(bytes.subarray(0, end));
  decipher.final();
  return decrypted;
}

/** Where a message is joined of its parts, to be encrypted at once. */
const scratch = new Uint8Array(TEXT_BYTES_MAX);
function joined(data: Bytes, start: number, end: number): Uint8Array {
  if (data instanceof Uint8Array) return data.subarray(start, end);
  let [at, length] = [0, 0];
  for (const part of data as unknown as Iterable<Uint8Array>) {
    const some = part.subarray(Math.max(0, start - at), Math.max(0, end - at));
    if (some.length === end - start) return some;
    scratch.set(some, length);
    length += some.length;
    at += part.length;
  }
  return scratch.subarray(0, length);
}

/** The message with its length before it, for which {@link encrypt} has left room. */
function prefixed(message: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = message;
  const hasRoom = byteOffset === LENGTH_BYTES && buffer.byteLength === LENGTH_BYTES + length;
  const piece = hasRoom ? new Uint8Array(buffer) : new Uint8Array(LENGTH_BYTES + length);
  if (!hasRoom) piece.set(message, LENGTH_BYTES);
  piece[0] = length >> 8;
  piece[1] = length & 0xff;
  return piece;
}

/** Messages out of what arrives, empty ones left out. `rest` arrived before. */
export function createMessageDecoder(rest: Uint8Array) {
  let pieces = [rest];
  let held = rest.length;
  /** So much is needed for the next message, which is joined only then. */
  let wanted = LENGTH_BYTES;
  return {
    decode(data: Bytes): Uint8Array[] {
      const came = data.subarray();
      pieces.push(came);
      held += came.length;
      if (held < wanted) return [];
      const bytes = held === came.length ? came : Buffer.concat(pieces, held);
      const messages: Uint8Array[] = [];
      let start = 0;
      for (;;) {
        const [high, low] = [bytes[start], bytes[start + 1]];
        wanted = LENGTH_BYTES + (low === undefined ? 0 : ((high ?? 0) << 8) + low);
        if (low === undefined || start + wanted > bytes.length) break;
        if (wanted > LENGTH_BYTES) messages.push(bytes.subarray(start + LENGTH_BYTES, start + wanted));
        start += wanted;
      }
      pieces = [bytes.subarray(start)];
      held = bytes.length - start;
      return messages;
    },
  };
}

function inOnePiece(connection: MessageStream): void {
  const encrypted = connection as unknown as Encrypted;
  const { stream, handshake } = encrypted;
  encrypted.decoder = createMessageDecoder(encrypted.decoder.buffer?.subarray() ?? new Uint8Array());
  encrypted.sendData = (data) => {
    let canSendMore = true;
    for (let start = 0; start < data.byteLength; start += TEXT_BYTES_MAX) {
      const text = joined(data, start, Math.min(data.byteLength, start + TEXT_BYTES_MAX));
      canSendMore = stream.send(prefixed(handshake.encrypt(text).subarray()));
    }
    return { sentBytes: data.byteLength, canSendMore };
  };
}

export function quietNoise(): ReturnType<typeof noise> {
  const create = noise();
  return (components) => {
    const encrypter = create(components);
    const { crypto } = encrypter as unknown as Private;
    const { encrypt: encryptShort, decrypt: decryptShort } = crypto;
    crypto.encrypt = (text, nonce, ad, key) =>
      (text.byteLength < NATIVE_FROM_BYTES ? encryptShort : encrypt)(text, nonce, ad, key);
    crypto.decrypt = (text, nonce, ad, key, into) =>
      (text.byteLength < NATIVE_FROM_BYTES ? decryptShort : decrypt)(text, nonce, ad, key, into);
    for (const name of ["secureInbound", "secureOutbound"] as const) {
      const secure = encrypter[name].bind(encrypter);
      encrypter[name] = async (connection, options) => {
        const secured = await secure(connection, options);
        inOnePiece(secured.connection);
        return secured;
      };
    }
    return encrypter;
  };
}

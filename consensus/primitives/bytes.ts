/** Bytes: hex, equality, order, concatenation. Byte strings are `Uint8Array`s that nobody writes to. */
import { FaultError } from "./faults.ts";

/** The two characters of each byte, and room for a text; decoded at once, because every piece of a joined string is an object. */
const DIGITS = Uint8Array.from({ length: 512 }, (_, i) =>
  "0123456789abcdef".charCodeAt(i % 2 === 0 ? i >> 5 : (i >> 1) & 15),
);
const AT_ONCE = 512;
const text = new Uint8Array(2 * AT_ONCE);
const ascii = new TextDecoder();

export function toHex(bytes: Uint8Array): string {
  let hex = "0x";
  for (let start = 0; start < bytes.length; start += AT_ONCE) {
    const count = Math.min(AT_ONCE, bytes.length - start);
    for (let i = 0; i < count; i++) {
      const byte = bytes[start + i] ?? 0;
      text[2 * i] = DIGITS[2 * byte] ?? 0;
      text[2 * i + 1] = DIGITS[2 * byte + 1] ?? 0;
    }
    hex += ascii.decode(text.subarray(0, 2 * count));
  }
  return hex;
}

/**
 * A key for maps of 32-byte strings: two bytes a character, and made in a tenth of the time of hexadecimal text. Not
 * for people, files or messages. Others than 32 bytes have their hexadecimal text.
 */
export function nameOf(b: Uint8Array): string {
  if (b.length !== 32) return toHex(b);
  const at = (i: number): number => (b[i] ?? 0) | ((b[i + 1] ?? 0) << 8);
  return String.fromCharCode(
    at(0),
    at(2),
    at(4),
    at(6),
    at(8),
    at(10),
    at(12),
    at(14),
    at(16),
    at(18),
    at(20),
    at(22),
    at(24),
    at(26),
    at(28),
    at(30),
  );
}

/** Strict: "0x", lower or upper case digits, exactly `length` bytes where given. */
export function fromHex(text: string, length?: number): Uint8Array {
  if (!/^0x(?:[0-9a-fA-F]{2})*$/.test(text) || (length !== undefined && text.length !== 2 + 2 * length)) {
    throw new FaultError("config/invalid", {
      value: text.slice(0, 80),
      expected: length === undefined ? "0x and hex digits" : `0x and ${2 * length} hex digits`,
    });
  }
  const bytes = new Uint8Array((text.length - 2) / 2);
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = 16 * digitOf(text.charCodeAt(2 + 2 * i)) + digitOf(text.charCodeAt(3 + 2 * i));
  return bytes;
}

/** Of a character that is a hex digit. */
const digitOf = (code: number): number => (code <= 0x39 ? code - 0x30 : (code | 0x20) - 0x57);

/** Lexicographic: below 0, 0 or above 0. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** From so many bytes on it is worth it to look at them as words. */
const LONG = 256;

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let from = 0;
  if (a.length >= LONG && a.byteOffset % 4 === 0 && b.byteOffset % 4 === 0) {
    const count = a.length >> 2;
    const [left, right] = [
      new Uint32Array(a.buffer, a.byteOffset, count),
      new Uint32Array(b.buffer, b.byteOffset, count),
    ];
    for (let i = 0; i < count; i++) if (left[i] !== right[i]) return false;
    from = 4 * count;
  }
  for (let i = from; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** Eight bytes, little-endian as SSZ has them. */
export function uint64Bytes(value: bigint | number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

const WORD = 8;

/** Little-endian natural number of any length; a word at a time, because big integers are slow to shift. */
export function bytesToBigint(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = bytes.length - (bytes.length % WORD);
  let value = 0n;
  for (let i = bytes.length - 1; i >= at; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
  for (at -= WORD; at >= 0; at -= WORD) value = (value << 64n) | view.getBigUint64(at, true);
  return value;
}

/** Little-endian, `length` bytes; the value must fit. */
export function bigintToBytes(value: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let rest = value;
  let at = 0;
  for (; at + WORD <= length; at += WORD) {
    view.setBigUint64(at, BigInt.asUintN(64, rest), true);
    rest >>= 64n;
  }
  for (; at < length; at++) {
    bytes[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  if (rest !== 0n || value < 0n) throw new RangeError(`${value} does not fit ${length} bytes`);
  return bytes;
}

/** One after the other, each as above. */
export function bigintsToBytes(values: readonly bigint[], length: number): Uint8Array {
  const bytes = new Uint8Array(values.length * length);
  for (const [i, value] of values.entries()) bytes.set(bigintToBytes(value, length), i * length);
  return bytes;
}

/** The inverse, for as many as are whole. */
export const bytesToBigints = (bytes: Uint8Array, length: number): bigint[] =>
  Array.from({ length: Math.floor(bytes.length / length) }, (_, i) =>
    bytesToBigint(bytes.subarray(length * i, length * (i + 1))),
  );

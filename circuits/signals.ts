/**
 * A proof's public signals as verifiers take them: 32 bytes each, little-endian, one after the other, as the
 * outputs of a submission are. So nobody between a message and the verifier's thread makes numbers of them.
 * Called by the verifiers, by the prover and by tests; browser safe.
 */

import { bigintsToBytes, bytesToBigints } from "../consensus/primitives/bytes.ts";
import { FIELD_ORDER } from "../consensus/work/gradient.ts";

export const SIGNAL_BYTES = 32;

/** @throws RangeError for what does not fit 32 bytes; what is not below r does, and has a false verdict */
export const signalsToBytes = (signals: readonly bigint[]): Uint8Array =>
  bigintsToBytes(signals, SIGNAL_BYTES);

/** The inverse, for as many signals as are whole. */
export const bytesToSignals = (bytes: Uint8Array): bigint[] => bytesToBigints(bytes, SIGNAL_BYTES);

/** 32-bit words of a signal, lowest first. */
export const SIGNAL_WORDS = 8;
const WORDS_OF_R = Uint32Array.from({ length: SIGNAL_WORDS }, (_, i) =>
  Number((FIELD_ORDER >> BigInt(32 * i)) & 0xffffffffn),
);

/** Writes signals as words from `at` on. Whether all of them are below r. */
export function readSignals(to: Uint32Array, at: number, bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let valid = true;
  for (let from = 0; from < bytes.length; from += SIGNAL_BYTES) {
    const start = at + from / 4;
    for (let i = 0; i < SIGNAL_WORDS; i++) to[start + i] = view.getUint32(from + 4 * i, true);
    if (!isBelowOrder(to, start)) valid = false;
  }
  return valid;
}

function isBelowOrder(words: Uint32Array, at: number): boolean {
  for (let i = SIGNAL_WORDS - 1; i >= 0; i--) {
    const word = words[at + i] ?? 0;
    const bound = WORDS_OF_R[i] ?? 0;
    if (word !== bound) return word < bound;
  }
  return false; // r itself
}

/**
 * Numbers of 32 bytes, little-endian, as keys and witnesses have them, in limbs. Called by the files beside it.
 */

import { LIMB_BITS } from "../batch/limbs.ts";

const RADIX = 2 ** LIMB_BITS;
const HALF = RADIX / 2;

/** Eight words of 32 bits, the lowest first, below 2^254 → balanced limbs (../batch/limbs.ts). */
export function limbsOfWords(words: Uint32Array, at: number, limbs: Float64Array, to = 0): void {
  const w3 = words[at + 3] ?? 0;
  const w1 = words[at + 1] ?? 0;
  const w4 = words[at + 4] ?? 0;
  const w6 = words[at + 6] ?? 0;
  let l0 = (words[at] ?? 0) + (w1 & 0x7ffff) * 2 ** 32;
  let l1 = (w1 >>> 19) + (words[at + 2] ?? 0) * 2 ** 13 + (w3 & 0x3f) * 2 ** 45;
  let l2 = (w3 >>> 6) + (w4 & 0x1ffffff) * 2 ** 26;
  let l3 = (w4 >>> 25) + (words[at + 5] ?? 0) * 2 ** 7 + (w6 & 0xfff) * 2 ** 39;
  let l4 = (w6 >>> 12) + (words[at + 7] ?? 0) * 2 ** 20;
  if (l0 >= HALF) {
    l0 -= RADIX;
    l1++;
  }
  if (l1 >= HALF) {
    l1 -= RADIX;
    l2++;
  }
  if (l2 >= HALF) {
    l2 -= RADIX;
    l3++;
  }
  if (l3 >= HALF) {
    l3 -= RADIX;
    l4++;
  }
  limbs[to] = l0;
  limbs[to + 1] = l1;
  limbs[to + 2] = l2;
  limbs[to + 3] = l3;
  limbs[to + 4] = l4;
}

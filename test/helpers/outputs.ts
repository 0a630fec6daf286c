/** A submission's outputs one by one, for tests that change some of them. */
import { concatBytes } from "../../consensus/primitives/bytes.ts";

export const split = (outputs: Uint8Array): Uint8Array[] =>
  Array.from({ length: outputs.length / 32 }, (_, i) => outputs.slice(32 * i, 32 * (i + 1)));

export const joined = (outputs: readonly Uint8Array[]): Uint8Array => concatBytes(...outputs);

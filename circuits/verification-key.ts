/**
 * Verification keys: snarkjs' JSON form, checked, and the canonical bytes whose hash names a key in genesis
 * documents and in a task's id. Called by the builder, genesis, nodes and pods; browser safe.
 *
 * Bytes: u32 big-endian number of public signals n, then α (G1), β, γ, δ (G2), n + 1 points IC (G1), each
 * compressed as points.ts says. `vkHash` is SHA-256 of these bytes, in hex.
 */

import { bytesToNumberLE } from "@noble/curves/utils.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, concatBytes } from "@noble/hashes/utils.js";
import { FaultError, invariant } from "../consensus/primitives/faults.ts";
import { encodeG1, encodeG2, type G1Point, type G2Point, g1Valid, g2Valid } from "./points.ts";

/** As snarkjs exports it, without its redundant `vk_alphabeta_12`: coordinates are decimal strings. */
export type VerificationKey = {
  readonly protocol: "groth16";
  readonly curve: "bn128";
  readonly nPublic: number;
  readonly vk_alpha_1: readonly string[];
  readonly vk_beta_2: readonly (readonly string[])[];
  readonly vk_gamma_2: readonly (readonly string[])[];
  readonly vk_delta_2: readonly (readonly string[])[];
  readonly IC: readonly (readonly string[])[];
};

const P = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;
const SIGNALS_MAX = 4096;
const DECIMAL = /^(0|[1-9][0-9]{0,76})$/;

/** Points as a zkey holds them: affine, little-endian Montgomery. */
type MontgomeryPoints = {
  readonly alpha1: Uint8Array;
  readonly beta2: Uint8Array;
  readonly gamma2: Uint8Array;
  readonly delta2: Uint8Array;
  readonly ic: Uint8Array;
};

/** 1 / 2^256 modulo p, which takes a coordinate out of Montgomery form. */
const MONTGOMERY_INVERSE = (() => {
  let value = 1n;
  for (let bit = 0; bit < 256; bit++) value = value % 2n === 0n ? value / 2n : (value + P) / 2n;
  return value;
})();

/** The key whose points a set-up has just computed. */
export function keyFromPoints({ alpha1, beta2, gamma2, delta2, ic }: MontgomeryPoints): VerificationKey {
  const coordinate = (bytes: Uint8Array, at: number): string =>
    ((bytesToNumberLE(bytes.subarray(at, at + 32)) * MONTGOMERY_INVERSE) % P).toString();
  const g1 = (bytes: Uint8Array, at = 0): string[] => [
    coordinate(bytes, at),
    coordinate(bytes, at + 32),
    "1",
  ];
  const g2 = (bytes: Uint8Array): string[][] => [
    [coordinate(bytes, 0), coordinate(bytes, 32)],
    [coordinate(bytes, 64), coordinate(bytes, 96)],
    ["1", "0"],
  ];
  const points = ic.length / 64;
  return {
    protocol: "groth16",
    curve: "bn128",
    nPublic: points - 1,
    vk_alpha_1: g1(alpha1),
    vk_beta_2: g2(beta2),
    vk_gamma_2: g2(gamma2),
    vk_delta_2: g2(delta2),
    IC: Array.from({ length: points }, (_, i) => g1(ic, 64 * i)),
  };
}

/** A copy in snarkjs' types. */
export const snarkjsKey = (vk: VerificationKey) => ({
  ...vk,
  vk_alpha_1: [...vk.vk_alpha_1],
  vk_beta_2: vk.vk_beta_2.map((pair) => [...pair]),
  vk_gamma_2: vk.vk_gamma_2.map((pair) => [...pair]),
  vk_delta_2: vk.vk_delta_2.map((pair) => [...pair]),
  IC: vk.IC.map((point) => [...point]),
});

function refuse(field: string): never {
  throw new FaultError("genesis/invalid", { field: `verificationKey.${field}` });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseList(value: unknown, length: number, field: string): readonly unknown[] {
  return Array.isArray(value) && value.length === length ? value : refuse(field);
}

function parseCoordinate(value: unknown, field: string): bigint {
  return typeof value === "string" && DECIMAL.test(value) ? BigInt(value) : refuse(field);
}

function parseG1(value: unknown, field: string): G1Point {
  const [x, y, z] = parseList(value, 3, field);
  const point = { x: parseCoordinate(x, field), y: parseCoordinate(y, field) };
  return z === "1" && g1Valid(point) ? point : refuse(field);
}

function parseG2(value: unknown, field: string): G2Point {
  const [x, y, z] = parseList(value, 3, field);
  const pair = (list: unknown): { c0: bigint; c1: bigint } => {
    const [c0, c1] = parseList(list, 2, field);
    return { c0: parseCoordinate(c0, field), c1: parseCoordinate(c1, field) };
  };
  const point = { x: pair(x), y: pair(y) };
  const one = pair(z);
  return one.c0 === 1n && one.c1 === 0n && g2Valid(point) ? point : refuse(field);
}

/** The key's points, checked: on the curve, in the subgroup, finite, coordinates canonical. */
export type KeyPoints = {
  readonly alpha: G1Point;
  readonly beta: G2Point;
  readonly gamma: G2Point;
  readonly delta: G2Point;
  readonly ic: readonly G1Point[];
};

/** @throws `genesis/invalid` with the field */
export function pointsOfKey(key: VerificationKey): KeyPoints {
  return {
    alpha: parseG1(key.vk_alpha_1, "vk_alpha_1"),
    beta: parseG2(key.vk_beta_2, "vk_beta_2"),
    gamma: parseG2(key.vk_gamma_2, "vk_gamma_2"),
    delta: parseG2(key.vk_delta_2, "vk_delta_2"),
    ic: key.IC.map((point, i) => parseG1(point, `IC[${i}]`)),
  };
}

/** Reads JSON, `snarkjs zkey export verificationkey`'s included. @throws `genesis/invalid` with the field */
export function parseVerificationKey(json: unknown): VerificationKey {
  if (!isRecord(json)) refuse("");
  if (json.protocol !== "groth16") refuse("protocol");
  if (json.curve !== "bn128") refuse("curve");
  const nPublic = json.nPublic;
  if (typeof nPublic !== "number" || !Number.isInteger(nPublic) || nPublic < 0 || nPublic > SIGNALS_MAX) {
    refuse("nPublic");
  }
  const ic = parseList(json.IC, nPublic + 1, "IC");
  const texts = ({ x, y }: G1Point): string[] => [x.toString(), y.toString(), "1"];
  const pairs = ({ x, y }: G2Point): string[][] => [
    [x.c0.toString(), x.c1.toString()],
    [y.c0.toString(), y.c1.toString()],
    ["1", "0"],
  ];
  return {
    protocol: "groth16",
    curve: "bn128",
    nPublic,
    vk_alpha_1: texts(parseG1(json.vk_alpha_1, "vk_alpha_1")),
    vk_beta_2: pairs(parseG2(json.vk_beta_2, "vk_beta_2")),
    vk_gamma_2: pairs(parseG2(json.vk_gamma_2, "vk_gamma_2")),
    vk_delta_2: pairs(parseG2(json.vk_delta_2, "vk_delta_2")),
    IC: ic.map((point, i) => texts(parseG1(point, `IC[${i}]`))),
  };
}

/** The one byte form of a key. */
export function verificationKeyBytes(key: VerificationKey): Uint8Array {
  const { alpha, beta, gamma, delta, ic } = pointsOfKey(key);
  invariant(ic.length === key.nPublic + 1, "a key has a point for every signal and one for 1");
  const count = new Uint8Array(4);
  new DataView(count.buffer).setUint32(0, key.nPublic);
  return concatBytes(
    count,
    encodeG1(alpha),
    encodeG2(beta),
    encodeG2(gamma),
    encodeG2(delta),
    ...ic.map(encodeG1),
  );
}

/** SHA-256 of the key's bytes, 64 hex digits. */
export function vkHash(key: VerificationKey): string {
  return bytesToHex(sha256(verificationKeyBytes(key)));
}

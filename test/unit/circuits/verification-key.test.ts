/** Verification keys: read strictly, written as one sequence of bytes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { bn254 } from "@noble/curves/bn254.js";
import { catalogue, circuitOf } from "../../../circuits/catalogue.ts";
import {
  parseVerificationKey,
  type VerificationKey,
  verificationKeyBytes,
  vkHash,
} from "../../../circuits/verification-key.ts";

const g1 = (scalar: bigint): string[] => {
  const { x, y } = bn254.G1.Point.BASE.multiply(scalar).toAffine();
  return [x.toString(), y.toString(), "1"];
};
const g2 = (scalar: bigint): string[][] => {
  const { x, y } = bn254.G2.Point.BASE.multiply(scalar).toAffine();
  return [
    [x.c0.toString(), x.c1.toString()],
    [y.c0.toString(), y.c1.toString()],
    ["1", "0"],
  ];
};

const key: VerificationKey = {
  protocol: "groth16",
  curve: "bn128",
  nPublic: 2,
  vk_alpha_1: g1(2n),
  vk_beta_2: g2(3n),
  vk_gamma_2: g2(1n),
  vk_delta_2: g2(4n),
  IC: [g1(5n), g1(6n), g1(7n)],
};

test("a key survives JSON, and snarkjs' redundant field does not matter", () => {
  const json: unknown = JSON.parse(JSON.stringify({ ...key, vk_alphabeta_12: [["1"]] }));
  assert.deepEqual(parseVerificationKey(json), key);
});

test("a key's bytes have a count and compressed points, and its hash is one of them all", () => {
  assert.equal(verificationKeyBytes(key).length, 4 + 32 + 3 * 64 + 3 * 32);
  const hashes = [
    key,
    { ...key, vk_alpha_1: g1(8n) },
    { ...key, vk_beta_2: g2(8n) },
    { ...key, vk_gamma_2: g2(8n) },
    { ...key, vk_delta_2: g2(8n) },
    { ...key, IC: key.IC.with(2, g1(8n)) },
    { ...key, IC: key.IC.toReversed() },
  ].map(vkHash);
  assert.equal(new Set(hashes).size, hashes.length);
  for (const hash of hashes) assert.match(hash, /^[0-9a-f]{64}$/);
});

test("a key that is not exactly a key is refused with the field's name", () => {
  const P = bn254.fields.Fp.ORDER;
  const [x = "", y = ""] = g1(2n);
  const refused: [string, unknown][] = [
    ["protocol", { ...key, protocol: "plonk" }],
    ["curve", { ...key, curve: "bls12381" }],
    ["nPublic", { ...key, nPublic: 1.5 }],
    ["nPublic", { ...key, nPublic: 5000 }],
    ["IC", { ...key, nPublic: 3 }],
    ["IC", { ...key, IC: undefined }],
    ["IC\\[1\\]", { ...key, IC: key.IC.with(1, ["1", "3", "1"]) }],
    ["vk_alpha_1", { ...key, vk_alpha_1: [x, y, "0"] }],
    ["vk_alpha_1", { ...key, vk_alpha_1: [x, y] }],
    ["vk_alpha_1", { ...key, vk_alpha_1: [`0${x}`, y, "1"] }],
    ["vk_alpha_1", { ...key, vk_alpha_1: [(BigInt(x) + P).toString(), y, "1"] }],
    ["vk_alpha_1", { ...key, vk_alpha_1: [Number(x), y, "1"] }],
    ["vk_beta_2", { ...key, vk_beta_2: [...g2(3n).slice(0, 2), ["0", "0"]] }],
    [
      "vk_delta_2",
      {
        ...key,
        vk_delta_2: [
          ["1", "2"],
          ["3", "4"],
          ["1", "0"],
        ],
      },
    ],
    ["verificationKey", null],
    ["verificationKey", []],
  ];
  for (const [field, json] of refused) {
    assert.throws(() => parseVerificationKey(json), { code: "genesis/invalid", message: new RegExp(field) });
  }
});

test("the catalogue has a main component for every shape, with all public inputs named", () => {
  for (const { id, source } of catalogue()) {
    assert.equal(circuitOf(id).source, source);
    assert.match(source, /public \[task, epoch, podId, dataRoot, batchIndex, w\]/);
  }
  assert.match(circuitOf("gradient-32x10").source, /Gradient\(32, 10, 10, 8\)/);
  assert.throws(() => circuitOf("gradient-2x2"), { code: "circuit/unknown" });
});

/**
 * Valid proofs of any statement, true or false, without a witness, in a fraction of a millisecond: what a
 * development set-up cannot prevent, because its trapdoor is computed from the circuit and known to everybody.
 * For benches that need thousands of proofs of whatever a chain's beacon draws; never outside test/. Genesis
 * refuses such keys on chains whose id does not begin with `dev-`.
 *
 * Groth16 with γ = 1: for any a and b, c = (a·b − α·β − Σ xᵢ·ICᵢ) / δ makes (a·G1, b·G2, c·G1) a proof of x.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { BuiltCircuit } from "../../circuits/build/build.ts";
import { createFixedBase } from "../../circuits/build/fixed-base.ts";
import { developmentTrapdoor, keyScalars } from "../../circuits/build/qap.ts";
import { readR1cs } from "../../circuits/build/r1cs.ts";
import { elementsBytes, POINT_BYTES } from "../../circuits/build/zkey.ts";
import { encodeG1, encodeG2 } from "../../circuits/points.ts";
import { PROOF_BYTES } from "../../circuits/proof.ts";
import { bytesToBigint } from "../../consensus/primitives/bytes.ts";
import { FIELD_ORDER as r } from "../../consensus/work/gradient.ts";

const P = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;

const mod = (value: bigint, modulus = r): bigint => ((value % modulus) + modulus) % modulus;

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let [result, square] = [1n, base % modulus];
  for (let e = exponent; e > 0n; e >>= 1n) {
    if ((e & 1n) === 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

/** Out of the Montgomery form of the kernels that multiply. */
const OUT = power(2n ** 256n % P, P - 2n, P);

export type Forge = (statements: readonly (readonly bigint[])[]) => Uint8Array[];

export async function createForge(circuit: BuiltCircuit): Promise<Forge> {
  const bytes = await readFile(circuit.r1csPath);
  const trapdoor = developmentTrapdoor(bytes);
  const { ic } = keyScalars(readR1cs(bytes), trapdoor);
  const overDelta = power(trapdoor.delta, r - 2n, r);
  const multiply = await createFixedBase();
  const random = (): bigint => mod(bytesToBigint(new Uint8Array(randomBytes(40))));

  return (statements) => {
    const scalars = statements.map((signals) => {
      const [a, b] = [random(), random()];
      const sum = signals.reduce((total, x, i) => total + x * (ic[i + 1] ?? 0n), ic[0] ?? 0n);
      return { a, b, c: mod(mod(a * b - trapdoor.alpha * trapdoor.beta - sum) * overDelta) };
    });
    const pointsOf = (group: "g1" | "g2", values: readonly bigint[]): bigint[][] => {
      const points = multiply(group, elementsBytes(values));
      const size = POINT_BYTES[group];
      return values.map((_, i) =>
        Array.from({ length: size / 32 }, (_value, k) => {
          const at = i * size + 32 * k;
          return (bytesToBigint(points.subarray(at, at + 32)) * OUT) % P;
        }),
      );
    };
    const as = pointsOf(
      "g1",
      scalars.map(({ a }) => a),
    );
    const bs = pointsOf(
      "g2",
      scalars.map(({ b }) => b),
    );
    const cs = pointsOf(
      "g1",
      scalars.map(({ c }) => c),
    );
    return scalars.map((_, i) => {
      const [ax = 0n, ay = 0n] = as[i] ?? [];
      const [x0 = 0n, x1 = 0n, y0 = 0n, y1 = 0n] = bs[i] ?? [];
      const [cx = 0n, cy = 0n] = cs[i] ?? [];
      const proof = new Uint8Array(PROOF_BYTES);
      proof.set(encodeG1({ x: ax, y: ay }), 0);
      proof.set(encodeG2({ x: { c0: x0, c1: x1 }, y: { c0: y0, c1: y1 } }), 32);
      proof.set(encodeG1({ x: cx, y: cy }), 96);
      return proof;
    });
  };
}

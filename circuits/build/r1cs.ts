/**
 * Reads an `.r1cs` file as circom writes it. Called by the development set-up, and by tests that check
 * forged witnesses against the constraints themselves.
 *
 * Format (iden3, version 1): sections {u32 id, u64 length}; 1 header, 2 constraints, each three sparse rows
 * A, B, C with ⟨A,z⟩·⟨B,z⟩ = ⟨C,z⟩, where z is 1, outputs, public inputs, private inputs, the rest.
 */

import { invariant } from "../../consensus/primitives/faults.ts";
import { FIELD_ORDER } from "../../consensus/work/gradient.ts";

/** One matrix, by its non-zero entries: row, column and value at the same index. */
export type SparseMatrix = {
  readonly rows: number[];
  readonly columns: number[];
  readonly values: bigint[];
};

export type R1cs = {
  /** Length of z. */
  readonly variables: number;
  /** Outputs and public inputs: the signals 1 … publics of z. */
  readonly publics: number;
  readonly constraints: number;
  readonly a: SparseMatrix;
  readonly b: SparseMatrix;
  readonly c: SparseMatrix;
};

const HEADER = 1;
const CONSTRAINTS = 2;

/** 32 little-endian bytes as a number. */
export function readElement(view: DataView, at: number): bigint {
  const high = (view.getBigUint64(at + 24, true) << 64n) | view.getBigUint64(at + 16, true);
  const low = (view.getBigUint64(at + 8, true) << 64n) | view.getBigUint64(at, true);
  return (high << 128n) | low;
}

export function readR1cs(bytes: Uint8Array): R1cs {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  invariant(view.getUint32(0, true) === 0x73633172 && view.getUint32(4, true) === 1, "this is an r1cs file");
  const sections = new Map<number, number>();
  let at = 12;
  for (let s = 0; s < view.getUint32(8, true); s++) {
    sections.set(view.getUint32(at, true), at + 12);
    at += 12 + Number(view.getBigUint64(at + 4, true));
  }

  const header = sections.get(HEADER);
  const body = sections.get(CONSTRAINTS);
  invariant(header !== undefined && body !== undefined, "an r1cs has a header and constraints");
  invariant(view.getUint32(header, true) === 32, "field elements have 32 bytes");
  invariant(readElement(view, header + 4) === FIELD_ORDER, "the field is BN254's");
  const variables = view.getUint32(header + 36, true);
  const publics = view.getUint32(header + 40, true) + view.getUint32(header + 44, true);
  const constraints = view.getUint32(header + 60, true);

  const empty = (): SparseMatrix => ({ rows: [], columns: [], values: [] });
  const [a, b, c] = [empty(), empty(), empty()];
  at = body;
  for (let row = 0; row < constraints; row++) {
    for (const matrix of [a, b, c]) {
      const terms = view.getUint32(at, true);
      at += 4;
      for (let t = 0; t < terms; t++) {
        matrix.rows.push(row);
        matrix.columns.push(view.getUint32(at, true));
        matrix.values.push(readElement(view, at + 4));
        at += 36;
      }
    }
  }
  return { variables, publics, constraints, a, b, c };
}

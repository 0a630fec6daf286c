/** What this project uses of ffjavascript 0.3.1, which ships no types. */
declare module "ffjavascript" {
  /** Bytes of one element, or of many, one after the other. */
  type Group = {
    /** Jacobian; of affine points and plain little-endian scalars. */
    multiExpAffine(bases: Uint8Array, scalars: Uint8Array): Promise<Uint8Array>;
    toAffine(point: Uint8Array): Uint8Array;
  };
  type ScalarField = {
    /** Montgomery form. */
    fft(values: Uint8Array): Promise<Uint8Array>;
    ifft(values: Uint8Array): Promise<Uint8Array>;
    batchApplyKey(values: Uint8Array, first: Uint8Array, step: Uint8Array): Promise<Uint8Array>;
    e(value: bigint): Uint8Array;
    toObject(element: Uint8Array): bigint;
    random(): Uint8Array;
    readonly one: Uint8Array;
    readonly w: readonly Uint8Array[];
  };
  /** BN254's arithmetic as a WebAssembly module, and a thin engine around it. */
  type Curve = {
    readonly tm: { readonly code: Uint8Array; readonly pG1gen: number; readonly pG2gen: number };
    readonly G1: Group;
    readonly G2: Group;
    readonly Fr: ScalarField;
    terminate(): Promise<void>;
  };
  export function buildBn128(singleThread: boolean): Promise<Curve>;
}

/** What this project uses of ffjavascript 0.3.1, which ships no types. */
declare module "ffjavascript" {
  /** BN254's arithmetic as a WebAssembly module, and a thin engine around it. */
  type Curve = {
    readonly tm: { readonly code: Uint8Array; readonly pG1gen: number; readonly pG2gen: number };
    terminate(): Promise<void>;
  };
  export function buildBn128(singleThread: boolean): Promise<Curve>;
}

/** What this project uses of snarkjs 0.7.6, which ships no types. */
declare module "snarkjs" {
  /** A path, the bytes, or a file in memory, also one to be written. */
  type FileLike = string | Uint8Array | { type: "mem"; data?: Uint8Array };
  type Signal = string | bigint | number;
  type Inputs = Record<string, Signal | readonly Signal[]>;
  type Logger = {
    debug(message: string): void;
    info(message: string): void;
    warn(message: string): void;
    error(message: string): void;
  };
  /** Affine points as decimal strings; the last coordinate is 1. */
  type Groth16Proof = {
    protocol: string;
    curve: string;
    pi_a: string[];
    pi_b: string[][];
    pi_c: string[];
  };
  type Groth16Key = {
    protocol: string;
    curve: string;
    nPublic: number;
    vk_alpha_1: string[];
    vk_beta_2: string[][];
    vk_gamma_2: string[][];
    vk_delta_2: string[][];
    IC: string[][];
  };

  export const groth16: {
    prove(
      zkey: FileLike,
      witness: FileLike,
      logger?: Logger,
    ): Promise<{ proof: Groth16Proof; publicSignals: string[] }>;
    verify(key: Groth16Key, publicSignals: readonly string[], proof: Groth16Proof): Promise<boolean>;
  };
  export const wtns: {
    calculate(inputs: Inputs, wasm: FileLike, witness: FileLike): Promise<void>;
    check(r1cs: FileLike, witness: FileLike, logger?: Logger): Promise<boolean>;
    exportJson(witness: FileLike): Promise<bigint[]>;
  };
  export const zKey: {
    exportVerificationKey(zkey: FileLike, logger?: Logger): Promise<Groth16Key>;
  };
}

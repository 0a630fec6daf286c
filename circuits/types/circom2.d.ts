/** What this project uses of circom2 0.2.23: circom 2.2.3 as a WASI program. */
declare module "circom2" {
  type Bindings = Record<string, unknown>;
  export const bindings: Bindings;
  export class CircomRunner {
    constructor(options: {
      args: readonly string[];
      env: Record<string, string>;
      preopens: Record<string, string>;
      bindings: Bindings;
    });
    execute(wasm: Uint8Array): Promise<unknown>;
  }
}

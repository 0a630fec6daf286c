/** What this project uses of WebAssembly, which is typed only in TypeScript's browser library. */
interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

interface WasmModule {
  readonly brand: "WebAssembly.Module";
}

declare const WebAssembly: {
  Memory: new (size: { initial: number }) => WasmMemory;
  validate(code: Uint8Array): boolean;
  compile(code: Uint8Array): Promise<WasmModule>;
  instantiate(
    module: WasmModule,
    imports: Record<string, unknown>,
  ): Promise<{ readonly exports: Readonly<Record<string, unknown>> }>;
};

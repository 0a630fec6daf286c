/**
 * Runs circom's witness generator, the WebAssembly that circom 2 makes of a circuit. Called by engine.ts; browser
 * safe. Its interface is that of circom's own witness_calculator: signals by the FNV-1a hash of their names,
 * values through eight shared words.
 *
 * The module is compiled once and stays; every witness has an instance of its own, whose memory is overwritten
 * afterwards. Nothing it says is printed.
 */

import { FaultError, invariant } from "../../consensus/primitives/faults.ts";
import { SCALARS } from "./zkey.ts";

const WORDS = 8;
const MESSAGE_MAX = 4096;
const CIRCOM_2 = 2;

type Call = (...numbers: number[]) => number;

export type WitnessCalculator = {
  /** 32 bytes a signal, little-endian. @throws `circuit/witness-failed` */
  calculate(inputs: Readonly<Record<string, bigint | readonly bigint[]>>): Promise<Uint8Array>;
};

/** Marks what the generator reports through its exception handler. */
class Refused extends Error {}

function hashOf(name: string): readonly [high: number, low: number] {
  let hash = 0xcbf29ce484222325n;
  for (const character of name) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(character.charCodeAt(0))) * 0x100000001b3n);
  }
  return [Number(BigInt.asIntN(32, hash >> 32n)), Number(BigInt.asIntN(32, hash))];
}

export async function createWitnessCalculator(wasm: Uint8Array): Promise<WitnessCalculator> {
  const module = await WebAssembly.compile(wasm);
  return { calculate: (inputs) => calculate(module, inputs) };
}

async function calculate(
  module: WasmModule,
  inputs: Readonly<Record<string, bigint | readonly bigint[]>>,
): Promise<Uint8Array> {
  let said = "";
  let exports: Readonly<Record<string, unknown>> = {};
  const call = (name: string): Call => {
    const found = exports[name];
    invariant(typeof found === "function", "the witness generator has circom 2's functions");
    return found as Call;
  };
  ({ exports } = await WebAssembly.instantiate(module, {
    runtime: {
      exceptionHandler: () => {
        throw new Refused();
      },
      printErrorMessage: () => {
        const next = call("getMessageChar");
        for (let code = next(); code !== 0; code = next()) {
          if (said.length < MESSAGE_MAX) said += String.fromCharCode(code);
        }
      },
      // A circuit's log(): taken and dropped.
      writeBufferMessage: () => {
        const next = call("getMessageChar");
        while (next() !== 0);
      },
      showSharedRWMemory: () => undefined,
    },
  }));
  invariant(call("getVersion")() === CIRCOM_2, "the witness generator is circom 2's");
  invariant(call("getFieldNumLen32")() === WORDS, "the witness generator has numbers of 32 bytes");
  const { memory } = exports as { readonly memory: WasmMemory };

  try {
    const [write, set] = [call("writeSharedRWMemory"), call("setInputSignal")];
    const sizeOf = call("getInputSignalSize");
    call("init")(0);
    let given = 0;
    for (const [name, value] of Object.entries(inputs)) {
      const values = typeof value === "bigint" ? [value] : value;
      const [high, low] = hashOf(name);
      if (sizeOf(high, low) !== values.length) throw new Refused();
      for (const [index, signal] of values.entries()) {
        const number = SCALARS.mod(signal);
        for (let word = 0; word < WORDS; word++) {
          write(word, Number(BigInt.asIntN(32, number >> BigInt(32 * word))));
        }
        set(high, low, index);
        given++;
      }
    }
    if (given !== call("getInputSize")()) throw new Refused();

    const size = call("getWitnessSize")();
    const [show, shared] = [call("getWitness"), call("getSharedRWMemoryStart")() / 4];
    const witness = new Uint32Array(WORDS * size);
    const words = new Uint32Array(memory.buffer);
    for (let signal = 0; signal < size; signal++) {
      show(signal);
      witness.set(words.subarray(shared, shared + WORDS), WORDS * signal);
    }
    return new Uint8Array(witness.buffer);
  } catch (error) {
    if (!(error instanceof Refused)) throw new FaultError("circuit/witness-failed", {});
    // The text names template and line of the first broken constraint, and may go on: keep only these.
    throw new FaultError("circuit/witness-failed", placeOf(said));
  } finally {
    new Uint8Array(memory.buffer).fill(0);
  }
}

/** Where a constraint broke, from the generator's own words. */
export function placeOf(text: string): { readonly template: string; readonly line: string } {
  const [, template = "", line = ""] = /template (\w+?)(?:_\d+)? line: (\d+)/.exec(text) ?? [];
  return { template, line };
}

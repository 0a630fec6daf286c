/** A devnet in a terminal from start to end: `zkp devnet`. Returns the exit code; whoever calls it owns the signals. */
import { FaultError } from "../consensus/primitives/faults.ts";
import { pause } from "../pod/wait.ts";
import { type DevnetOptions, startDevnet } from "./devnet.ts";
import { createTerminal } from "./terminal.ts";

export type RunDevnetOptions = DevnetOptions & {
  readonly json: boolean;
  readonly verbose: boolean;
  /** Stops by itself after so long, counted from when it is ready. */
  readonly forMs?: number;
  readonly signal: AbortSignal;
};

const STATUS_MS = 200;

export async function runDevnet(options: RunDevnetOptions): Promise<void> {
  const { json, verbose, forMs, signal, ...devnetOptions } = options;
  const terminal = createTerminal({ json, verbose });
  try {
    const devnet = await startDevnet({ ...devnetOptions, signal, onEvent: (event) => terminal.event(event) });
    try {
      terminal.ready(devnet);
      const end = forMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + forMs;
      let away = false;
      while (Date.now() < end && !signal.aborted) {
        try {
          terminal.status(await devnet.status());
          away = false;
        } catch (error) {
          if (signal.aborted) break;
          if (!(error instanceof FaultError)) throw error;
          if (!away) terminal.say(error.message);
          away = true;
        }
        await settled(pause(Math.min(STATUS_MS, Math.max(0, end - Date.now())), signal));
      }
      if (forMs !== undefined && !signal.aborted) {
        const summary = await devnet.summary();
        terminal.close();
        terminal.summary(summary);
      }
    } finally {
      terminal.close();
      await devnet.stop();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    terminal.close();
  }
}

/** A pause that may be cut short. */
async function settled(wait: Promise<void>): Promise<void> {
  await Promise.allSettled([wait]);
}

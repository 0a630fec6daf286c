/**
 * How commands end: commander's errors beside those of node/exit.ts, and the one form in which an error is printed:
 * what happened, why, what to do, its code. Used by program.ts.
 */
import { CommanderError } from "commander";
import { FAULTS, FaultError } from "../consensus/primitives/faults.ts";
import { EXIT, exitCodeOf } from "../node/exit.ts";

export function commandExitCode(error: unknown): number {
  if (!(error instanceof CommanderError)) return exitCodeOf(error);
  return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
}

/** For stderr. No stack unless asked for: it may run to pages, and a person can't act on it. */
export function errorText(error: unknown, verbose: boolean): string {
  if (error instanceof FaultError) {
    const [, , reason, hint] = FAULTS[error.code];
    const details = Object.entries(error.fault.data ?? {}).map(
      ([key, value]) => `\n  ${key}: ${String(value)}`,
    );
    return `error: ${reason}${details.join("")}\n  fix: ${hint}\n  code: ${error.code}${verbose ? `\n${error.stack ?? ""}` : ""}`;
  }
  if (error instanceof Error)
    return `error: ${verbose ? (error.stack ?? error.message) : error.message} (a bug; --verbose shows where)`;
  return `error: ${String(error)}`;
}

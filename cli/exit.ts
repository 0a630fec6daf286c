/**
 * How commands end: exit codes by the group of the fault, and the one form in which an error is printed:
 * what happened, why, what to do, its code. Used by program.ts.
 */
import { CommanderError } from "commander";
import { FAULTS, type FaultCode, FaultError } from "../consensus/primitives/faults.ts";

export const EXIT = {
  ok: 0,
  bug: 1,
  usage: 2,
  configuration: 3,
  unreachable: 4,
  timeout: 5,
  rejected: 6,
  inUse: 7,
} as const;

const SPECIAL: Partial<Record<FaultCode, number>> = {
  "config/usage": EXIT.usage,
  "node/unreachable": EXIT.unreachable,
  "rpc/timeout": EXIT.timeout,
  "prover/stalled": EXIT.timeout,
  "rpc/internal": EXIT.bug,
  "rpc/result-invalid": EXIT.bug,
  "node/port-in-use": EXIT.inUse,
  "node/store-locked": EXIT.inUse,
  "node/key-in-use": EXIT.inUse,
};

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (!(error instanceof FaultError)) return EXIT.bug;
  const special = SPECIAL[error.code];
  if (special !== undefined) return special;
  const group = Math.floor(FAULTS[error.code][0] / 1000);
  return group === 7 || group === 8 ? EXIT.configuration : EXIT.rejected;
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

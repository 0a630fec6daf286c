/**
 * How processes end: the exit codes, by the group of the fault. Used by a node's own process and, with what only a
 * command line knows, by the CLI.
 */
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
  if (!(error instanceof FaultError)) return EXIT.bug;
  const special = SPECIAL[error.code];
  if (special !== undefined) return special;
  const group = Math.floor(FAULTS[error.code][0] / 1000);
  return group === 7 || group === 8 ? EXIT.configuration : EXIT.rejected;
}

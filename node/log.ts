/**
 * Logs: one JSON object a line, to stderr or to a file, because stdout is for data. Services take the
 * small {@link Log}, made here by node/main, devnet and tests; `log.child({part: "network"})` names the part.
 */
import { type DestinationStream, destination, type Logger, pino } from "pino";

export const LOG_LEVELS = ["silent", "fatal", "error", "warn", "info", "debug", "trace"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

type LogMethod = (data: Readonly<Record<string, unknown>>, message: string) => void;

/** What services need of a logger. */
export type Log = {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
};

export type LogOptions = {
  readonly level?: LogLevel;
  /** Written to stderr if there is none; its folder is created. */
  readonly file?: string;
  /** Which node, in every line. */
  readonly node?: string;
};

export function createLogger({ level = "info", file, node }: LogOptions = {}): Logger {
  // Synchronous: what a process said before it died is what one wants to read.
  const target: DestinationStream =
    file === undefined
      ? destination({ fd: 2, sync: true })
      : destination({ dest: file, sync: true, mkdir: true, mode: 0o600 });
  return pino(
    {
      level,
      base: node === undefined ? null : { node },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // Whoever logs an object with keys in it must not print them.
      redact: ["secretKey", "*.secretKey", "seed", "*.seed", "privateKey", "*.privateKey"],
    },
    target,
  );
}

/** For tests and tools that report in another way. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

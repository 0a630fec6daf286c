/**
 * A child process that is watched: started, stopped gently or killed, started again when it dies by
 * itself, its output read line by line. The devnet runs its nodes and pods in these.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { FaultError } from "../consensus/primitives/faults.ts";
import { nodeEnv } from "../node/process.ts";

export type Crash = {
  readonly name: string;
  /** Exit code or signal. */
  readonly how: string;
  /** The end of what it said on stderr. */
  readonly errors: string;
  /** Whether it is started again. */
  readonly again: boolean;
};

export type ChildOptions = {
  readonly name: string;
  /** Script and its arguments, run by this Node. */
  readonly args: readonly string[];
  /** Each line of stdout. */
  readonly onLine: (line: string) => void;
  /** It died by itself; `again` tells whether it is started again. */
  readonly onCrash: (crash: Crash) => void;
  /** Whether an end with exit code 0 is the end of its work; otherwise every end by itself counts as a crash. */
  readonly mayEnd?: () => boolean;
  /** It ended with its work done; it is not started again. */
  readonly onEnd?: (name: string) => void;
};

export type Child = {
  readonly name: string;
  readonly pid: number | undefined;
  /** How often it was started again after it died by itself. */
  readonly restarts: number;
  /** Meant to run, and not over. */
  readonly running: boolean;
  start(): void;
  /** SIGTERM, then SIGKILL; resolves when it is gone. */
  stop(): Promise<void>;
  /** SIGKILL; it stays down until it is started. */
  kill(): Promise<void>;
};

const GENTLE_MS = 5_000;
const RESTARTS_MAX = 20;
const RESTART_MS = 500;
/** Of stderr, for the message about a crash. */
const ERROR_CHARACTERS_MAX = 4_000;
const ORPHAN = new URL("./orphan.ts", import.meta.url).href;
const ROOT = fileURLToPath(new URL("..", import.meta.url));

export function createChild({ name, args, onLine, onCrash, onEnd, mayEnd }: ChildOptions): Child {
  let child: ChildProcess | undefined;
  let gone: Promise<void> = Promise.resolve();
  let wanted = false;
  let restarts = 0;
  let again: NodeJS.Timeout | undefined;

  const spawnIt = (): void => {
    const it = spawn(process.execPath, ["--import", ORPHAN, ...args], {
      cwd: ROOT,
      env: nodeEnv(),
      // The channel is there so that its end tells the child that the parent is gone (orphan.ts).
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    let errors = "";
    it.stderr?.setEncoding("utf8").on("data", (text: string) => {
      errors = (errors + text).slice(-ERROR_CHARACTERS_MAX);
    });
    if (it.stdout !== null) createInterface({ input: it.stdout }).on("line", onLine);
    child = it;
    gone = new Promise((resolve) => {
      it.once("error", (error) => {
        errors += error.message;
        resolve();
      });
      it.once("close", (code, signal) => {
        child = undefined;
        resolve();
        if (!wanted) return;
        if (code === 0 && mayEnd?.() === true) {
          wanted = false;
          onEnd?.(name);
          return;
        }
        const willStart = restarts < RESTARTS_MAX;
        onCrash({
          name,
          how: signal === null ? `exit code ${code}` : `signal ${signal}`,
          errors: errors.trim(),
          again: willStart,
        });
        if (!willStart) {
          wanted = false;
          return;
        }
        restarts++;
        again = setTimeout(spawnIt, RESTART_MS);
      });
    });
  };

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    wanted = false;
    clearTimeout(again);
    const it = child;
    if (it === undefined) return;
    it.kill(signal);
    const hard = setTimeout(() => it.kill("SIGKILL"), GENTLE_MS);
    await gone;
    clearTimeout(hard);
  };

  return {
    name,
    get pid() {
      return child?.pid;
    },
    get restarts() {
      return restarts;
    },
    get running() {
      return wanted;
    },
    start: () => {
      if (wanted) throw new FaultError("node/store-locked", { process: name, problem: "it runs already" });
      wanted = true;
      spawnIt();
    },
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
  };
}

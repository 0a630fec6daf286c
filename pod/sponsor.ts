/**
 * The sponsor of a task: after each close it opens exactly the holdout slices that the beacon drew, and
 * tells of each settled round. Run inside the devnet's process; a task without its sponsor's reveals
 * neither steps nor mints.
 */
import { fromHex } from "../consensus/primitives/bytes.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { Epoch } from "../consensus/primitives/units.ts";
import type { Round, TaskDetail } from "../rpc/methods.ts";
import { type Account, sendTransaction } from "./account.ts";
import type { Client } from "./client.ts";
import type { HoldoutPool } from "./holdout.ts";
import { pause, withPatience } from "./wait.ts";

export type SponsorEvent =
  | {
      readonly kind: "revealed";
      readonly epoch: number;
      readonly slices: readonly number[];
      readonly height: number;
    }
  | { readonly kind: "reveal-failed"; readonly epoch: number; readonly code: string; readonly reason: string }
  | { readonly kind: "settled"; readonly round: Round }
  | { readonly kind: "over" };

export type RunSponsorOptions = {
  readonly client: Client;
  readonly account: Account;
  /** Task id, 0x-hex. */
  readonly task: string;
  readonly pool: HoldoutPool;
  readonly onEvent: (event: SponsorEvent) => void;
  readonly signal: AbortSignal;
  readonly pollMs?: number;
};

const POLL_MS = 250;
const OUTAGE_MS = 300_000;
const REVEAL_MS = 60_000;
/** Faults after which the same reveal may still be wanted: the window opens a block later, or the nonce raced. */
const AGAIN: ReadonlySet<string> = new Set([
  "task/reveal-window",
  "rpc/timeout",
  "node/unreachable",
  "transaction/expired",
]);

/** Returns when the task's last round is settled; throws the signal's reason when stopped. */
export async function runSponsor(options: RunSponsorOptions): Promise<void> {
  const { client, task, onEvent, signal, pollMs = POLL_MS } = options;
  const patient = <T>(work: () => Promise<T>): Promise<T> =>
    withPatience(work, { signal, timeoutMs: OUTAGE_MS });
  const settled = new Set<string>();
  let revealed = -1;
  let looked = "";
  for (;;) {
    const status = await patient(() => client.call("chain_status", {}, { signal }));
    const epoch = Number(status.epoch);
    const closed = status.place > status.closePlace;
    const look = `${epoch} ${closed && revealed < epoch ? status.finalizedHeight : ""}`;
    if (look !== looked) {
      looked = look;
      const detail = await patient(() => client.call("task_get", { task }, { signal }));
      for (const round of detail.rounds) {
        if (settled.has(round.epoch)) continue;
        settled.add(round.epoch);
        onEvent({ kind: "settled", round });
      }
      if (Number(detail.epoch) > Number(detail.lastRound)) {
        onEvent({ kind: "over" });
        return;
      }
      if (detail.revealed) revealed = Math.max(revealed, Number(detail.epoch));
      else if (
        detail.drawnSlices.length > 0 &&
        revealed < Number(detail.epoch) &&
        (await reveal(options, detail))
      ) {
        revealed = Number(detail.epoch);
      }
    }
    await pause(pollMs, signal);
  }
}

/** Whether this round needs no further attempt. */
async function reveal(options: RunSponsorOptions, detail: TaskDetail): Promise<boolean> {
  const { client, account, pool, onEvent, signal } = options;
  const epoch = Number(detail.epoch);
  const slices = detail.drawnSlices;
  try {
    const { height } = await sendTransaction(
      client,
      account,
      {
        selector: 4,
        value: {
          task: fromHex(detail.id, 32),
          epoch: Epoch(epoch),
          slices: slices.map((index) => pool.open(index)),
        },
      },
      { signal, timeoutMs: REVEAL_MS },
    );
    onEvent({ kind: "revealed", epoch, slices, height });
    return true;
  } catch (error) {
    if (!(error instanceof FaultError) || signal.aborted) throw error;
    if (error.code === "task/reveal-done") return true;
    onEvent({ kind: "reveal-failed", epoch, code: error.code, reason: error.message });
    return !AGAIN.has(error.code);
  }
}

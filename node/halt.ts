/**
 * The halt: once two certificates contradict each other, or a notarized block fails here, this node signs
 * nothing until its operator says so. The record is in the database, what was seen in a dump beside it.
 * The driver halts and asks; `zkp node clear-halt` clears.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { toHex } from "../consensus/primitives/bytes.ts";
import { describeFault, type Fault, FaultError } from "../consensus/primitives/faults.ts";
import { type Certificate, CertificateType } from "../consensus/types/certificate.ts";
import type { Log } from "./log.ts";
import type { Store } from "./store/store.ts";

const META = "halt";
const TEXT_MAX = 1_000;

const HaltRecord = z.strictObject({
  kind: z.enum(["diverged", "contradiction"]),
  timeMs: z.number().int().min(0),
  dump: z.string(),
  fault: z.string().optional(),
});
export type HaltRecord = z.infer<typeof HaltRecord>;

/** What the driver saw. */
export type Finding = {
  readonly kind: HaltRecord["kind"];
  readonly blockHash?: Uint8Array;
  readonly fault?: Fault | undefined;
  /** Those that contradict each other, or those of the block. */
  readonly certificates: readonly Certificate[];
};

export type Halt = ReturnType<typeof createHalt>;

export function createHalt(dir: string, { store, log }: { store: Pick<Store, "meta" | "write">; log: Log }) {
  let record = readHalt(store);
  if (record !== undefined)
    log.error({ ...record }, "HALTED before this start: nothing is signed until zkp node clear-halt");
  return {
    /** Undefined if the node may sign. */
    get: (): HaltRecord | undefined => record,
    /** Durable when it resolves; the dump first, for the record names it. A dump per finding. */
    async halt(finding: Finding): Promise<void> {
      const timeMs = Date.now();
      const dump = `${finding.kind === "diverged" ? "diverged" : "diverged-certificates"}-${timeMs}.json`;
      const said = finding.fault === undefined ? undefined : describeFault(finding.fault).slice(0, TEXT_MAX);
      const next: HaltRecord = {
        kind: finding.kind,
        timeMs,
        dump,
        ...(said === undefined ? {} : { fault: said }),
      };
      // Refusing comes first, whatever the disk says.
      const first = record === undefined;
      record ??= next;
      try {
        await writeFile(join(dir, dump), `${JSON.stringify(dumpOf(finding, next), null, 2)}\n`, {
          mode: 0o600,
        });
      } catch (error) {
        log.error({ dump, error: String(error), ...dumpOf(finding, next) }, "the dump can't be written");
      }
      if (first)
        await store.write([
          { kind: "meta", key: META, value: new TextEncoder().encode(JSON.stringify(next)) },
        ]);
    },
  };
}

/** Allows the node of this database to sign again; what it was halted by, or undefined. */
export async function clearHalt(store: Pick<Store, "meta" | "write">): Promise<HaltRecord | undefined> {
  const record = readHalt(store);
  if (record !== undefined) await store.write([{ kind: "meta", key: META, value: new Uint8Array(0) }]);
  return record;
}

/** An empty value is one that was cleared. */
function readHalt(store: Pick<Store, "meta">): HaltRecord | undefined {
  const bytes = store.meta(META);
  if (bytes === undefined || bytes.length === 0) return undefined;
  try {
    return HaltRecord.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (error) {
    throw new FaultError("node/store-corrupt", { key: META }, error);
  }
}

function dumpOf({ blockHash, fault, certificates }: Finding, record: HaltRecord): Record<string, unknown> {
  return {
    ...record,
    ...(blockHash === undefined ? {} : { blockHash: toHex(blockHash) }),
    ...(fault === undefined ? {} : { refusal: fault }),
    certificates: certificates.map((certificate) => ({
      epoch: certificate.subject.epoch,
      view: certificate.subject.view,
      kind: certificate.subject.kind,
      blockHash: toHex(certificate.subject.blockHash),
      signers: certificate.signers.getTrueBitIndexes(),
      ssz: toHex(CertificateType.serialize(certificate)),
    })),
  };
}

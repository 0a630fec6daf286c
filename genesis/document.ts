/**
 * The genesis document: JSON a person can read, from which every node makes the same first state
 * (genesis/state.ts). Amounts are nzkp as decimal strings, bytes 0x-hex. Pods, roots and tasks count
 * as registered two epochs earlier, so that epoch 0 is a paid round.
 */
import { z } from "zod";
import { FaultError } from "../consensus/primitives/faults.ts";
import { AddressText, hexOf, Int, Uint64 } from "../rpc/encoding.ts";

const VerificationKey = z.looseObject({
  protocol: z.literal("groth16"),
  curve: z.literal("bn128"),
  nPublic: z.number().int(),
});

export const GenesisDocument = z.strictObject({
  /** Development keys and set-ups are refused unless it begins with "dev-". */
  chainId: z.string().regex(/^[a-z0-9][a-z0-9-]{2,30}$/),
  preset: z.enum(["dev", "testnet"]),
  /** Overrides of single parameters, by name (consensus/primitives/params.ts). */
  params: z.record(z.string(), Uint64).default({}),
  timeMs: Uint64,
  accounts: z
    .array(z.strictObject({ address: AddressText, balance: Uint64, note: z.string().optional() }))
    .max(10_000),
  validators: z
    .array(
      z.strictObject({
        name: z.string(),
        /** Ed25519 key of the account that earns the fees and owns the stake. */
        publicKey: hexOf(32),
        blsKey: hexOf(48),
        /** Signature over H(possession ‖ chain ‖ blsKey). */
        possession: hexOf(96),
        stake: Uint64,
      }),
    )
    .min(1)
    .max(128),
  /** The catalogue: shapes that tasks may use, with their verification keys. */
  circuits: z
    .array(z.strictObject({ shape: z.string(), vkHash: hexOf(32), verificationKey: VerificationKey }))
    .max(64),
  pods: z
    .array(
      z.strictObject({
        name: z.string().optional(),
        publicKey: hexOf(32),
        podId: hexOf(32),
        bond: Uint64,
        datasets: z
          .array(
            z.strictObject({
              dataRoot: hexOf(32),
              batches: z.number().int().min(1).max(1024),
              normalization: hexOf(32),
            }),
          )
          .max(16),
      }),
    )
    .max(10_000),
  tasks: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[ -~]{1,64}$/, "1 to 64 printable ASCII characters"),
        shape: z.string(),
        mean: z.array(z.number()).max(64),
        scale: z.array(z.number()).max(64),
        /** Model step: numerator / 2^shift. */
        rate: z.strictObject({
          numerator: z
            .number()
            .int()
            .min(1)
            .max(2 ** 16),
          shift: z.number().int().min(0).max(32),
        }),
        /** C², the largest squared norm of a gradient after clipping. */
        normBound: Int,
        firstRound: Uint64,
        lastRound: Uint64,
        /** Ed25519 key of the sponsor, who alone may reveal. */
        sponsor: hexOf(32),
        holdoutRoot: hexOf(32),
        holdoutSlices: z.number().int().min(1).max(4096),
        enrolled: z
          .array(
            z.strictObject({ podId: hexOf(32), dataRoot: hexOf(32), slots: z.number().int().min(1).max(64) }),
          )
          .max(4_096),
      }),
    )
    .max(16),
});
export type GenesisDocument = z.output<typeof GenesisDocument>;

/** Reads a document strictly; the error names the first field that is wrong. */
export function parseGenesis(text: string): GenesisDocument {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new FaultError("genesis/invalid", { field: "(file)", expected: "JSON" }, error);
  }
  const result = GenesisDocument.safeParse(json);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new FaultError("genesis/invalid", {
      field: issue?.path.join(".") ?? "",
      expected: issue?.message ?? "",
    });
  }
  return result.data;
}

/**
 * How values look in JSON, the same for every method: uint64 as decimal strings, bytes as 0x-hex of
 * fixed length, accounts as bech32m, field elements as decimal strings, absent keys omitted.
 */
import { z } from "zod";

export const hexOf = (bytes: number): z.ZodString =>
  z.string().regex(new RegExp(`^0x[0-9a-f]{${2 * bytes}}$`), `0x and ${2 * bytes} lower-case hex digits`);
const hexText = "0x and lower-case hex digits, two a byte";
/** Long ones are most of what nodes are sent: digits in pairs would be three times as slow. */
export const hexUpTo = (bytes: number): z.ZodString =>
  z
    .string()
    .max(2 + 2 * bytes)
    .regex(/^0x[0-9a-f]*$/, hexText)
    .refine((text) => text.length % 2 === 0, hexText);

export const Hash = hexOf(32);
export const AddressText = z.string().regex(/^zkp1[02-9ac-hj-np-z]{38,60}$/, "a bech32m account, zkp1…");
/** uint64 as a decimal string. */
export const Uint64 = z.string().regex(/^(?:0|[1-9]\d{0,19})$/, "a decimal string below 2^64");
/** A signed integer as a decimal string. */
export const Int = z.string().regex(/^(?:0|-?[1-9]\d{0,39})$/, "a decimal string");
export const Field = z.string().regex(/^(?:0|[1-9]\d{0,77})$/, "a field element as a decimal string");
/** A small count; never an amount, a height or anything that may grow past 2^32. */
export const Count = z
  .number()
  .int()
  .nonnegative()
  .max(2 ** 32);

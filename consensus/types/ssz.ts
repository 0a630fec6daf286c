/**
 * The SSZ basics that all types share, and canonical decoding. SSZ is the wire format, the disk
 * format and the Merkle tree of everything in the project; nothing else encodes by hand.
 */
import {
  type BasicType,
  BitListType,
  ByteVectorType,
  type CompositeTypeAny,
  type Type,
  UintBigintType,
  UintNumberType,
} from "@chainsafe/ssz";
import { equalBytes } from "../primitives/bytes.ts";
import type { Amount, Epoch, Height, ValidatorIndex, View } from "../primitives/units.ts";

export const uint8 = new UintNumberType(1);
export const uint16 = new UintNumberType(2);
export const uint32 = new UintNumberType(4);
/** Decoders refuse values past 2^53 − 1: a number holds only some of them, and those would even encode back. */
export const uint64 = safeUint64();
export const bigint64 = new UintBigintType(8);
export const bigint128 = new UintBigintType(16);

const branded = <T>(type: unknown): BasicType<T> => type as BasicType<T>;
export const HeightType = branded<Height>(uint64);
export const ViewType = branded<View>(uint64);
export const EpochType = branded<Epoch>(uint64);
export const ValidatorIndexType = branded<ValidatorIndex>(uint32);
export const AmountType = branded<Amount>(bigint64);

export const Bytes20 = new ByteVectorType(20);
export const Bytes32 = bytes32();
export const Bytes48 = new ByteVectorType(48);
export const Bytes64 = new ByteVectorType(64);
export const Bytes96 = new ByteVectorType(96);
export const Bytes128 = new ByteVectorType(128);

/** At most this many validators hold a seat in an epoch: a full mesh of direct streams. */
export const SEATS_MAX = 128;
export const SignersType = new BitListType(SEATS_MAX);

export const ZERO32: Uint8Array = new Uint8Array(32);

function safeUint64(): UintNumberType {
  const type = new UintNumberType(8);
  const read = type.value_deserializeFromBytes.bind(type);
  type.value_deserializeFromBytes = (data, start, end) => {
    const value = read(data, start, end);
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is past 2^53 − 1`);
    return value;
  };
  return type;
}

/** Strings of one chunk are their own roots; the library would merkleize each in a buffer of its own. */
function bytes32(): ByteVectorType {
  const type = new ByteVectorType(32);
  type.hashTreeRootInto = (value, output, offset) => {
    if (value.length !== 32) throw new RangeError(`${value.length} bytes are not 32`);
    output.set(value, offset);
  };
  return type;
}

/**
 * Decodes strictly: a value is taken only if it encodes back to the same bytes. Undefined otherwise. The value's
 * byte strings are views of one copy of what was given, which may be a slice of something larger: a copy of each
 * would be two dozen pieces of memory for a submission.
 */
export function decode<T>(type: Type<T>, bytes: Uint8Array): T | undefined {
  try {
    const value = type.deserialize(new Uint8Array(bytes), { reuseBytes: true });
    return equalBytes(type.serialize(value), bytes) ? value : undefined;
  } catch {
    return undefined; // the library throws on any malformed input: one verdict for all of them
  }
}

export function rootOf<T>(type: Type<T>, value: T): Uint8Array {
  return (type as CompositeTypeAny).hashTreeRoot(value as never);
}

/**
 * {@link rootOf} that remembers, by the identity of the value, so that a copy has a root of its own. Only for
 * values that nobody changes once they are made; a value whose root was asked for is frozen.
 */
export function rememberedRoot<T extends object>(type: Type<T>): (value: T) => Uint8Array {
  const roots = new WeakMap<T, Uint8Array>();
  return (value) => {
    const known = roots.get(value);
    if (known !== undefined) return known;
    const root = rootOf(type, value);
    roots.set(Object.freeze(value), root);
    return root;
  };
}

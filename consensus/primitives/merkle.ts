/**
 * Binary Merkle trees of fixed depth over SHA-256, for holdout slices. A branch is the list of
 * siblings from the leaf up. Leaves and nodes have domains of their own.
 */
import { equalBytes } from "./bytes.ts";
import { hash } from "./hash.ts";

const node = (left: Uint8Array, right: Uint8Array): Uint8Array => hash("holdout-node", left, right);

function zeros(depth: number): Uint8Array[] {
  const list: Uint8Array[] = [new Uint8Array(32)];
  for (let i = 0; i < depth; i++) {
    const below = list[i] ?? new Uint8Array(32);
    list.push(node(below, below));
  }
  return list;
}

/** All levels, leaves first; missing leaves are zero. */
export function merkleLevels(leaves: readonly Uint8Array[], depth: number): Uint8Array[][] {
  if (leaves.length > 2 ** depth) throw new RangeError(`${leaves.length} leaves in a tree of depth ${depth}`);
  const empty = zeros(depth);
  const levels: Uint8Array[][] = [leaves.length > 0 ? [...leaves] : [new Uint8Array(32)]];
  for (let level = 0; level < depth; level++) {
    const below = levels[level] ?? [];
    const above: Uint8Array[] = [];
    for (let i = 0; i < below.length; i += 2) {
      above.push(node(below[i] ?? new Uint8Array(32), below[i + 1] ?? empty[level] ?? new Uint8Array(32)));
    }
    levels.push(above);
  }
  return levels;
}

export function merkleRoot(levels: readonly (readonly Uint8Array[])[]): Uint8Array {
  return levels.at(-1)?.[0] ?? new Uint8Array(32);
}

export function merkleBranch(levels: readonly (readonly Uint8Array[])[], index: number): Uint8Array[] {
  const empty = zeros(levels.length - 1);
  return levels.slice(0, -1).map((level, i) => level[(index >> i) ^ 1] ?? empty[i] ?? new Uint8Array(32));
}

export function verifyBranch(
  root: Uint8Array,
  leaf: Uint8Array,
  index: number,
  branch: readonly Uint8Array[],
): boolean {
  if (index < 0 || index >= 2 ** branch.length) return false;
  const top = branch.reduce(
    (below, sibling, i) => (((index >> i) & 1) === 0 ? node(below, sibling) : node(sibling, below)),
    leaf,
  );
  return equalBytes(top, root);
}

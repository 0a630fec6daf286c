/**
 * The chain of the throughput bench: four validators, sixteen public tasks, and 64 pods with a slot in each, so
 * that the beacon draws 1,024 slots an epoch. Everything follows from labels, so that the crowd (a process of its
 * own) makes the same keys and data again. Made by throughput.ts.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { BuiltCircuit } from "../../circuits/build/build.ts";
import { toHex } from "../../consensus/primitives/bytes.ts";
import { resolveParams } from "../../consensus/primitives/params.ts";
import { zkp } from "../../consensus/primitives/units.ts";
import { formatAddress } from "../../consensus/types/address.ts";
import { normalizationHash } from "../../consensus/types/normalization.ts";
import { addressOf } from "../../consensus/types/transaction.ts";
import { possessionRoot } from "../../consensus/types/vote.ts";
import { type Rows, shapeOf } from "../../consensus/work/gradient.ts";
import { generatedTable } from "../../devnet/data.ts";
import { stepOf } from "../../devnet/options.ts";
import { anyPorts } from "../../devnet/ports.ts";
import { GenesisDocument } from "../../genesis/document.ts";
import { chainTag } from "../../genesis/state.ts";
import { blsSecretKey, devKey, type Key, libp2pKey, peerIdOf, saveKey } from "../../node/keys.ts";
import { sliceRows } from "../../pod/dataset.ts";
import { savePool, writeJson } from "../../pod/folder.ts";
import { commitHoldout, type HoldoutPool } from "../../pod/holdout.ts";
import { standardOf, toFixed } from "../../pod/standardise.ts";
import { fieldBytes } from "../helpers/chain.ts";

export const SHAPE = shapeOf("gradient-32x10");
export const CHAIN_ID = "dev-bench";
export const VALIDATORS = 4;
const TASKS = 16;
const PODS = 64;
const BATCHES = 32;
/** As a row of the default preset has them: 96 rows a round. */
const SLICES_PER_ROUND = 12;
const EPOCHS_MAX = 32;
const ROWS_OF_PODS = 256 * SHAPE.rows;
const BOND_UNITS = BigInt(TASKS);

/** A quarter of the default interval; an epoch of 48 blocks is six seconds, of which three and a half take proofs. */
const OVERRIDES = {
  blockIntervalMs: 125n,
  epochHeights: 48n,
  submissionsMax: 512n,
  slicesPerRound: BigInt(SLICES_PER_ROUND),
  batchReuseMax: 255n,
} as const;

export type BenchPod = { readonly podId: Uint8Array; readonly dataRoot: Uint8Array; readonly key: Key };

export const pods = (): BenchPod[] =>
  Array.from({ length: PODS }, (_, i) => ({
    podId: fieldBytes(`bench/pod/${i}`),
    dataRoot: fieldBytes(`bench/data/${i}`),
    key: devKey("account", `bench-pod-${i}`),
  }));
export const sponsorKey = (): Key => devKey("account", "bench-sponsor");

export type Data = {
  readonly standard: ReturnType<typeof standardOf>;
  readonly holdout: Rows;
  /** Rows of a batch; pods share them, which nobody can tell from their commitments. */
  batch(pod: number, index: number): Rows;
};

export function dataOf(): Data {
  const holdoutRows = SLICES_PER_ROUND * EPOCHS_MAX * 8;
  const { rows, labels } = generatedTable({
    seed: 3,
    rows: ROWS_OF_PODS + holdoutRows,
    features: SHAPE.features,
  });
  const standard = standardOf({ rows: rows.slice(ROWS_OF_PODS) });
  const all = toFixed({ rows, labels }, standard);
  return {
    standard,
    holdout: sliceRows(all, ROWS_OF_PODS, ROWS_OF_PODS + holdoutRows),
    batch(pod, index) {
      const at = (pod * BATCHES + index) % (ROWS_OF_PODS / SHAPE.rows);
      return sliceRows(all, at * SHAPE.rows, (at + 1) * SHAPE.rows);
    },
  };
}

const nameOf = ({ publicKey }: Key): string => formatAddress(addressOf(publicKey));

/** The genesis document; its time is now unless said. */
export function documentOf(
  circuit: BuiltCircuit,
  data: Data,
  pool: HoldoutPool,
  timeMs = Date.now(),
): GenesisDocument {
  const { mean, scale } = data.standard;
  const params = resolveParams("dev", OVERRIDES);
  const bench = pods();
  return GenesisDocument.parse({
    chainId: CHAIN_ID,
    preset: "dev",
    params: Object.fromEntries(Object.entries(OVERRIDES).map(([name, value]) => [name, String(value)])),
    timeMs: String(timeMs),
    accounts: [{ address: nameOf(sponsorKey()), balance: String(zkp(1_000)) }],
    validators: Array.from({ length: VALIDATORS }, (_, i) => {
      const bls = devKey("bls", `bench-node-${i}`);
      const possession = blsSecretKey(bls.seed).sign(possessionRoot(chainTag(CHAIN_ID), bls.publicKey));
      return {
        name: `node-${i}`,
        publicKey: toHex(devKey("account", `bench-node-${i}`).publicKey),
        blsKey: toHex(bls.publicKey),
        possession: toHex(possession.toBytes()),
        stake: String(zkp(1_000)),
      };
    }),
    circuits: [
      {
        shape: SHAPE.id,
        vkHash: circuit.vkHash.startsWith("0x") ? circuit.vkHash : `0x${circuit.vkHash}`,
        verificationKey: circuit.verificationKey,
      },
    ],
    pods: bench.map(({ podId, dataRoot, key }) => ({
      publicKey: toHex(key.publicKey),
      podId: toHex(podId),
      bond: String(BOND_UNITS * params.bondUnit),
      datasets: [
        {
          dataRoot: toHex(dataRoot),
          batches: BATCHES,
          normalization: toHex(normalizationHash([...mean], [...scale])),
        },
      ],
    })),
    tasks: Array.from({ length: TASKS }, (_, i) => ({
      name: `task-${i}`,
      shape: SHAPE.id,
      mean: [...mean],
      scale: [...scale],
      rate: stepOf(SHAPE).rate,
      normBound: String(stepOf(SHAPE).normBound),
      firstRound: "0",
      lastRound: String(EPOCHS_MAX - 1),
      sponsor: toHex(sponsorKey().publicKey),
      holdoutRoot: toHex(pool.root),
      holdoutSlices: pool.slices.length,
      enrolled: bench.map(({ podId, dataRoot }) => ({
        podId: toHex(podId),
        dataRoot: toHex(dataRoot),
        slots: 1,
      })),
    })),
  });
}

export type BenchNode = { readonly name: string; readonly dir: string; readonly rpc: string };

export const poolFile = (dir: string): string => join(dir, "pool.json");

/** Writes the genesis document, the sponsor's pool, and each node's folder. */
export async function createFolders(dir: string, circuit: BuiltCircuit): Promise<BenchNode[]> {
  const data = dataOf();
  const pool = commitHoldout(data.holdout, SHAPE.features);
  await savePool(poolFile(dir), pool);
  await writeJson(join(dir, "genesis.json"), documentOf(circuit, data, pool), 0o644);
  const ports = await anyPorts(2 * VALIDATORS);
  const peers = await Promise.all(
    Array.from({ length: VALIDATORS }, async (_, i) => {
      const peerId = peerIdOf(await libp2pKey(devKey("network", `bench-node-${i}`).seed));
      return `/ip4/127.0.0.1/tcp/${ports[i] ?? 0}/p2p/${peerId}`;
    }),
  );
  const nodes: BenchNode[] = [];
  for (let i = 0; i < VALIDATORS; i++) {
    const folder = join(dir, `node-${i}`);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const kind of ["bls", "account", "network"] as const)
      await saveKey(join(folder, `${kind}.json`), devKey(kind, `bench-node-${i}`));
    const port = ports[VALIDATORS + i] ?? 0;
    const config = {
      name: `node-${i}`,
      genesis: "../genesis.json",
      listen: `/ip4/127.0.0.1/tcp/${ports[i] ?? 0}`,
      peers: peers.filter((_, j) => j !== i),
      rpc: { host: "127.0.0.1", port },
      blsKey: "bls.json",
      accountKey: "account.json",
      networkKey: "network.json",
    };
    await writeJson(join(folder, "config.json"), config, 0o644);
    nodes.push({ name: config.name, dir: folder, rpc: `http://127.0.0.1:${port}` });
  }
  return nodes;
}

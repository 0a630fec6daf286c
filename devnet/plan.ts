/**
 * Makes a new devnet's folder: data dealt to pods, sponsor and test, keys for everybody, and the genesis
 * document in which validators stand, pods are bonded and their roots enrolled, so that epoch 0 is paid.
 * Called by devnet.ts when the folder holds no chain yet.
 */
import { randomBytes } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { BuiltCircuit } from "../circuits/build/build.ts";
import { podIdOf } from "../circuits/hash.ts";
import { fromHex, toHex } from "../consensus/primitives/bytes.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { resolveParams } from "../consensus/primitives/params.ts";
import { zkp } from "../consensus/primitives/units.ts";
import { formatAddress } from "../consensus/types/address.ts";
import { fieldToBytes } from "../consensus/types/submission.ts";
import { addressOf, SLICE_ROWS } from "../consensus/types/transaction.ts";
import { possessionRoot } from "../consensus/types/vote.ts";
import { type GradientShape, type Rows, shapeOf } from "../consensus/work/gradient.ts";
import type { GenesisDocument } from "../genesis/document.ts";
import { chainTag, taskId } from "../genesis/state.ts";
import { blsSecretKey, createKey, devKey, type Key, libp2pKey, peerIdOf, saveKey } from "../node/keys.ts";
import { commitRows, type Dataset, padRows, padStandard, type Standard } from "../pod/dataset.ts";
import { randomSecret, savePod, savePool, saveRows, writeJson } from "../pod/folder.ts";
import { commitHoldout, type HoldoutPool } from "../pod/holdout.ts";
import { standardOf, toFixed } from "../pod/standardise.ts";
import { type RawRows, readTable, type Table } from "../pod/table.ts";
import { deal, generatedTable } from "./data.ts";
import { type DevnetFile, paths, writeDevnet } from "./folder.ts";
import {
  type ChainOptions,
  DEAL_SEED,
  DEFAULTS,
  DEV_ACCOUNT_ZKP,
  DEV_ACCOUNTS,
  GENERATED_SEED,
  GENERATED_TEST_ROWS,
  paramOverrides,
  ROUNDS_MAX,
  SPONSOR_ZKP,
  STAKE_ZKP,
  shapeForColumns,
  stepOf,
  TASK_NAME,
} from "./options.ts";

/** What is known before keys are built: which table, and so which circuit. */
export type Draft = { readonly table: Table; readonly shape: GradientShape };

export async function draftOf(options: ChainOptions): Promise<Draft> {
  const { table: source, features = DEFAULTS.features, shape: shapeId } = options;
  if (source !== undefined) {
    const { file, ...columns } = source;
    const table = readTable(await readText(file), { ...columns, name: basename(file) });
    return { table, shape: shapeId === undefined ? shapeForColumns(table.columns.length) : shapeOf(shapeId) };
  }
  const shape = shapeId === undefined ? shapeForColumns(features) : shapeOf(shapeId);
  const { pods = DEFAULTS.pods, batchesPerPod = DEFAULTS.batchesPerPod } = options;
  const slices = options.holdoutSlices ?? ROUNDS_MAX * slicesPerRound(options);
  const rows = pods * batchesPerPod * shape.rows + slices * SLICE_ROWS + GENERATED_TEST_ROWS;
  return {
    table: generatedTable({ seed: GENERATED_SEED, rows, features: Math.min(features, shape.features) }),
    shape,
  };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const problem = error instanceof Error && "code" in error ? String(error.code) : "cannot be read";
    throw new FaultError("table/invalid", { file, problem }, error);
  }
}

function slicesPerRound(options: ChainOptions): number {
  return Number(resolveParams("dev", paramOverrides(options)).slicesPerRound);
}

/** Of the rows that pods and the test leave over: whole rounds of slices, as many as there may be. */
function slicesOf(rows: number, shape: GradientShape, options: ChainOptions): number {
  if (options.holdoutSlices !== undefined) return options.holdoutSlices;
  const { pods = DEFAULTS.pods, batchesPerPod = DEFAULTS.batchesPerPod } = options;
  const perRound = slicesPerRound(options);
  const spare = rows - pods * batchesPerPod * shape.rows - Math.ceil(rows / 10);
  const rounds = Math.floor(spare / (SLICE_ROWS * perRound));
  return perRound * Math.min(ROUNDS_MAX, Math.max(1, rounds));
}

type PodPlan = {
  readonly name: string;
  readonly account: Key;
  readonly secret: bigint;
  readonly dataset: Dataset;
};
type ValidatorPlan = {
  readonly name: string;
  readonly bls: Key;
  readonly account: Key;
  readonly network: Key;
};
type DataPlan = {
  readonly pods: readonly Dataset[];
  readonly pool: HoldoutPool;
  readonly test: Rows;
  readonly standard: Standard;
};

function planData({ table, shape }: Draft, options: ChainOptions): DataPlan {
  const { pods = DEFAULTS.pods, batchesPerPod = DEFAULTS.batchesPerPod } = options;
  const holdoutSlices = slicesOf(table.rows.length, shape, options);
  const dealt = deal(table, {
    pods,
    batchRows: shape.rows,
    batchesPerPod,
    holdoutSlices,
    seed: DEAL_SEED,
  });
  const own = standardOf(dealt.holdout);
  const standard = padStandard(own, shape.features);
  const { copycats = 0 } = options;
  const rowsOf = (i: number): RawRows => dealt.pods[i >= pods - copycats ? 0 : i] ?? { rows: [], labels: [] };
  const fixed = (raw: RawRows): Rows => padRows(toFixed(raw, own), shape.features);
  return {
    standard,
    pods: dealt.pods.map((_, i) => commitRows(fixed(rowsOf(i)), shape, standard)),
    pool: commitHoldout(fixed(dealt.holdout), shape.features),
    test: fixed(dealt.test),
  };
}

export type PlanInput = {
  readonly dir: string;
  readonly options: ChainOptions;
  readonly draft: Draft;
  readonly circuit: BuiltCircuit;
  readonly timeMs: number;
};

/** Writes the folder and returns what devnet.json says, ports still to be given. */
export async function createFolder({ dir, options, draft, circuit, timeMs }: PlanInput): Promise<DevnetFile> {
  const { validators: count = DEFAULTS.validators } = options;
  const chainId = `dev-${randomBytes(2).toString("hex")}`;
  const data = planData(draft, options);
  const pods = data.pods.map((dataset, i): PodPlan => {
    return { name: `clinic-${i}`, account: createKey("account"), secret: randomSecret(), dataset };
  });
  const validators = Array.from({ length: count }, (_, i): ValidatorPlan => {
    return {
      name: `node-${i}`,
      bls: createKey("bls"),
      account: createKey("account"),
      network: createKey("network"),
    };
  });
  const accounts = Array.from({ length: DEV_ACCOUNTS }, (_, i) => devKey("account", `account-${i}`));
  const sponsor = createKey("account");
  const vkHash = prefixed(circuit.vkHash);
  const genesis = genesisOf({
    chainId,
    timeMs,
    options,
    draft,
    circuit,
    data,
    pods,
    validators,
    accounts,
    sponsor,
  });

  const at = paths(dir);
  await mkdir(at.sponsor, { recursive: true, mode: 0o700 });
  await writeJson(at.genesis, genesis, 0o644);
  await savePool(at.pool, data.pool);
  await saveRows(at.test, data.test);
  await saveKey(at.sponsorKey, sponsor);
  const [faucet] = accounts;
  if (faucet !== undefined) await saveKey(at.faucet, faucet);
  for (const [i, { bls, account, network }] of validators.entries()) {
    await mkdir(at.node(i), { recursive: true, mode: 0o700 });
    for (const key of [bls, account, network]) await saveKey(`${at.node(i)}/${key.kind}.json`, key);
  }
  const task = toHex(taskId(chainTag(chainId), 0, TASK_NAME, fromHex(vkHash, 32)));
  const keys = { wasm: circuit.wasmPath, zkey: circuit.zkeyPath };
  for (const [i, { name, account, secret, dataset }] of pods.entries()) {
    await savePod(at.pod(i), { name, task, keys, seed: account.seed, secret, dataset });
  }
  const file: DevnetFile = {
    version: 1,
    chainId,
    options: storedOptions(options),
    task: {
      id: task,
      name: TASK_NAME,
      shape: draft.shape.id,
      rows: draft.shape.rows,
      features: draft.shape.features,
    },
    accounts: accounts.map((key) => ({
      address: nameOf(key),
      balance: String(zkp(DEV_ACCOUNT_ZKP)),
      seed: toHex(key.seed),
    })),
    nodes: await Promise.all(
      validators.map(async ({ name, network }, i) => ({
        name,
        dir: at.node(i),
        rpc: "",
        rpcPort: 1,
        p2pPort: 1,
        peerId: peerIdOf(await libp2pKey(network.seed)),
      })),
    ),
    pods: pods.map(({ name, account, secret }, i) => ({
      name,
      dir: at.pod(i),
      rpc: "",
      podId: toHex(fieldToBytes(podIdOf(secret))),
      account: nameOf(account),
    })),
    sponsor: { dir: at.sponsor, account: nameOf(sponsor) },
  };
  await writeDevnet(dir, file);
  return file;
}

const prefixed = (hex: string): string => (hex.startsWith("0x") ? hex : `0x${hex}`);
const nameOf = ({ publicKey }: Key): string => formatAddress(addressOf(publicKey));

/** Options as devnet.json keeps them: what decides about the chain, nothing else. */
export function storedOptions(options: ChainOptions): DevnetFile["options"] {
  const text = JSON.stringify(options, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
  return JSON.parse(text) as DevnetFile["options"];
}

type GenesisInput = {
  readonly chainId: string;
  readonly timeMs: number;
  readonly options: ChainOptions;
  readonly draft: Draft;
  readonly circuit: BuiltCircuit;
  readonly data: DataPlan;
  readonly pods: readonly PodPlan[];
  readonly validators: readonly ValidatorPlan[];
  readonly accounts: readonly Key[];
  readonly sponsor: Key;
};

function genesisOf(input: GenesisInput): GenesisDocument {
  const { chainId, timeMs, options, draft, circuit, data, pods, validators, accounts, sponsor } = input;
  const overrides = paramOverrides(options, draft.shape);
  const params = resolveParams("dev", overrides);
  const chain = chainTag(chainId);
  const slices = data.pool.slices.length;
  const rounds = Math.floor(slices / Number(params.slicesPerRound));
  const step = stepOf(draft.shape);
  const podIds = pods.map(({ secret }) => toHex(fieldToBytes(podIdOf(secret))));
  return {
    chainId,
    preset: "dev",
    params: Object.fromEntries(Object.entries(overrides).map(([name, value]) => [name, String(value)])),
    timeMs: String(timeMs),
    accounts: [
      ...accounts.map((key, i) => ({
        address: nameOf(key),
        balance: String(zkp(DEV_ACCOUNT_ZKP)),
        note: i === 0 ? "public development key; faucet" : "public development key",
      })),
      { address: nameOf(sponsor), balance: String(zkp(SPONSOR_ZKP)), note: "sponsor" },
    ],
    validators: validators.map(({ name, bls, account }) => ({
      name,
      publicKey: toHex(account.publicKey),
      blsKey: toHex(bls.publicKey),
      possession: toHex(blsSecretKey(bls.seed).sign(possessionRoot(chain, bls.publicKey)).toBytes()),
      stake: String(zkp(STAKE_ZKP)),
    })),
    circuits: [
      {
        shape: draft.shape.id,
        vkHash: prefixed(circuit.vkHash),
        verificationKey:
          circuit.verificationKey as unknown as GenesisDocument["circuits"][number]["verificationKey"],
      },
    ],
    pods: pods.map(({ name, account, dataset }, i) => ({
      name,
      publicKey: toHex(account.publicKey),
      podId: podIds[i] ?? "",
      bond: String(params.bondUnit),
      datasets: [
        {
          dataRoot: toHex(dataset.dataRoot),
          batches: dataset.batches.length,
          normalization: toHex(dataset.normalization),
        },
      ],
    })),
    tasks: [
      {
        name: TASK_NAME,
        shape: draft.shape.id,
        mean: [...data.standard.mean],
        scale: [...data.standard.scale],
        rate: step.rate,
        normBound: String(step.normBound),
        firstRound: "0",
        lastRound: String(Math.max(0, rounds - 1)),
        sponsor: toHex(sponsor.publicKey),
        holdoutRoot: toHex(data.pool.root),
        holdoutSlices: slices,
        enrolled: pods.map(({ dataset }, i) => ({
          podId: podIds[i] ?? "",
          dataRoot: toHex(dataset.dataRoot),
          slots: 1,
        })),
      },
    ],
  };
}

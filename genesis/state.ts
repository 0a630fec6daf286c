/** A genesis document's first state, the same on every node: its root identifies the chain. */

import { verifySignature } from "../consensus/primitives/bls.ts";
import { fromHex, toHex } from "../consensus/primitives/bytes.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { hash } from "../consensus/primitives/hash.ts";
import { PARAMS, type ParamName, type Params, resolveParams } from "../consensus/primitives/params.ts";
import { Amount, add, Epoch, Height, ZERO } from "../consensus/primitives/units.ts";
import { openRound } from "../consensus/state/draws.ts";
import { getAccount, getDataset, getPod, putAccount, putDataset, putPod } from "../consensus/state/maps.ts";
import { seat } from "../consensus/state/seating.ts";
import { resetPresence } from "../consensus/state/settle-epoch.ts";
import {
  newValidator,
  RoundType,
  type State,
  StateType,
  stateRoot,
  TaskType,
  textBytes,
  ValidatorType,
} from "../consensus/state/state.ts";
import { addToSupply } from "../consensus/state/supply.ts";
import { parseAddress } from "../consensus/types/address.ts";
import { normalizationHash, standardisationBytes } from "../consensus/types/normalization.ts";
import { addressOf } from "../consensus/types/transaction.ts";
import { possessionRoot } from "../consensus/types/vote.ts";
import { shapeOf } from "../consensus/work/gradient.ts";
import type { GenesisDocument } from "./document.ts";

export type Genesis = {
  readonly state: State;
  readonly params: Params;
  readonly chain: Uint8Array;
  readonly root: Uint8Array;
};

const refuse = (field: string, expected: string): never => {
  throw new FaultError("genesis/invalid", { field, expected });
};

export function chainTag(chainId: string): Uint8Array {
  return hash("chain-id", textBytes(chainId));
}

/** 31 bytes of H(chain, place in genesis, name, verification key), little-endian with a zero on top: below r. */
export function taskId(chain: Uint8Array, index: number, name: string, vkHash: Uint8Array): Uint8Array {
  const digest = hash("task", chain, new Uint8Array([index]), vkHash, textBytes(name));
  const id = new Uint8Array(32);
  id.set(digest.subarray(0, 31));
  return id;
}

function paramsOf(document: GenesisDocument): Params {
  const overrides: Partial<Record<ParamName, bigint>> = {};
  for (const [name, value] of Object.entries(document.params)) {
    if (!Object.hasOwn(PARAMS, name)) refuse(`params.${name}`, "the name of a parameter");
    overrides[name as ParamName] = BigInt(value);
  }
  return resolveParams(document.preset, overrides);
}

function addValidators(state: State, chain: Uint8Array, document: GenesisDocument, params: Params): void {
  const seen = new Set<string>();
  for (const [i, { publicKey, blsKey, possession, stake }] of document.validators.entries()) {
    const field = `validators.${i}`;
    const key = fromHex(blsKey, 48);
    if (seen.has(blsKey)) refuse(`${field}.blsKey`, "a key that no other validator has");
    seen.add(blsKey);
    if (!verifySignature(possessionRoot(chain, key), key, fromHex(possession, 96))) {
      refuse(`${field}.possession`, "the key's signature over its possession message for this chain id");
    }
    if (BigInt(stake) < params.stakeMin) refuse(`${field}.stake`, `at least ${params.stakeMin}`);
    const account = addressOf(fromHex(publicKey, 32));
    ensureAccount(state, account);
    state.validators.push(
      ValidatorType.toViewDU(newValidator(key, account, Amount(BigInt(stake)), Epoch(0))),
    );
    addToSupply(state, "staked", Amount(BigInt(stake)));
  }
}

function ensureAccount(state: State, address: Uint8Array): void {
  if (getAccount(state, address) === undefined)
    putAccount(state, { address, nonce: 0, balance: ZERO, locked: ZERO });
}

function addPods(state: State, document: GenesisDocument, params: Params): void {
  for (const [i, pod] of document.pods.entries()) {
    const podId = fromHex(pod.podId, 32);
    const publicKey = fromHex(pod.publicKey, 32);
    const bond = Amount(BigInt(pod.bond));
    if (getPod(state, podId) !== undefined) refuse(`pods.${i}.podId`, "an id that no other pod has");
    if (bond < params.bondUnit || bond > params.bondMax)
      refuse(`pods.${i}.bond`, `${params.bondUnit} … ${params.bondMax}`);
    const account = addressOf(publicKey);
    ensureAccount(state, account);
    putPod(state, {
      podId,
      account,
      publicKey,
      bond,
      datasets: pod.datasets.length,
      accepted: 0,
      settledQuality: 0n,
    });
    addToSupply(state, "bonded", bond);
    for (const [j, { dataRoot, batches, normalization }] of pod.datasets.entries()) {
      const root = fromHex(dataRoot, 32);
      if (getDataset(state, root) !== undefined)
        refuse(`pods.${i}.datasets.${j}.dataRoot`, "a root registered once");
      putDataset(state, {
        dataRoot: root,
        podId,
        normalization: fromHex(normalization, 32),
        batches,
        registered: Height(0),
        uses: new Uint8Array(batches),
      });
    }
  }
}

function addTasks(state: State, chain: Uint8Array, document: GenesisDocument, params: Params): void {
  for (const [i, task] of document.tasks.entries()) {
    const field = `tasks.${i}`;
    const shape = shapeOf(task.shape);
    const circuit = document.circuits.find((it) => it.shape === task.shape);
    if (circuit === undefined)
      throw new FaultError("genesis/invalid", {
        field: `${field}.shape`,
        expected: "a shape listed in circuits",
      });
    for (const name of ["mean", "scale"] as const) {
      if (task[name].length !== shape.features) refuse(`${field}.${name}`, `${shape.features} numbers`);
    }
    const normBound = BigInt(task.normBound);
    if (normBound < 1n || normBound >= 2n ** 128n) refuse(`${field}.normBound`, "1 … 2^128 − 1");
    if (BigInt(task.holdoutSlices) < params.slicesPerRound)
      refuse(`${field}.holdoutSlices`, `at least ${params.slicesPerRound}`);
    if (Number(task.lastRound) < Number(task.firstRound)) refuse(`${field}.lastRound`, "at least firstRound");
    const vkHash = fromHex(circuit.vkHash, 32);
    const normalization = normalizationHash(task.mean, task.scale);
    const asked = new Set<string>();
    const enrollments = task.enrolled.map(({ podId, dataRoot, slots }, j) => {
      const pod = getPod(state, fromHex(podId, 32));
      const dataset = getDataset(state, fromHex(dataRoot, 32));
      const at = `${field}.enrolled.${j}`;
      if (pod === undefined || asked.has(podId))
        throw new FaultError("genesis/invalid", {
          field: `${at}.podId`,
          expected: "a pod listed in pods, once",
        });
      asked.add(podId);
      if (dataset === undefined || toHex(dataset.podId) !== podId) {
        throw new FaultError("genesis/invalid", {
          field: `${at}.dataRoot`,
          expected: "a data set of this pod",
        });
      }
      if (toHex(dataset.normalization) !== toHex(normalization))
        refuse(`${at}.dataRoot`, "rows standardised with the task's mean and scale");
      if (BigInt(slots) * params.bondUnit > pod.bond)
        refuse(`${at}.slots`, "no more slots than the bond has units");
      return { podId: pod.podId, dataRoot: dataset.dataRoot, slots };
    });
    state.tasks.push(
      TaskType.toViewDU({
        id: taskId(chain, i, task.name, vkHash),
        name: textBytes(task.name),
        shape: textBytes(task.shape),
        vkHash,
        standardisation: standardisationBytes(task.mean, task.scale),
        normalization,
        rateNumerator: task.rate.numerator,
        rateShift: task.rate.shift,
        normBound,
        firstRound: Epoch(Number(task.firstRound)),
        lastRound: Epoch(Number(task.lastRound)),
        sponsor: addressOf(fromHex(task.sponsor, 32)),
        holdoutRoot: fromHex(task.holdoutRoot, 32),
        holdoutSlices: task.holdoutSlices,
        drawn: new Uint8Array(task.holdoutSlices),
        revealedFrom: Height(0),
        model: new Array<number>(shape.features + 1).fill(0),
        enrollments,
      }),
    );
    ensureAccount(state, addressOf(fromHex(task.sponsor, 32)));
    state.rounds.push(RoundType.defaultViewDU());
  }
}

/** Builds the first state, or says which field of the document is wrong. */
export function genesisState(document: GenesisDocument): Genesis {
  const params = paramsOf(document);
  if (document.preset === "dev" && !document.chainId.startsWith("dev-")) {
    refuse("chainId", 'a name that begins with "dev-" for development presets, keys and set-ups');
  }
  const chain = chainTag(document.chainId);
  const state = StateType.defaultViewDU();
  state.chain = chain;
  state.timestampMs = Number(document.timeMs);
  state.beacon.mix = hash("beacon", chain, textBytes(document.timeMs));
  state.issuance.target = params.targetMin;
  for (const [i, { address, balance }] of document.accounts.entries()) {
    const bytes = parseAddress(address);
    if (getAccount(state, bytes) !== undefined) refuse(`accounts.${i}.address`, "an address listed once");
    putAccount(state, { address: bytes, nonce: 0, balance: Amount(BigInt(balance)), locked: ZERO });
    state.supply.genesis = add(state.supply.genesis, Amount(BigInt(balance)));
  }
  addValidators(state, chain, document, params);
  addPods(state, document, params);
  state.supply.genesis = add(state.supply.genesis, state.supply.staked, state.supply.bonded);
  if (state.supply.genesis > params.supplyMax) refuse("accounts", "a genesis supply of at most supplyMax");
  for (const epoch of [Epoch(0), Epoch(1)]) seat(state, epoch, params);
  resetPresence(state);
  addTasks(state, chain, document, params);
  for (let index = 0; index < state.tasks.length; index++) openRound(state, index, params, true);
  return { state, params, chain, root: stateRoot(state) };
}

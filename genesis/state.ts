/** A genesis document's first state, the same on every node: its root identifies the chain. */

import { verifySignature } from "../consensus/primitives/bls.ts";
import { fromHex, toHex } from "../consensus/primitives/bytes.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { hash } from "../consensus/primitives/hash.ts";
import { PARAMS, type ParamName, type Params, resolveParams } from "../consensus/primitives/params.ts";
import { allAtOnce } from "../consensus/primitives/steps.ts";
import { Amount, add, Epoch, Height, ZERO } from "../consensus/primitives/units.ts";
import { givenNothing, openSteps } from "../consensus/state/draws.ts";
import { getAccount, getDataset, getPod, putAccount, putDataset, putPod } from "../consensus/state/maps.ts";
import { slotsAsked } from "../consensus/state/pods.ts";
import { seat } from "../consensus/state/seating.ts";
import { resetPresence } from "../consensus/state/settle-epoch.ts";
import {
  CircuitType,
  LANE,
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
import { bytesToField } from "../consensus/types/submission.ts";
import { addressOf } from "../consensus/types/transaction.ts";
import { possessionRoot } from "../consensus/types/vote.ts";
import { FIELD_ORDER, shapeKnown, shapeOf } from "../consensus/work/gradient.ts";
import { rateValid } from "../consensus/work/step.ts";
import { DEVELOPMENT_ACCOUNTS, DEVELOPMENT_KEYS } from "./development.ts";
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

/** An amount, a time or an epoch of the document, which its schema bounds by 20 digits only. */
function natural(text: string, field: string, most: bigint): bigint {
  const value = BigInt(text);
  return value <= most ? value : refuse(field, `at most ${most}`);
}

const AMOUNT_MAX = 2n ** 64n - 1n;
const NUMBER_MAX = BigInt(Number.MAX_SAFE_INTEGER);

const amountOf = (text: string, field: string): Amount => Amount(natural(text, field, AMOUNT_MAX));

/** 32 bytes that are a public input of circuits: below r, or the transition could not rebuild the inputs. */
function fieldOf(hex: string, field: string): Uint8Array {
  const bytes = fromHex(hex, 32);
  return bytesToField(bytes) < FIELD_ORDER ? bytes : refuse(field, "a field element below r");
}

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
    const staked = amountOf(stake, `${field}.stake`);
    if (staked < params.stakeMin) refuse(`${field}.stake`, `at least ${params.stakeMin}`);
    if (state.supply.staked + staked > params.supplyMax)
      refuse(`${field}.stake`, "a genesis supply of at most supplyMax");
    const account = addressOf(fromHex(publicKey, 32));
    ensureAccount(state, account);
    state.validators.push(ValidatorType.toViewDU(newValidator(key, account, staked, Epoch(0))));
    addToSupply(state, "staked", staked);
  }
}

function ensureAccount(state: State, address: Uint8Array): void {
  if (getAccount(state, address) === undefined)
    putAccount(state, { address, nonce: 0, balance: ZERO, locked: ZERO });
}

function addPods(state: State, document: GenesisDocument, params: Params): void {
  for (const [i, pod] of document.pods.entries()) {
    const podId = fieldOf(pod.podId, `pods.${i}.podId`);
    const publicKey = fromHex(pod.publicKey, 32);
    const bond = amountOf(pod.bond, `pods.${i}.bond`);
    if (getPod(state, podId) !== undefined) refuse(`pods.${i}.podId`, "an id that no other pod has");
    if (bond < params.bondUnit || bond > params.bondMax)
      refuse(`pods.${i}.bond`, `${params.bondUnit} … ${params.bondMax}`);
    if (state.supply.bonded + bond > params.supplyMax)
      refuse(`pods.${i}.bond`, "a genesis supply of at most supplyMax");
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
      rejected: 0,
      slashes: 0,
      exitEpoch: Epoch(0),
    });
    addToSupply(state, "bonded", bond);
    for (const [j, { dataRoot, batches, normalization }] of pod.datasets.entries()) {
      const root = fieldOf(dataRoot, `pods.${i}.datasets.${j}.dataRoot`);
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

/** The catalogue that tasks created later may use. */
function addCircuits(state: State, document: GenesisDocument): void {
  const seen = new Set<string>();
  for (const [i, { shape, vkHash }] of document.circuits.entries()) {
    if (!shapeKnown(shape) || seen.has(shape)) refuse(`circuits.${i}.shape`, "a known shape, listed once");
    seen.add(shape);
    state.circuits.push(CircuitType.toViewDU({ shape: textBytes(shape), vkHash: fromHex(vkHash, 32) }));
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
    const firstRound = Number(natural(task.firstRound, `${field}.firstRound`, NUMBER_MAX));
    const lastRound = Number(natural(task.lastRound, `${field}.lastRound`, NUMBER_MAX));
    if (lastRound < firstRound) refuse(`${field}.lastRound`, "at least firstRound");
    if (!rateValid(task.rate)) refuse(`${field}.rate`, "a rate that a model can be stepped with");
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
      // Tasks before this one are in the state already: a unit of bond gives one slot in one task.
      if (BigInt(slotsAsked(state, pod.podId) + slots) * params.bondUnit > pod.bond)
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
        firstRound: Epoch(firstRound),
        lastRound: Epoch(lastRound),
        sponsor: addressOf(fromHex(task.sponsor, 32)),
        holdoutRoot: fromHex(task.holdoutRoot, 32),
        holdoutSlices: task.holdoutSlices,
        drawn: new Uint8Array(task.holdoutSlices),
        revealedFrom: Height(0),
        model: new Array<number>(shape.features + 1).fill(0),
        enrollments,
        lane: LANE.public,
        bond: ZERO,
        escrow: ZERO,
        roundPay: ZERO,
        minAccepted: 0,
        minQuality: 0n,
        groupRoot: new Uint8Array(32),
        notice: new Uint8Array(0),
        approvals: [],
      }),
    );
    ensureAccount(state, addressOf(fromHex(task.sponsor, 32)));
    state.rounds.push(RoundType.defaultViewDU());
  }
}

/** Presets, keys and set-ups for development are worth nothing where coins are: everybody can forge with them. */
function refuseDevelopment(document: GenesisDocument): void {
  if (document.preset === "dev") refuse("chainId", 'a name that begins with "dev-" for the preset dev');
  const known = new Set(Object.values(DEVELOPMENT_KEYS));
  for (const [i, { vkHash }] of document.circuits.entries()) {
    if (known.has(vkHash)) refuse(`circuits.${i}.vkHash`, "a key of a ceremony: this one's secret is public");
  }
  for (const [i, { address }] of document.accounts.entries()) {
    if (DEVELOPMENT_ACCOUNTS.includes(address))
      refuse(`accounts.${i}.address`, "an account whose key is not public");
  }
}

/** Builds the first state, or says which field of the document is wrong. */
export function genesisState(document: GenesisDocument): Genesis {
  const params = paramsOf(document);
  if (!document.chainId.startsWith("dev-")) refuseDevelopment(document);
  const chain = chainTag(document.chainId);
  const state = StateType.defaultViewDU();
  state.chain = chain;
  state.timestampMs = Number(natural(document.timeMs, "timeMs", NUMBER_MAX));
  state.beacon.mix = hash("beacon", chain, textBytes(document.timeMs));
  state.issuance.target = params.targetMin;
  for (const [i, { address, balance }] of document.accounts.entries()) {
    const bytes = parseAddress(address);
    if (getAccount(state, bytes) !== undefined) refuse(`accounts.${i}.address`, "an address listed once");
    const amount = amountOf(balance, `accounts.${i}.balance`);
    if (state.supply.genesis + amount > params.supplyMax)
      refuse(`accounts.${i}.balance`, "a genesis supply of at most supplyMax");
    putAccount(state, { address: bytes, nonce: 0, balance: amount, locked: ZERO });
    state.supply.genesis = add(state.supply.genesis, amount);
  }
  addCircuits(state, document);
  addValidators(state, chain, document, params);
  addPods(state, document, params);
  state.supply.genesis = add(state.supply.genesis, state.supply.staked, state.supply.bonded);
  if (state.supply.genesis > params.supplyMax) refuse("accounts", "a genesis supply of at most supplyMax");
  for (const epoch of [Epoch(0), Epoch(1)]) seat(state, epoch, params);
  resetPresence(state);
  addTasks(state, chain, document, params);
  const given = givenNothing();
  for (let index = 0; index < state.tasks.length; index++)
    allAtOnce(openSteps(state, index, params, given, true));
  return { state, params, chain, root: stateRoot(state) };
}

/**
 * A chain without a network: genesis with validators and no tasks, blocks that are built and applied at
 * once. BLS is real where a test signs; the transition itself looks at no signature.
 */
import assert from "node:assert/strict";
import type { SecretKey } from "@chainsafe/blst";
import { BitArray } from "@chainsafe/ssz";
import { aggregateSignatures } from "../../../consensus/primitives/bls.ts";
import { toHex } from "../../../consensus/primitives/bytes.ts";
import { describeFault, type Fault, type FaultCode } from "../../../consensus/primitives/faults.ts";
import { type ParamName, type Params, placeInEpoch } from "../../../consensus/primitives/params.ts";
import { Amount, type Epoch, ValidatorIndex, View, zkp } from "../../../consensus/primitives/units.ts";
import { applyTransaction } from "../../../consensus/state/apply-transaction.ts";
import { membersAt, validatorSet } from "../../../consensus/state/sets.ts";
import { applyEvidence } from "../../../consensus/state/slashing.ts";
import { RECENT_BLOCKS, type State, type Validator } from "../../../consensus/state/state.ts";
import { circulating } from "../../../consensus/state/supply.ts";
import { applyBlock, buildBlock, type Parent } from "../../../consensus/state/transition.ts";
import { getValidator } from "../../../consensus/state/validators.ts";
import { formatAddress } from "../../../consensus/types/address.ts";
import { type Block, blockHash } from "../../../consensus/types/block.ts";
import { type Certificate, createCertificate } from "../../../consensus/types/certificate.ts";
import type { Evidence } from "../../../consensus/types/evidence.ts";
import { addressOf, type Operation, type Transaction } from "../../../consensus/types/transaction.ts";
import { proposerOf } from "../../../consensus/types/validator-set.ts";
import {
  possessionRoot,
  type Subject,
  signingRoot,
  type Vote,
  VoteKind,
} from "../../../consensus/types/vote.ts";
import { GenesisDocument } from "../../../genesis/document.ts";
import { chainTag, genesisState } from "../../../genesis/state.ts";
import { blsSecretKey, devKey } from "../../../node/keys.ts";

const CHAIN_ID = "dev-staking";
export const CHAIN = chainTag(CHAIN_ID);

/** The validator of this number: account, BLS key; made when first asked for. */
const people = new Map<number, { publicKey: Uint8Array; bls: SecretKey; blsKey: Uint8Array }>();
export function person(i: number) {
  const known = people.get(i);
  if (known !== undefined) return known;
  const bls = blsSecretKey(devKey("bls", `staking-${i}`).seed);
  const made = {
    publicKey: devKey("account", `staking-${i}`).publicKey,
    bls,
    blsKey: bls.toPublicKey().toBytes(),
  };
  people.set(i, made);
  return made;
}
export const addressOfPerson = (i: number): Uint8Array => addressOf(person(i).publicKey);
export const possessionOf = (i: number): Uint8Array =>
  person(i)
    .bls.sign(possessionRoot(CHAIN, person(i).blsKey))
    .toBytes();

export type Options = {
  /** Whole ZKP each. */
  readonly stakes?: readonly number[];
  /** Accounts with 10,000 ZKP, from the first number. */
  readonly funded?: number;
  readonly params?: Partial<Record<ParamName, bigint>>;
};

export function genesis({ stakes = [1_000, 1_000, 1_000, 1_000], funded = 12, params = {} }: Options = {}) {
  const overrides = { epochHeights: 5n, lateDistance: 1n, ...params };
  return genesisState(
    GenesisDocument.parse({
      chainId: CHAIN_ID,
      preset: "dev",
      params: Object.fromEntries(Object.entries(overrides).map(([name, value]) => [name, String(value)])),
      timeMs: "1700000000000",
      accounts: Array.from({ length: funded }, (_, i) => ({
        address: formatAddress(addressOfPerson(i)),
        balance: String(zkp(10_000)),
      })),
      validators: stakes.map((stake, i) => ({
        name: `node-${i}`,
        publicKey: toHex(person(i).publicKey),
        blsKey: toHex(person(i).blsKey),
        possession: toHex(possessionOf(i)),
        stake: String(zkp(stake)),
      })),
      circuits: [],
      pods: [],
      tasks: [],
    }),
  );
}

export type TestChain = ReturnType<typeof createChain>;

export function createChain(options: Options = {}) {
  const { state: first, params, root } = genesis(options);
  let parent: Parent = { hash: root, state: first, set: validatorSet(first, "current") };
  /** Seats (by number of the validator) whose late votes are left out. */
  let absent: ReadonlySet<number> = new Set();
  const blocks: Block[] = [];

  const late = (): Certificate | undefined => {
    const { state, set } = parent;
    if (placeInEpoch(state.height + 1, params) <= Number(params.lateDistance)) return undefined;
    const ancestor =
      Number(params.lateDistance) === 1
        ? parent.hash
        : state.recent.getReadonly((state.height + 1 - Number(params.lateDistance)) % RECENT_BLOCKS);
    return {
      subject: subject(VoteKind.notarize, state.epoch, 1, 0, ancestor),
      signers: BitArray.fromBoolArray(set.members.map(({ validator }) => !absent.has(validator))),
      signature: new Uint8Array(96),
    };
  };

  const transactionOf = (i: number, operation: Operation, nonce: number): Transaction => ({
    publicKey: person(i).publicKey,
    nonce,
    fee: Amount(params.feeMin),
    operation,
    signature: new Uint8Array(64),
  });

  const it = {
    params,
    blocks,
    get state(): State {
      return parent.state;
    },
    get parent(): Parent {
      return parent;
    },
    setAbsent(validators: readonly number[]): void {
      absent = new Set(validators);
    },
    /** One block with these operations and this evidence; what the state refuses is left out of it. */
    block(
      operations: readonly (readonly [number, Operation])[] = [],
      evidence: readonly Evidence[] = [],
    ): Block {
      const { state, set } = parent;
      const nonces = new Map<number, number>();
      const transactions = operations.map(([i, operation]) => {
        const nonce = nonces.get(i) ?? nonceOf(state, i);
        nonces.set(i, nonce + 1);
        return transactionOf(i, operation, nonce);
      });
      const view = View(placeInEpoch(state.height + 1, params));
      const certificate = late();
      const built = buildBlock(
        parent,
        {
          header: {
            view,
            parentView: View(view - 1),
            proposer: set.members[proposerOf(set, view)]?.validator ?? ValidatorIndex(0),
            timestampMs: state.timestampMs + Number(params.blockIntervalMs),
          },
          beaconReveal: new Uint8Array(96).fill(state.height % 251),
          parentCertificate: undefined,
          lateCertificate: certificate,
          transactions,
          submissions: [],
          evidence: [...evidence],
        },
        params,
      );
      const applied = applyBlock(parent, built.block, params);
      assert.ok(!("code" in applied), "code" in applied ? describeFault(applied) : "");
      const next = applied.state;
      parent = { hash: blockHash(built.block.header), state: next, set: validatorSet(next, "current") };
      blocks.push(built.block);
      return built.block;
    },
    /** Empty blocks until this epoch begins. */
    toEpoch(epoch: number): void {
      while (parent.state.epoch < epoch) it.block();
    },
    /** One operation in a block of its own; the fault if the state refuses it. */
    send(i: number, operation: Operation): FaultCode | undefined {
      const { state } = parent;
      const context = { params, proposer: ValidatorIndex(0), place: placeInEpoch(state.height + 1, params) };
      const fork = state.clone();
      const refused = applyTransaction(fork, transactionOf(i, operation, nonceOf(state, i)), context);
      if (refused === undefined) it.block([[i, operation]]);
      return refused?.code;
    },
    accuse(evidence: Evidence): Fault | undefined {
      const refused = applyEvidence(parent.state.clone(), evidence, params);
      if (refused === undefined) it.block([], [evidence]);
      return refused;
    },
    validator: (i: number): Validator => getValidator(parent.state, ValidatorIndex(i)),
    /** Numbers of those with a seat in an epoch's set. */
    seats: (epoch: number): number[] =>
      (membersAt(parent.state, epoch) ?? []).map(({ validator }) => validator),
  };
  return it;
}

export function nonceOf(state: State, i: number): number {
  return accountOf(state, i)?.nonce ?? 0;
}

export function accountOf(state: State, i: number) {
  return everyAccount(state).find(({ address }) => toHex(address) === toHex(addressOfPerson(i)));
}

function everyAccount(state: State) {
  return [...new Set(Array.from({ length: 40 }, (_, i) => bucketOf(addressOfPerson(i))))].flatMap((bucket) =>
    state.accounts.getReadonly(bucket).getAllReadonlyValues(),
  );
}
const bucketOf = (key: Uint8Array): number => ((key[0] ?? 0) * 256 + (key[1] ?? 0)) % 65_536;

/** The supply account agrees with what is there, to the nzkp. */
export function assertSupply(state: State, params: Params): void {
  assert.ok(params.supplyMax > 0n);
  const accounts = everyAccount(state);
  const sum = (values: readonly bigint[]): bigint => values.reduce((total, value) => total + value, 0n);
  const { staked, locked, burned, slashed } = state.supply;
  assert.equal(sum(accounts.map((it) => it.balance)), circulating(state));
  assert.equal(sum(accounts.map((it) => it.locked)), locked);
  const validators = state.validators.getAllReadonlyValues();
  assert.equal(sum(validators.map((it) => it.stake)), staked);
  assert.equal(sum(validators.map((it) => it.slashed)), slashed);
  assert.ok(slashed <= burned);
}

export function subject(
  kind: number,
  epoch: Epoch,
  view: number,
  parentView: number,
  hash: Uint8Array,
): Subject {
  return { kind, epoch, view: View(view), parentView: View(parentView), blockHash: hash };
}

export const hashOf = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

export function voteOf(i: number, position: number, about: Subject): Vote {
  return {
    subject: about,
    signer: position,
    signature: person(i).bls.sign(signingRoot(CHAIN, about)).toBytes(),
  };
}

/** A finalization or another certificate by those of a set with these validator numbers. */
export function certify(
  chain: TestChain,
  epoch: number,
  about: Subject,
  signers: readonly number[],
): Certificate {
  const members = membersAt(chain.state, epoch) ?? [];
  const positions = signers.map((i) => members.findIndex(({ validator }) => validator === i));
  const sum = aggregateSignatures(signers.map((i) => voteOf(i, 0, about).signature));
  return createCertificate({ members } as never, about, positions, sum ?? new Uint8Array(96));
}

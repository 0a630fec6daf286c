/** A light client follows a changing set from genesis, and believes nothing that is not shown. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BitArray } from "@chainsafe/ssz";
import fc from "fast-check";
import { verifyAggregate } from "../../../consensus/primitives/bls.ts";
import { type Epoch, zkp } from "../../../consensus/primitives/units.ts";
import { accountBranch, setProof, submissionBranch } from "../../../consensus/state/proofs.ts";
import { StateType, stateRoot } from "../../../consensus/state/state.ts";
import { ACCOUNT_BUCKETS, bucketOf } from "../../../consensus/types/account.ts";
import { type Block, blockHash, bodyRoot } from "../../../consensus/types/block.ts";
import {
  type AccountProof,
  accountGindex,
  type EpochProof,
  EpochProofType,
  type Finalized,
  nextSet,
  setGindex,
  verifyAccount,
  verifyFinalized,
  verifySet,
  verifySubmission,
} from "../../../consensus/types/light-client.ts";
import { decode } from "../../../consensus/types/ssz.ts";
import { nullifierOf } from "../../../consensus/types/submission.ts";
import { SETS_KEPT, type ValidatorSet } from "../../../consensus/types/validator-set.ts";
import { VoteKind } from "../../../consensus/types/vote.ts";
import { submission } from "../node/samples.ts";
import {
  addressOfPerson,
  CHAIN,
  certify,
  createChain,
  genesis,
  person,
  possessionOf,
  subject,
  type TestChain,
} from "../state/chain.ts";

const options = { chain: CHAIN, verifyAggregate };
const FOUR = [0, 1, 2, 3];

/** A finalization of a block by these validators of its epoch. */
function finalized(chain: TestChain, block: Block, signers: readonly number[]): Finalized {
  const { epoch, view, parentView } = block.header;
  const about = subject(VoteKind.finalize, epoch, view, parentView, blockHash(block.header));
  return { headers: [block.header], finalization: certify(chain, epoch, about, signers) };
}

/** The proof of the epoch that has just ended on this chain. */
function epochProof(chain: TestChain, signers: readonly number[]): EpochProof {
  const block = chain.blocks.at(-1);
  assert.ok(block !== undefined && chain.state.epoch === block.header.epoch + 1);
  return { finalized: finalized(chain, block, signers), next: setProof(chain.state, chain.state.epoch) };
}

function genesisSet(): ValidatorSet {
  const { state } = genesis();
  const set = verifySet(stateRoot(state), 0, setProof(state, 0));
  assert.ok(!("code" in set));
  return set;
}

/** A chain whose set changes: 4, 4, 6, 5. */
function changing(): { chain: TestChain; proofs: EpochProof[] } {
  const chain = createChain();
  for (const i of [4, 5]) {
    const value = { blsKey: person(i).blsKey, possession: possessionOf(i), stake: zkp(1_000) };
    chain.send(i, { selector: 5, value });
  }
  chain.toEpoch(1);
  const proofs = [epochProof(chain, FOUR)];
  chain.send(0, { selector: 7, value: { blsKey: person(0).blsKey } });
  chain.toEpoch(2);
  proofs.push(epochProof(chain, [1, 2, 3]));
  chain.toEpoch(3);
  proofs.push(epochProof(chain, [0, 1, 2, 4, 5]));
  return { chain, proofs };
}

const { chain, proofs } = changing();
const codeOf = (result: object): unknown => ("code" in result ? result.code : undefined);

describe("epochs", () => {
  test("three epochs with a changing set are followed from the genesis root by certificates alone", () => {
    let set = genesisSet();
    const sizes = proofs.map((proof) => {
      const bytes = EpochProofType.serialize(proof);
      const received = decode(EpochProofType, bytes);
      assert.ok(received !== undefined);
      const next = nextSet(set, received, options);
      assert.ok(!("code" in next), JSON.stringify(codeOf(next)));
      set = next;
      return next.members.length;
    });
    assert.equal(set.epoch, 3);
    assert.deepEqual(sizes, [4, 6, 5]);
    assert.deepEqual(
      set.members.map(({ validator }) => validator),
      chain.seats(3),
    );
  });

  test("any final header of an epoch shows the next set, which is fixed by then", () => {
    const early = createChain();
    const block = early.block();
    const proof = { finalized: finalized(early, block, FOUR), next: setProof(early.state, 1) };
    assert.ok(!("code" in nextSet(genesisSet(), proof, options)));
  });

  const [first, second] = proofs;
  assert.ok(first !== undefined && second !== undefined);
  const refused: Record<string, EpochProof> = {
    "less than a quorum": epochProofOf(first, { signers: [0, 1] }),
    "signers named that did not sign": {
      ...first,
      finalized: {
        ...first.finalized,
        finalization: {
          ...epochProofOf(first, { signers: [0, 1] }).finalized.finalization,
          signers: BitArray.fromBoolArray([true, true, true, true]),
        },
      },
    },
    "a notarization": epochProofOf(first, { kind: VoteKind.notarize }),
    "another set than the state root's": {
      ...first,
      next: { ...first.next, set: { ...first.next.set, members: first.next.set.members.slice(1) } },
    },
    "another epoch's set": { ...first, next: second.next },
    "a set of the right epoch from another state": {
      ...first,
      next: setProof(createChain({ stakes: [9, 9, 9, 9].map((it) => it * 100) }).state, 1),
    },
    "a branch that is cut": { ...first, next: { ...first.next, branch: first.next.branch.slice(1) } },
    "a branch that is turned": {
      ...first,
      next: { ...first.next, branch: [...first.next.branch].reverse() },
    },
    "another epoch's finalization": { ...first, finalized: second.finalized },
    "no header": { ...first, finalized: { ...first.finalized, headers: [] } },
    "a header with another state root": {
      ...first,
      finalized: {
        ...first.finalized,
        headers: first.finalized.headers.map((it) => ({ ...it, stateRoot: new Uint8Array(32) })),
      },
    },
  };
  for (const [what, proof] of Object.entries(refused)) {
    test(`refused: ${what}`, () => {
      assert.match(String(codeOf(nextSet(genesisSet(), proof, options))), /^light\//);
    });
  }

  test("refused: a set that takes the place of the one before its time", () => {
    const next = nextSet(genesisSet(), first, options);
    assert.ok(!("code" in next));
    assert.match(String(codeOf(nextSet(next, first, options))), /^light\/finality/);
  });
});

/** The same epoch's end, certified otherwise. */
function epochProofOf(
  proof: EpochProof,
  { signers = FOUR, kind = VoteKind.finalize }: { signers?: number[]; kind?: number },
): EpochProof {
  const [header] = proof.finalized.headers;
  assert.ok(header !== undefined);
  const about = subject(kind, header.epoch as Epoch, header.view, header.parentView, blockHash(header));
  return { ...proof, finalized: { headers: [header], finalization: certify(chain, 0, about, signers) } };
}

describe("below a finalization", () => {
  const two = createChain();
  const [lower, middle, upper] = [two.block(), two.block(), two.block()];
  const headers = [lower, middle, upper].map(({ header }) => header);
  const { finalization } = finalized(two, upper, FOUR);

  test("headers that link up to it are final", () => {
    assert.deepEqual(verifyFinalized(genesisSet(), { headers, finalization }, options), lower.header);
    const gap = { headers: [lower.header, upper.header], finalization };
    assert.equal(codeOf(verifyFinalized(genesisSet(), gap, options)), "light/finality");
    const above = { headers: [lower.header], finalization };
    assert.equal(codeOf(verifyFinalized(genesisSet(), above, options)), "light/finality");
  });

  const proofOf = (address: Uint8Array): AccountProof => ({
    finalized: { headers: [upper.header], finalization },
    ...accountBranch(two.state, address),
  });

  test("an account is proved, and so is that there is none", () => {
    const address = addressOfPerson(0);
    const proven = verifyAccount(genesisSet(), address, proofOf(address), options);
    assert.ok(!("code" in proven));
    assert.equal(proven.account?.balance, zkp(10_000));
    const nobody = new Uint8Array(20).fill(200);
    const none = verifyAccount(genesisSet(), nobody, proofOf(nobody), options);
    assert.ok(!("code" in none) && none.account === undefined);
  });

  test("another balance, a left-out account and another bucket are refused", () => {
    const address = addressOfPerson(0);
    const proof = proofOf(address);
    const richer = proof.accounts.map((it) => ({ ...it, balance: zkp(1_000_000) }));
    for (const forged of [
      { ...proof, accounts: richer },
      { ...proof, accounts: [] },
      proofOf(new Uint8Array(20).fill(200)),
    ]) {
      assert.equal(codeOf(verifyAccount(genesisSet(), address, forged, options)), "light/branch");
    }
  });

  test("a submission is shown to be in a final block, at its place only", () => {
    const included = [submission(0), { ...submission(1), outputs: new Uint8Array(32).fill(9) }];
    const body = { ...upper.body, submissions: included };
    const header = { ...upper.header, bodyRoot: bodyRoot(body) };
    const certified = finalized(two, { header, body }, FOUR);
    const second = included[1] ?? submission(1);
    const proof = { finalized: certified, index: 1, submission: second, branch: submissionBranch(body, 1) };
    assert.deepEqual(verifySubmission(genesisSet(), nullifierOf(second), proof, options), header);
    for (const forged of [
      { ...proof, index: 0 },
      { ...proof, index: 65_535 },
      { ...proof, submission: { ...second, slot: 5 } },
      { ...proof, branch: submissionBranch(body, 0) },
    ]) {
      assert.equal(
        codeOf(verifySubmission(genesisSet(), nullifierOf(second), forged, options)),
        "light/branch",
      );
    }
    assert.equal(
      codeOf(verifySubmission(genesisSet(), nullifierOf(submission(0)), proof, options)),
      "light/branch",
    );
  });
});

test("the places in the state's tree are those of the state", () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.uint8Array({ minLength: 20, maxLength: 20 }), (epoch, address) => {
      assert.equal(setGindex(epoch), StateType.getPathInfo(["sets", epoch % SETS_KEPT]).gindex);
      const place = bucketOf(address, ACCOUNT_BUCKETS);
      assert.equal(accountGindex(address), StateType.getPathInfo(["accounts", place]).gindex);
    }),
  );
});

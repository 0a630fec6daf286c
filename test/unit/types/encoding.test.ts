/** Encodings: what is decoded encodes back to the same bytes, and nothing else is decoded. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BitArray, type Type } from "@chainsafe/ssz";
import fc from "fast-check";
import { Amount, Epoch, Height, ValidatorIndex, View } from "../../../consensus/primitives/units.ts";
import { formatAddress, parseAddress } from "../../../consensus/types/address.ts";
import { BlockType, blockHash, HeaderType, ProposalType } from "../../../consensus/types/block.ts";
import { type Certificate, CertificateType } from "../../../consensus/types/certificate.ts";
import { decodeEvidence, type Evidence, EvidenceType } from "../../../consensus/types/evidence.ts";
import { decodeFeatures, encodeFeatures } from "../../../consensus/types/holdout.ts";
import {
  normalizationHash,
  parseStandardisation,
  standardisationBytes,
} from "../../../consensus/types/normalization.ts";
import { decode } from "../../../consensus/types/ssz.ts";
import { SubmissionType, submissionRoot } from "../../../consensus/types/submission.ts";
import {
  decodeTransaction,
  type Operation,
  type Transaction,
  TransactionType,
  transactionId,
} from "../../../consensus/types/transaction.ts";
import {
  isSubject,
  nullifySubject,
  type Subject,
  signingRoot,
  VoteType,
} from "../../../consensus/types/vote.ts";
import { joined } from "../../helpers/outputs.ts";

/** As the library decodes: objects with Object's prototype. */
const record = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>;
const fixed = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const natural = fc.oneof(fc.nat(), fc.maxSafeNat());
const amount = fc.bigInt(0n, 2n ** 64n - 1n).map(Amount);
const epoch = natural.map(Epoch);
const view = natural.map(View);
const uint16 = fc.integer({ min: 0, max: 65_535 });

const operation: fc.Arbitrary<Operation> = fc.oneof(
  record({ to: fixed(20), amount }).map((value): Operation => ({ selector: 0, value })),
  record({ podId: fixed(32), bond: amount }).map((value): Operation => ({ selector: 1, value })),
  record({ podId: fixed(32), dataRoot: fixed(32), batches: uint16, normalization: fixed(32) }).map(
    (value): Operation => ({ selector: 2, value }),
  ),
  record({
    podId: fixed(32),
    task: fixed(32),
    dataRoot: fixed(32),
    slots: fc.integer({ min: 0, max: 255 }),
  }).map((value): Operation => ({ selector: 3, value })),
  record({
    task: fixed(32),
    epoch,
    slices: fc.array(
      record({
        index: uint16,
        salt: fixed(32),
        features: fc.uint8Array({ maxLength: 1_024 }),
        labels: fixed(8),
        branch: fc.array(fixed(32), { maxLength: 12 }),
      }),
      { maxLength: 3 },
    ),
  }).map((value): Operation => ({ selector: 4, value })),
  record({ blsKey: fixed(48), possession: fixed(96), stake: amount }).map(
    (value): Operation => ({ selector: 5, value }),
  ),
  record({ blsKey: fixed(48), amount }).map((value): Operation => ({ selector: 6, value })),
  record({ blsKey: fixed(48), selector: fc.constantFrom(7 as const, 8 as const, 9 as const) }).map(
    ({ blsKey, selector }): Operation => ({ selector, value: { blsKey } }),
  ),
);
const transaction: fc.Arbitrary<Transaction> = record({
  publicKey: fixed(32),
  nonce: natural,
  fee: amount,
  operation,
  signature: fixed(64),
});
const submission = record({
  task: fixed(32),
  epoch,
  slot: uint16,
  podId: fixed(32),
  inputsHash: fixed(32),
  outputs: fc.array(fixed(32), { maxLength: 6 }).map(joined),
  proof: fixed(128),
  signature: fixed(64),
});
const subject: fc.Arbitrary<Subject> = record({
  kind: fc.integer({ min: 0, max: 255 }),
  epoch,
  view,
  parentView: view,
  blockHash: fixed(32),
});
const certificate: fc.Arbitrary<Certificate> = record({
  subject,
  signers: fc.array(fc.boolean(), { maxLength: 128 }).map((flags) => BitArray.fromBoolArray(flags)),
  signature: fixed(96),
});
const header = record({
  height: natural.map(Height),
  epoch,
  view,
  parentHash: fixed(32),
  parentView: view,
  proposer: fc.nat(2 ** 31 - 1).map(ValidatorIndex),
  timestampMs: natural,
  stateRoot: fixed(32),
  bodyRoot: fixed(32),
});
const vote = record({ subject, signer: uint16, signature: fixed(96) });
const evidence: fc.Arbitrary<Evidence> = fc.oneof(
  record({ first: vote, second: vote }).map((value): Evidence => ({ selector: 0, value })),
  record({ first: certificate, second: certificate }).map((value): Evidence => ({ selector: 1, value })),
);
const block = record({
  header,
  body: record({
    beaconReveal: fixed(96),
    parentCertificate: fc.array(certificate, { maxLength: 1 }),
    lateCertificate: fc.array(certificate, { maxLength: 1 }),
    transactions: fc.array(transaction, { maxLength: 3 }),
    submissions: fc.array(submission, { maxLength: 3 }),
    evidence: fc.array(evidence, { maxLength: 3 }),
  }),
});
const proposal = record({
  block,
  vote,
  justification: record({
    nullifications: fc.array(certificate, { maxLength: 3 }),
    notarization: fc.array(certificate, { maxLength: 1 }),
  }),
});

type Decoder = (bytes: Uint8Array) => unknown;
const kinds: [string, Type<unknown>, Decoder, fc.Arbitrary<unknown>][] = [
  ["transaction", TransactionType as Type<unknown>, decodeTransaction, transaction],
  ["submission", SubmissionType as Type<unknown>, (it) => decode(SubmissionType, it), submission],
  ["evidence", EvidenceType as Type<unknown>, decodeEvidence, evidence],
  ["vote", VoteType as Type<unknown>, (it) => decode(VoteType, it), vote],
  ["certificate", CertificateType as Type<unknown>, (it) => decode(CertificateType, it), certificate],
  ["header", HeaderType as Type<unknown>, (it) => decode(HeaderType, it), header],
  ["block", BlockType as Type<unknown>, (it) => decode(BlockType, it), block],
  ["proposal", ProposalType as Type<unknown>, (it) => decode(ProposalType, it), proposal],
];

for (const [name, type, decoder, values] of kinds) {
  describe(`a ${name}`, () => {
    test("decodes to what was encoded", () => {
      fc.assert(
        fc.property(values, (value) => {
          assert.deepEqual(decoder(type.serialize(value)), value);
        }),
        { numRuns: 60 },
      );
    });

    test("is decoded from no other bytes than its own, and none throw", () => {
      fc.assert(
        fc.property(values, fc.nat(), fc.nat(255), (value, place, byte) => {
          const bytes = type.serialize(value);
          const changed = bytes.slice();
          changed[place % bytes.length] = byte;
          // What still decodes is another value in its own encoding.
          for (const other of [changed, Uint8Array.from([...bytes, byte]), bytes.slice(0, -1)]) {
            const found = decoder(other);
            if (found !== undefined) assert.deepEqual(type.serialize(found), other);
          }
          assert.equal(decoder(Uint8Array.from([...bytes, 0])), undefined);
          assert.equal(decoder(new Uint8Array(0)), undefined);
        }),
        { numRuns: 60 },
      );
    });
  });
}

describe("what is not canonical is refused:", () => {
  const [one] = fc.sample(certificate, { numRuns: 1, seed: 1 });
  assert.ok(one !== undefined);
  const [pay] = fc.sample(transaction, { numRuns: 1, seed: 1 });
  assert.ok(pay !== undefined);
  const transfer: Transaction = {
    ...pay,
    operation: { selector: 0, value: { to: new Uint8Array(20), amount: Amount(1n) } },
  };

  test("integers past 2^53 − 1, even those that a number holds", () => {
    const [some] = fc.sample(header, { numRuns: 1, seed: 1 });
    assert.ok(some !== undefined);
    const encoded = HeaderType.serialize({ ...some, height: Height(Number.MAX_SAFE_INTEGER) });
    assert.ok(decode(HeaderType, encoded) !== undefined);
    for (const height of [2n ** 53n, 2n ** 53n + 1n, 2n ** 53n + 2n, 2n ** 60n, 2n ** 63n, 2n ** 64n - 1n]) {
      const bytes = encoded.slice();
      new DataView(bytes.buffer).setBigUint64(0, height, true);
      assert.equal(decode(HeaderType, bytes), undefined, String(height));
    }
    const nonce = TransactionType.serialize({ ...transfer, nonce: 2 ** 53 });
    assert.equal(decodeTransaction(nonce), undefined);
  });

  test("operations that there are not", () => {
    const bytes = TransactionType.serialize(transfer);
    const at = bytes.length - 29;
    assert.equal(bytes[at], 0, "the selector");
    for (const selector of [5, 6, 127, 128, 255]) {
      const wrong = bytes.slice();
      wrong[at] = selector;
      assert.equal(decodeTransaction(wrong), undefined);
    }
  });

  test("signers without a terminator, or more than there are seats", () => {
    const bytes = CertificateType.serialize(one);
    const size = one.signers.uint8Array.length;
    const last = bytes.length - 1;
    assert.ok(size >= 0);
    const bare = bytes.slice();
    bare[last] = 0;
    assert.equal(decode(CertificateType, bare), undefined);
    const wide = BitArray.fromBoolArray(new Array(128).fill(true));
    const full = CertificateType.serialize({ ...one, signers: wide });
    assert.ok(decode(CertificateType, full) !== undefined);
    const more = Uint8Array.from([...full.subarray(0, -1), 3]);
    assert.equal(decode(CertificateType, more), undefined);
  });

  test("offsets that overlap, go back or leave a gap", () => {
    const bytes = TransactionType.serialize(transfer);
    const view_ = new DataView(bytes.buffer, bytes.byteOffset);
    // publicKey 32, nonce 8, fee 8: then the operation's offset.
    const offset = view_.getUint32(48, true);
    for (const wrong of [0, offset - 1, offset + 1, bytes.length, 2 ** 32 - 1]) {
      const changed = bytes.slice();
      new DataView(changed.buffer).setUint32(48, wrong, true);
      assert.equal(decodeTransaction(changed), undefined);
    }
  });

  test("lists longer than their limit", () => {
    const slices = Array.from({ length: 65 }, (_, index) => ({
      index,
      salt: new Uint8Array(32),
      features: new Uint8Array(0),
      labels: new Uint8Array(8),
      branch: [],
    }));
    const reveal = (count: number): Uint8Array => {
      const operation: Operation = {
        selector: 4,
        value: { task: new Uint8Array(32), epoch: Epoch(0), slices: slices.slice(0, count) },
      };
      return TransactionType.serialize({ ...pay, operation });
    };
    assert.ok(decodeTransaction(reveal(64)) !== undefined);
    assert.equal(decodeTransaction(reveal(65)), undefined);
  });
});

describe("identities", () => {
  const chain = new Uint8Array(32).fill(1);
  const other = new Uint8Array(32).fill(2);

  test("of transactions and submissions cover all but the signature, and the chain", () => {
    fc.assert(
      fc.property(transaction, submission, (it, proof) => {
        const id = transactionId(chain, it);
        assert.deepEqual(transactionId(chain, { ...it, signature: new Uint8Array(64) } as Transaction), id);
        assert.notDeepEqual(transactionId(other, it), id);
        assert.notDeepEqual(transactionId(chain, { ...it, nonce: it.nonce === 0 ? 1 : it.nonce - 1 }), id);
        const root = submissionRoot(chain, proof);
        assert.notDeepEqual(submissionRoot(other, proof), root);
        assert.notDeepEqual(submissionRoot(chain, { ...proof, slot: proof.slot ^ 1 }), root);
        assert.notDeepEqual(
          submissionRoot(chain, { ...proof, outputs: joined([proof.outputs, chain]) }),
          root,
        );
      }),
      { numRuns: 40 },
    );
  });

  test("of blocks cover every header field", () => {
    fc.assert(
      fc.property(header, header, (a, b) => {
        const names = Object.keys(a) as (keyof typeof a)[];
        for (const name of names) {
          const mixed = { ...a, [name]: b[name] };
          const same = Buffer.compare(HeaderType.serialize(mixed), HeaderType.serialize(a)) === 0;
          assert.equal(Buffer.compare(blockHash(mixed), blockHash(a)) === 0, same);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("of votes differ in every field and by the chain", () => {
    const base: Subject = { ...nullifySubject(Epoch(1), View(2)), kind: 1, parentView: View(1) };
    const roots = [
      signingRoot(chain, base),
      signingRoot(other, base),
      signingRoot(chain, { ...base, kind: 3 }),
      signingRoot(chain, { ...base, epoch: Epoch(2) }),
      signingRoot(chain, { ...base, view: View(3) }),
      signingRoot(chain, { ...base, parentView: View(0) }),
      signingRoot(chain, { ...base, blockHash: chain }),
    ].map((it) => Buffer.from(it).toString("hex"));
    assert.equal(new Set(roots).size, roots.length);
  });
});

describe("a subject", () => {
  const base: Subject = {
    kind: 1,
    epoch: Epoch(0),
    view: View(2),
    parentView: View(1),
    blockHash: new Uint8Array(32).fill(1),
  };
  test("is one only if kind and fields agree", () => {
    assert.ok(isSubject(base));
    assert.ok(isSubject({ ...base, kind: 3 }));
    assert.ok(isSubject(nullifySubject(Epoch(0), View(1))));
    const wrong: Partial<Subject>[] = [
      { kind: 0 },
      { kind: 2 },
      { kind: 4 },
      { view: View(0) },
      { parentView: View(2) },
      { kind: 2, parentView: View(0) },
      { kind: 2, blockHash: new Uint8Array(32) },
    ];
    for (const change of wrong) assert.ok(!isSubject({ ...base, ...change }));
  });
});

describe("addresses, rows and scales", () => {
  test("come back from what people see", () => {
    fc.assert(
      fc.property(fixed(20), (address) => assert.deepEqual(parseAddress(formatAddress(address)), address)),
    );
    const text = formatAddress(new Uint8Array(20).fill(1));
    assert.match(text, /^zkp1/);
    const wrong = [
      text.slice(0, -1),
      `${text}q`,
      text.replace("zkp1", "zkq1"),
      "",
      "zkp1",
      text.replace(/.$/, (it) => (it === "q" ? "p" : "q")),
    ];
    for (const it of wrong) assert.throws(() => parseAddress(it));
    assert.throws(() => formatAddress(new Uint8Array(19)));
  });

  test("keep every feature and every float", () => {
    fc.assert(
      fc.property(fc.int16Array(), (features) =>
        assert.deepEqual(decodeFeatures(encodeFeatures(features)), features),
      ),
    );
    const mean = [0.5, -1e300, 0];
    const scale = [1, 2 ** -1074, 3];
    assert.deepEqual(parseStandardisation(standardisationBytes(mean, scale)), { mean, scale });
    assert.notDeepEqual(normalizationHash(mean, scale), normalizationHash(scale, mean));
  });
});

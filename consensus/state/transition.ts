/**
 * The state transition: a block on its parent's state. Reads as a table of contents; one operation a
 * file beside it. Signatures and proofs are not verified here but collected by checks.ts.
 *
 * It goes in steps, so that a node can let other events have their turn in between; the state that is being
 * made is nobody else's until the last step. `applyBlock` and `buildBlock` are the same steps all at once.
 */
import { equalBytes } from "../primitives/bytes.ts";
import { type Fault, fault } from "../primitives/faults.ts";
import { hash } from "../primitives/hash.ts";
import { closePlace, type Params, placeInEpoch } from "../primitives/params.ts";
import { allAtOnce, eachStep, type Steps } from "../primitives/steps.ts";
import { Height, type ValidatorIndex } from "../primitives/units.ts";
import { BLOCK_BYTES_MAX, type Block, BlockType, type Body, bodyRoot, type Header } from "../types/block.ts";
import { type Certificate, signersOf } from "../types/certificate.ts";
import { EVIDENCE_MAX } from "../types/evidence.ts";
import { nullifierOf, type Submission, SubmissionType, submissionContentRoot } from "../types/submission.ts";
import { SELECTOR, type Transaction, TransactionType, transactionId } from "../types/transaction.ts";
import { proposerOf, type ValidatorSet } from "../types/validator-set.ts";
import { VoteKind } from "../types/vote.ts";
import { type AcceptedSubmission, applySubmission } from "./apply-submission.ts";
import { applyTransaction } from "./apply-transaction.ts";
import type { Context, Scorer } from "./context.ts";
import { closeSubmissions } from "./draws.ts";
import { inheritMemo } from "./rounds-memo.ts";
import { type EpochReceipt, settlementSteps } from "./settle-epoch.ts";
import { applyEvidence } from "./slashing.ts";
import { fork, RECENT_BLOCKS, rootSteps, type State } from "./state.ts";

export type BlockReceipt = {
  readonly transactions: readonly Uint8Array[];
  /** Nullifiers. */
  readonly submissions: readonly Uint8Array[];
  /** Only of an epoch's last block. */
  readonly epoch: EpochReceipt | undefined;
};

export type Applied = { readonly state: State; readonly receipt: BlockReceipt };

/** The parent as the transition needs it: its hash and its post-state; the set is the parent state's current one. */
export type Parent = { readonly hash: Uint8Array; readonly state: State; readonly set: ValidatorSet };

export function contextOf(header: Header, params: Params, score?: Scorer): Context {
  return { params, proposer: header.proposer, place: placeInEpoch(header.height, params), score };
}

/** Each costs every node a proof's verification beside those of the submissions. */
const ACCUSATIONS_MAX = 16;
const isAccusation = ({ operation }: Transaction): boolean => operation.selector === SELECTOR.podEvidence;

/** What a header must be, given its parent; everything but the state root. */
export function checkHeader(
  { hash: parentHash, state, set }: Parent,
  block: Block,
  params: Params,
): Fault | undefined {
  const { header, body } = block;
  if (header.height !== state.height + 1)
    return fault("block/header", { field: "height", expected: state.height + 1 });
  if (header.epoch !== state.epoch) return fault("block/header", { field: "epoch", expected: state.epoch });
  if (!equalBytes(header.parentHash, parentHash)) return fault("block/header", { field: "parentHash" });
  if (header.view < 1 || header.parentView >= header.view)
    return fault("block/header", { field: "parentView" });
  if (header.proposer !== set.members[proposerOf(set, header.view)]?.validator)
    return fault("block/proposer");
  if (header.timestampMs < state.timestampMs + Number(params.blockIntervalMs)) {
    return fault("block/timestamp", { parent: state.timestampMs, found: header.timestampMs });
  }
  if (body.transactions.length > params.transactionsMax || body.submissions.length > params.submissionsMax) {
    return fault("block/limits", { field: "count" });
  }
  if (body.transactions.filter(isAccusation).length > ACCUSATIONS_MAX)
    return fault("block/limits", { field: "evidence" });
  if (BlockType.value_serializedSize(block as never) > BLOCK_BYTES_MAX)
    return fault("block/limits", { field: "bytes" });
  if (!equalBytes(header.bodyRoot, bodyRoot(body))) return fault("block/body-root");
  return undefined;
}

/** Height, time, the parent's hash, the beacon. */
function beginBlock(state: State, header: Header, beaconReveal: Uint8Array): void {
  state.recent.set((header.height - 1) % RECENT_BLOCKS, header.parentHash);
  state.height = header.height;
  state.timestampMs = header.timestampMs;
  state.beacon.mix = hash("beacon", state.beacon.mix, beaconReveal);
}

/** Counts who signed the ancestor's late certificate; its signature is one of the checks. */
function applyLateCertificate(
  state: State,
  late: Certificate | undefined,
  place: number,
  params: Params,
): Fault | undefined {
  if (late === undefined) return undefined;
  const distance = Number(params.lateDistance);
  const { subject } = late;
  const ancestor = state.recent.getReadonly((state.height - distance) % RECENT_BLOCKS);
  // A bit beyond the set would be no member's; a list of it has no such place.
  const right =
    place > distance &&
    late.signers.bitLen === state.presence.present.length &&
    subject.kind === VoteKind.notarize &&
    subject.epoch === state.epoch &&
    equalBytes(subject.blockHash, ancestor);
  if (!right) return fault("block/certificate", { field: "lateCertificate" });
  state.presence.opportunities += 1;
  for (const position of signersOf(late)) {
    const { present } = state.presence;
    present.set(position, present.get(position) + 1);
  }
  return undefined;
}

/** {@link checkHeader}, after the roots of what the body holds: each is remembered, and together they are long work. */
export function* headerSteps(parent: Parent, block: Block, params: Params): Steps<Fault | undefined> {
  if (block.body.submissions.length <= params.submissionsMax)
    yield* eachStep(block.body.submissions, submissionContentRoot);
  return checkHeader(parent, block, params);
}

/** Everything after the header. Mutates `state`. */
function* bodySteps(
  state: State,
  header: Header,
  body: Body,
  params: Params,
  { score, onBody }: ExecutionOptions,
): Steps<BlockReceipt | Fault> {
  const context = contextOf(header, params, score);
  beginBlock(state, header, body.beaconReveal);
  const late = applyLateCertificate(state, body.lateCertificate[0], context.place, params);
  if (late !== undefined) return late;
  for (const [index, evidence] of body.evidence.entries()) {
    const refused = applyEvidence(state, evidence, params);
    if (refused !== undefined) return fault("block/evidence", { index, cause: refused.code });
    yield;
  }
  for (const [index, transaction] of body.transactions.entries()) {
    const refused = applyTransaction(state, transaction, context);
    if (refused !== undefined) return fault("block/transaction", { index, cause: refused.code });
    yield;
  }
  const included: AcceptedSubmission[] = [];
  for (const [index, submission] of body.submissions.entries()) {
    const accepted = applySubmission(state, submission, context);
    if ("code" in accepted) return fault("block/submission", { index, cause: accepted.code });
    included.push(accepted);
    yield;
  }
  const wrong = onBody === undefined ? undefined : yield* onBody(included);
  if (wrong !== undefined) return wrong;
  return yield* endSteps(state, body, context);
}

/** The close of submissions, the end of the epoch, and what there is to say of the block. */
function* endSteps(
  state: State,
  { transactions, submissions }: Pick<Body, "transactions" | "submissions">,
  context: Context,
): Steps<BlockReceipt> {
  const { place, params } = context;
  const ids = yield* eachStep(transactions, (it) => transactionId(state.chain, it));
  if (place === closePlace(params)) closeSubmissions(state, params);
  yield;
  const epoch = place === Number(params.epochHeights) ? yield* settlementSteps(state, context) : undefined;
  return { transactions: ids, submissions: submissions.map(nullifierOf), epoch };
}

export type ExecutionOptions = {
  readonly score?: Scorer | undefined;
  /**
   * With what each submission is verified against, once all of the body was taken and before the epoch's end and the
   * root: whoever verifies can begin then. What it finds wrong makes the block invalid.
   */
  readonly onBody?: (included: readonly AcceptedSubmission[]) => Steps<Fault | undefined>;
};

/** The state after a block whose header was checked, or why the block is invalid. The parent's state is not touched. */
export function* executionSteps(
  parent: Parent,
  block: Block,
  params: Params,
  options: ExecutionOptions = {},
): Steps<Applied | Fault> {
  const state = fork(parent.state);
  inheritMemo(parent.state, state);
  const receipt = yield* bodySteps(state, block.header, block.body, params, options);
  if ("code" in receipt) return receipt;
  const root = yield* rootSteps(state);
  if (!equalBytes(root, block.header.stateRoot)) return fault("block/state-root");
  return { state, receipt };
}

/** {@link headerSteps}, then {@link executionSteps}. */
export function* blockSteps(
  parent: Parent,
  block: Block,
  params: Params,
  score?: Scorer,
): Steps<Applied | Fault> {
  const wrong = yield* headerSteps(parent, block, params);
  return wrong ?? (yield* executionSteps(parent, block, params, { score }));
}

/** {@link blockSteps} all at once. */
export const applyBlock = (parent: Parent, block: Block, params: Params, score?: Scorer): Applied | Fault =>
  allAtOnce(blockSteps(parent, block, params, score));

export type BuildInput = {
  readonly header: Omit<Header, "stateRoot" | "bodyRoot" | "height" | "epoch" | "parentHash" | "proposer"> & {
    readonly proposer: ValidatorIndex;
  };
  readonly beaconReveal: Uint8Array;
  readonly parentCertificate: Certificate | undefined;
  readonly lateCertificate: Certificate | undefined;
  readonly transactions: Body["transactions"];
  readonly submissions: Body["submissions"];
  readonly evidence: Body["evidence"];
};

/** SSZ's offset in front of each element of a list whose elements vary in size. */
const OFFSET_BYTES = 4;

export type Built = Applied & { readonly block: Block };

/**
 * Takes the candidates that fit, in their order, and drops those that the state refuses. `room` is in bytes; what
 * is left of it comes back.
 */
function* takeSteps<T>(
  candidates: readonly T[],
  { max, room }: { max: bigint; room: number },
  sizeOf: (it: T) => number,
  apply: (it: T) => boolean,
): Steps<{ taken: T[]; room: number }> {
  const taken: T[] = [];
  let left = room;
  for (const it of candidates) {
    if (taken.length >= max) break;
    yield;
    const bytes = sizeOf(it) + OFFSET_BYTES;
    if (bytes > left || !apply(it)) continue;
    left -= bytes;
    taken.push(it);
  }
  return { taken, room: left };
}

/**
 * Builds a block: takes the candidates in their order while there is room, drops those that the state
 * refuses, and fills in the roots. Candidates' signatures and proofs were verified by the mempool.
 */
export function* buildSteps(parent: Parent, input: BuildInput, params: Params, score?: Scorer): Steps<Built> {
  const state = fork(parent.state);
  inheritMemo(parent.state, state);
  const partial = {
    ...input.header,
    height: Height(parent.state.height + 1),
    epoch: parent.state.epoch,
    parentHash: parent.hash,
    stateRoot: new Uint8Array(32),
    bodyRoot: new Uint8Array(32),
  };
  const context = contextOf(partial, params, score);
  beginBlock(state, partial, input.beaconReveal);
  const late = applyLateCertificate(state, input.lateCertificate, context.place, params);
  const evidence = input.evidence
    .slice(0, EVIDENCE_MAX)
    .filter((it) => applyEvidence(state, it, params) === undefined);
  const empty: Body = {
    beaconReveal: input.beaconReveal,
    parentCertificate: input.parentCertificate === undefined ? [] : [input.parentCertificate],
    lateCertificate: late !== undefined || input.lateCertificate === undefined ? [] : [input.lateCertificate],
    transactions: [],
    submissions: [],
    evidence,
  };
  const room = BLOCK_BYTES_MAX - BlockType.value_serializedSize({ header: partial, body: empty } as never);
  let accusations = 0;
  const transactions = yield* takeSteps<Transaction>(
    input.transactions,
    { max: params.transactionsMax, room },
    (it) => TransactionType.value_serializedSize(it),
    (it) => {
      if (isAccusation(it) && accusations >= ACCUSATIONS_MAX) return false;
      if (applyTransaction(state, it, context) !== undefined) return false;
      if (isAccusation(it)) accusations++;
      return true;
    },
  );
  const submissions = yield* takeSteps<Submission>(
    input.submissions,
    { max: params.submissionsMax, room: transactions.room },
    (it) => SubmissionType.value_serializedSize(it),
    (it) => !("code" in applySubmission(state, it, context)),
  );
  const body: Body = { ...empty, transactions: transactions.taken, submissions: submissions.taken };
  const receipt = yield* endSteps(state, body, context);
  yield* eachStep(body.submissions, submissionContentRoot);
  const header: Header = {
    ...partial,
    stateRoot: yield* rootSteps(state),
    bodyRoot: bodyRoot(body),
  };
  return { state, receipt, block: { header, body } };
}

/** {@link buildSteps} all at once. */
export const buildBlock = (parent: Parent, input: BuildInput, params: Params, score?: Scorer): Built =>
  allAtOnce(buildSteps(parent, input, params, score));

/**
 * What a node asks a peer to learn which transactions, submissions and evidence wait there: first ids,
 * then the objects that it lacks. Gossip only tells what is new; this is for who was away, or ignored
 * something a moment too early. A question is one short stream, a frame each way. Used by network.ts;
 * when to ask and what to answer is node/pool-exchange.ts.
 */
import { ListCompositeType, NoneType, UnionType } from "@chainsafe/ssz";
import type { Stream } from "@libp2p/interface";
import { FaultError } from "../../consensus/primitives/faults.ts";
import { EvidenceType } from "../../consensus/types/evidence.ts";
import { Bytes32, decode } from "../../consensus/types/ssz.ts";
import { type Submission, SubmissionType } from "../../consensus/types/submission.ts";
import { TransactionType } from "../../consensus/types/transaction.ts";
import type { Log } from "../log.ts";
import { encodeFrame, readFrames } from "./frames.ts";
import type { GossipMessage, Topic } from "./topics.ts";

const MIB = 1024 * 1024;
/** As many as a pool holds. */
export const POOL_IDS_MAX = 16_384;
export const POOL_OBJECTS_MAX = 256;
/** Whoever answers stops here; the first object is always sent whole. */
const OBJECTS_BYTES_MAX = 2 * MIB;
export const POOL_QUESTION_BYTES_MAX = 16 * 1024;
const ANSWER_BYTES_MAX = 2.5 * MIB;
const ANSWER_MS_MAX = 3_000;
/** How long a peer may take to read an answer. */
const READ_MS_MAX = 10_000;

/** What waits in a pool. */
export type PoolObject =
  | Exclude<GossipMessage, { topic: "headers" | "submissions" }>
  | { readonly topic: "submissions"; readonly value: Submission };
export type PoolQuestion =
  | { readonly kind: "ids" }
  | { readonly kind: "objects"; readonly ids: readonly Uint8Array[] };
/** What the node shows of its pool. */
export type PoolView = {
  /** Of transactions their ids, of submissions nullifiers, of evidence ids; at most {@link POOL_IDS_MAX}. */
  ids(): readonly Uint8Array[];
  object(id: Uint8Array): PoolObject | undefined;
};

const QuestionType = new UnionType([new NoneType(), new ListCompositeType(Bytes32, POOL_OBJECTS_MAX)]);
const IdsType = new ListCompositeType(Bytes32, POOL_IDS_MAX);
// The library's unions lose which value belongs to which selector: cast where they are en- and decoded.
// Selectors are places in these lists: append only.
const SELECTORS = ["transactions", "submissions", "evidence"] as const satisfies readonly Topic[];
const ObjectType = new UnionType([TransactionType, SubmissionType, EvidenceType]);
const ObjectsType = new ListCompositeType(ObjectType, POOL_OBJECTS_MAX);

type Codec = { serialize(value: unknown): Uint8Array };
const asUnion = ({ topic, value }: PoolObject) => ({ selector: SELECTORS.indexOf(topic), value });

function encodeQuestion(question: PoolQuestion): Uint8Array {
  const value =
    question.kind === "ids" ? { selector: 0, value: null } : { selector: 1, value: [...question.ids] };
  return (QuestionType as Codec).serialize(value);
}

function decodeQuestion(bytes: Uint8Array): PoolQuestion | undefined {
  const asked = decode(QuestionType, bytes);
  if (asked === undefined) return undefined;
  return asked.selector === 0 ? { kind: "ids" } : { kind: "objects", ids: asked.value as Uint8Array[] };
}

function answerOf(question: PoolQuestion, view: PoolView): Uint8Array {
  if (question.kind === "ids") return IdsType.serialize(view.ids().slice(0, POOL_IDS_MAX) as Uint8Array[]);
  const objects: ReturnType<typeof asUnion>[] = [];
  let length = 0;
  for (const id of question.ids) {
    const object = view.object(id);
    if (object === undefined) continue;
    const union = asUnion(object);
    length += (ObjectType as Codec).serialize(union).length;
    if (length > OBJECTS_BYTES_MAX && objects.length > 0) break;
    objects.push(union);
  }
  return (ObjectsType as Codec).serialize(objects);
}

export const decodeIds = (bytes: Uint8Array): Uint8Array[] | undefined => decode(IdsType, bytes);

export function decodeObjects(bytes: Uint8Array): PoolObject[] | undefined {
  return decode(ObjectsType, bytes)?.map(
    ({ selector, value }) => ({ topic: SELECTORS[selector], value }) as PoolObject,
  );
}

/** Asks one question on a new stream. Throws node/request-timeout, node/request-refused. */
export async function askPool(
  peerId: string,
  question: PoolQuestion,
  open: (signal: AbortSignal) => Promise<Stream>,
): Promise<Uint8Array> {
  const signal = AbortSignal.timeout(ANSWER_MS_MAX);
  const failed = (code: "node/request-timeout" | "node/request-refused", cause?: unknown): FaultError =>
    new FaultError(code, { peerId, request: `pool ${question.kind}` }, cause);
  let stream: Stream;
  try {
    stream = await open(signal);
  } catch (error) {
    throw failed(signal.aborted ? "node/request-timeout" : "node/request-refused", error);
  }
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  // A question that could not even be sent has nobody waiting for its answer, and the stream ends all the same.
  promise.catch(() => undefined);
  signal.addEventListener("abort", () => reject(failed("node/request-timeout")));
  stream.addEventListener("close", () => reject(failed("node/request-refused")));
  readFrames(stream, {
    bytesMax: ANSWER_BYTES_MAX,
    inFlightMax: 1,
    onMessage: (message) => {
      resolve(message);
      return true;
    },
    onMisbehaviour: (reason) => reject(failed("node/request-refused", reason)),
  });
  try {
    stream.send(encodeFrame(encodeQuestion(question)));
    return await promise;
  } finally {
    stream.abort(new Error("answered"));
  }
}

/** Answers one question on the stream it came on; false if it is malformed. Never rejects. */
export function answerPool(
  message: Uint8Array,
  stream: Stream,
  answering: (answer: () => Promise<Uint8Array>) => Promise<Uint8Array | undefined>,
  view: PoolView,
  log: Log,
): false | Promise<void> {
  const question = decodeQuestion(message);
  if (question === undefined) return false;
  const respond = async (): Promise<void> => {
    try {
      const bytes = await answering(async () => answerOf(question, view));
      if (bytes === undefined) {
        stream.abort(new Error("refused"));
        return;
      }
      stream.send(encodeFrame(bytes));
      await stream.close({ signal: AbortSignal.timeout(READ_MS_MAX) });
    } catch (error) {
      log.debug({ request: question.kind, error: String(error) }, "a pool's answer was not sent");
      stream.abort(new Error("not answered"));
    }
  };
  return respond();
}

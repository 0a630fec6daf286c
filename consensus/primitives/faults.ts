/**
 * The three forms of failure, and the one closed table of fault codes.
 *
 * - *expected*: a returned {@link Verdict} that carries a {@link Fault};
 * - *environment*: a thrown {@link FaultError} with a code and a cause;
 * - *bug*: {@link invariant}, after which the process must stop.
 *
 * RPC, SDK, CLI and docs/errors.md all read {@link FAULTS}.
 */

type FaultEntry = readonly [
  /** Permanent positive number, the JSON-RPC error code. One group a thousand. */
  number: number,
  /** Whether the same request may succeed later without being changed. */
  retryable: boolean,
  /** What went wrong, in one sentence. */
  reason: string,
  /** What to do about it. */
  hint: string,
];

export const FAULTS = {
  "submission/malformed": [
    1001,
    false,
    "The submission is not a canonical encoding.",
    "Encode it with the SDK; see docs/protocol.md for the fields.",
  ],
  "submission/task-unknown": [1002, false, "No task has this id.", "List the open tasks with task_list."],
  "submission/window-closed": [
    1003,
    false,
    "The task's submission window for this epoch is not open.",
    "Wait for your next drawn slot; a round takes proofs in the first part of an epoch only.",
  ],
  "submission/epoch-mismatch": [
    1004,
    false,
    "The submission names another epoch than the current one.",
    "Prove again for the current epoch's model.",
  ],
  "submission/slot-unknown": [
    1005,
    false,
    "The task has no such slot in this epoch.",
    "Ask pod_get which slots were drawn for your pod.",
  ],
  "submission/slot-not-yours": [
    1006,
    false,
    "The slot was drawn for another pod.",
    "Submit only for slots that pod_get lists for your pod.",
  ],
  "submission/slot-filled": [
    1007,
    false,
    "This slot already has a contribution.",
    "One proof a slot is paid; wait for the next epoch.",
  ],
  "submission/signature-invalid": [
    1008,
    false,
    "The signature is not the pod's over this submission.",
    "Sign with the key the pod was registered with, for this chain id.",
  ],
  "submission/outputs-count": [
    1009,
    false,
    "The number of outputs is not the template's.",
    "Send every public output of the circuit, in its order.",
  ],
  "submission/signal-out-of-field": [
    1010,
    false,
    "A public signal is not below the field's order r.",
    "Reduce every signal modulo r; aliases are refused.",
  ],
  "submission/output-out-of-range": [
    1011,
    false,
    "An output lies outside the range its circuit can produce.",
    "Send the outputs exactly as the circuit computed them.",
  ],
  "submission/inputs-mismatch": [
    1012,
    false,
    "inputsHash is not the hash of the public inputs that the node rebuilt.",
    "Rebuild the inputs from the finalized state that opened this epoch.",
  ],
  "submission/nullifier-spent": [
    1013,
    false,
    "The nullifier was already used in this round.",
    "Each drawn batch is paid once; do not resend a proof.",
  ],
  "submission/data-tag-seen": [
    1014,
    false,
    "The same batch of data was already used in this round, from a root that is not younger.",
    "Use data of your own: whoever registered its root first is paid for it.",
  ],
  "submission/proof-malformed": [
    1015,
    false,
    "The proof bytes are not a canonical encoding of three points on the curve.",
    "Send the 128 compressed bytes that the SDK produces.",
  ],
  "submission/proof-invalid": [
    1016,
    false,
    "The proof does not verify against the public inputs.",
    "Prove again; a false proof under an equal inputsHash can cost a part of the bond.",
  ],
  "submission/pod-unknown": [
    1017,
    false,
    "No pod is registered under this id.",
    "Register the pod first with a pod-register transaction.",
  ],

  "transaction/malformed": [
    2001,
    false,
    "The transaction is not a canonical encoding.",
    "Encode it with the SDK.",
  ],
  "transaction/signature-invalid": [
    2002,
    false,
    "The signature does not verify.",
    "Sign with the sender's key, for this chain id.",
  ],
  "transaction/nonce-low": [
    2003,
    false,
    "The nonce was already used.",
    "Read the account's nonce and sign again.",
  ],
  "transaction/nonce-high": [
    2004,
    true,
    "The nonce is ahead of the account's.",
    "Send the transactions before it first.",
  ],
  "transaction/fee-low": [
    2005,
    false,
    "The fee is below the minimum.",
    "Raise the fee to at least the minimum that chain_status shows.",
  ],
  "transaction/balance-low": [
    2006,
    true,
    "The account cannot pay the amount and the fee.",
    "Fund the account first (dev_faucet on a devnet).",
  ],
  "transaction/operation-invalid": [
    2007,
    false,
    "The operation's fields are out of their limits.",
    "Read the limits in docs/protocol.md.",
  ],
  "transaction/sender-not-allowed": [
    2008,
    false,
    "The sender may not perform this operation.",
    "Use the account that owns the object.",
  ],
  "transaction/bucket-full": [2009, false, "The state's bucket for this key is full.", "Use another key."],
  "transaction/amount-zero": [2010, false, "The amount is zero.", "Send at least 1 nzkp."],
  "transaction/expired": [
    2011,
    false,
    "The transaction left the mempool without being included.",
    "Send it again.",
  ],

  "pod/already-registered": [
    3001,
    false,
    "A pod is already registered under this id or account.",
    "Use the registered pod, or another account.",
  ],
  "pod/unknown": [
    3002,
    false,
    "No pod is registered under this id.",
    "Register it with a pod-register transaction.",
  ],
  "pod/bond-low": [
    3003,
    false,
    "The bond is below one unit.",
    "Bond at least one unit; chain_status shows it.",
  ],
  "pod/slots-exceed-bond": [
    3004,
    false,
    "The pod asks for more slots than its bond covers.",
    "Raise the bond: one unit gives one slot in one task.",
  ],
  "pod/dataset-exists": [
    3005,
    false,
    "This data root is already registered.",
    "Use another salt, or the existing registration.",
  ],
  "pod/dataset-unknown": [
    3006,
    false,
    "This data root is not registered by the pod.",
    "Register it with dataset-register first.",
  ],
  "pod/dataset-limit": [
    3007,
    false,
    "The pod has as many data sets as it may have.",
    "Enroll one of the registered roots.",
  ],
  "pod/normalization-mismatch": [
    3008,
    false,
    "The data set was committed with another mean and scale than the task's.",
    "Commit the data again with the task's mean and scale.",
  ],
  "pod/root-too-late": [
    3009,
    false,
    "The root was registered after the task's first reveal.",
    "Enroll roots registered before a task reveals anything.",
  ],
  "pod/enrolled-already": [
    3010,
    false,
    "The pod is already enrolled in this task.",
    "One root a task; leave it as it is.",
  ],
  "pod/enrollment-full": [
    3011,
    true,
    "The task has no room for more pods.",
    "Try again later, or another task.",
  ],
  "pod/template-mismatch": [
    3012,
    false,
    "The operation does not fit the task's template.",
    "Read the task with task_get.",
  ],
  "pod/exiting": [
    3013,
    false,
    "The pod is leaving or has left.",
    "Register another pod; a bond that is on its way back covers nothing.",
  ],
  "pod/exit-queue-full": [
    3014,
    true,
    "Too many pods leave at once.",
    "Try again in the next epoch; bonds return in the order of the requests.",
  ],
  "pod/reputation-low": [
    3015,
    false,
    "The task takes only pods of a higher reputation.",
    "Take part in other tasks first; pod_get shows what is accepted and settled.",
  ],
  "pod/evidence-old": [
    3016,
    false,
    "The evidence is about an epoch that is outside the window.",
    "Evidence against a pod counts for a few epochs; see podEvidenceEpochs.",
  ],
  "pod/evidence-known": [
    3017,
    false,
    "The pod was punished for this epoch already.",
    "Nothing to do: once per pod and epoch.",
  ],
  "pod/evidence-unfounded": [
    3018,
    false,
    "This submission is no evidence.",
    "Only a signed false proof under exactly the rebuilt inputs is.",
  ],

  "task/unknown": [4001, false, "No task has this id.", "List the tasks with task_list."],
  "task/closed": [4002, false, "The task is closed.", "Choose an open task."],
  "task/reveal-window": [
    4003,
    true,
    "Holdout slices are revealed between the close of submissions and the last block but one of an epoch.",
    "Send the reveal inside that window.",
  ],
  "task/reveal-wrong-slices": [
    4004,
    false,
    "The reveal does not open exactly the slices that the beacon drew.",
    "Read the drawn slices with task_get.",
  ],
  "task/reveal-branch": [
    4005,
    false,
    "A slice does not hash to the task's holdout root.",
    "Open the slice that was committed, with its salt and branch.",
  ],
  "task/reveal-done": [4006, false, "This round's slices are already revealed.", "Nothing to do."],
  "task/rows-invalid": [
    4007,
    false,
    "A revealed row is outside the feature range or has a label that is not 0 or 1.",
    "Commit rows in the task's fixed point.",
  ],
  "task/limit": [
    4008,
    true,
    "As many tasks as there may be are open.",
    "Wait until one ends; chain parameters show the limit.",
  ],
  "task/bond-low": [
    4009,
    false,
    "The sponsor's bond is below twice a round's pay.",
    "Bond at least twice what a round pays: it answers for the reveals.",
  ],
  "task/pay-low": [
    4010,
    false,
    "A round's pay or the first funding is too low.",
    "Pay at least roundPayMin a round, and fund at least the first round.",
  ],
  "task/pool-small": [
    4011,
    false,
    "The pool has too few holdout slices for the rounds.",
    "Commit slicesPerRound slices for each round, or ask for fewer rounds.",
  ],
  "task/group-unavailable": [
    4012,
    false,
    "Groups are not enforced yet, so no task may ask for one.",
    "Leave the group root zero and filter by reputation.",
  ],
  "task/lane-public": [
    4013,
    false,
    "The task is in the public lane.",
    "Public tasks are paid from the public budget: they take no funds and need no approval.",
  ],
  "task/shape-unlisted": [
    4014,
    false,
    "The chain's catalogue has no such shape.",
    "Use a shape that genesis lists, with its verification key.",
  ],

  "block/malformed": [5001, false, "The block is not a canonical encoding.", "Report the peer that sent it."],
  "block/limits": [5002, false, "The block exceeds a limit.", "Report the proposer."],
  "block/header": [5003, false, "A header field does not follow from the parent.", "Report the proposer."],
  "block/proposer": [5004, false, "The proposer is not the view's.", "Report the peer that sent it."],
  "block/timestamp": [5005, false, "The timestamp is too early.", "Report the proposer."],
  "block/reveal": [5006, false, "The beacon reveal does not verify.", "Report the proposer."],
  "block/certificate": [5007, false, "A certificate in the block does not verify.", "Report the proposer."],
  "block/body-root": [
    5008,
    false,
    "The body does not hash to the header's body root.",
    "Report the peer that sent it.",
  ],
  "block/state-root": [
    5009,
    false,
    "Executing the block gives another state root.",
    "Report the proposer; if many nodes disagree, stop and compare versions.",
  ],
  "block/transaction": [5010, false, "A transaction of the block is invalid.", "Report the proposer."],
  "block/submission": [5011, false, "A submission of the block is invalid.", "Report the proposer."],
  "block/evidence": [5013, false, "A piece of evidence in the block is invalid.", "Report the proposer."],
  "block/unknown": [5012, true, "The node has no such block.", "Ask for a height up to the finalized one."],
  "block/pruned": [
    5014,
    false,
    "The node began with a snapshot and does not hold what came before it.",
    "Ask for heights from lowestHeight on, or ask a node that executed all blocks.",
  ],

  "rpc/parse": [6001, false, "The body is not JSON.", "Send one JSON-RPC 2.0 request as UTF-8 JSON."],
  "rpc/request-invalid": [
    6002,
    false,
    "The request is not JSON-RPC 2.0.",
    'Send {jsonrpc: "2.0", id, method, params}.',
  ],
  "rpc/method-unknown": [
    6003,
    false,
    "There is no such method.",
    "See docs/protocol.md for the list of methods.",
  ],
  "rpc/params-invalid": [
    6004,
    false,
    "A parameter is missing or malformed.",
    "Read the field named and its expected form.",
  ],
  "rpc/too-large": [
    6005,
    false,
    "The request is larger than the node takes.",
    "Send smaller bodies or batches.",
  ],
  "rpc/busy": [6006, true, "The node is at its limit of work in hand.", "Wait a moment and send again."],
  "rpc/host-forbidden": [
    6007,
    false,
    "The Host or Origin header is not one the node serves.",
    "Use the address that the node prints, or allow the host in its configuration.",
  ],
  "rpc/timeout": [6008, true, "The wait ended before the event.", "Ask again; waits can be repeated."],
  "rpc/not-found": [
    6009,
    true,
    "The node knows nothing under this id.",
    "Check the id; a finalized object stays known.",
  ],
  "rpc/internal": [
    6010,
    true,
    "The node failed in an unexpected way.",
    "Look at the node's log and report it.",
  ],
  "rpc/result-invalid": [
    6011,
    false,
    "The node's answer does not have the form of this version.",
    "Compare the versions of the node and of this program.",
  ],

  "node/unreachable": [
    7001,
    true,
    "The node does not answer.",
    "Check that it runs and that the URL is right.",
  ],
  "node/store-locked": [
    7002,
    false,
    "Another process uses this data folder.",
    "Stop it first; one process a folder.",
  ],
  "node/key-in-use": [
    7015,
    false,
    "Another process of this machine signs with this validator key.",
    "Stop it first: two that sign with one key equivocate, and are slashed. If there is none, see that the lock's folder can be written.",
  ],
  "node/store-corrupt": [
    7003,
    false,
    "The data folder is damaged.",
    "Restore a copy or start again from an empty folder with the same keys only after finality has passed the signer's lease.",
  ],
  "node/signer-floor": [
    7004,
    false,
    "The signer's record forbids signing here.",
    "The database is older than the last signature: let the chain finalize past the lease first.",
  ],
  "node/chain-mismatch": [
    7005,
    false,
    "The data folder belongs to another chain.",
    "Use another folder or the matching genesis.",
  ],
  "node/port-in-use": [7006, false, "The port is in use.", "Choose another port."],
  "node/diverged": [
    7007,
    false,
    "A notarized block fails validation here.",
    "Stop signing, keep the dump, compare versions: this is a bug or a broken quorum.",
  ],
  "node/vote-conflict": [
    7008,
    false,
    "The own vote of this view forbids this one.",
    "Nothing to do: the vote is not signed. If it comes again, report it: an engine never asks for it.",
  ],
  "node/store-failed": [
    7009,
    false,
    "The data folder cannot be written.",
    "Check free space, permissions and the disk, then start the node again.",
  ],
  "node/peer-lost": [7010, true, "The peer is not connected.", "Ask another peer, or wait until it is back."],
  "node/request-timeout": [7011, true, "The peer did not answer in time.", "Ask another peer."],
  "node/request-refused": [7012, true, "The peer has no answer to this request.", "Ask another peer."],
  "node/listen-failed": [
    7013,
    false,
    "The node cannot listen on this address.",
    "Use an address of this machine.",
  ],
  "node/stale": [
    7014,
    false,
    "The message speaks of what is final here already, or of an epoch that is not known here yet.",
    "Nothing to do: the node asks others for what it lacks.",
  ],

  "config/invalid": [8001, false, "A configuration value is invalid.", "Correct the field named."],
  "config/usage": [8002, false, "The command line is not understood.", "See --help."],
  "genesis/invalid": [8003, false, "The genesis document is invalid.", "Correct the field named."],
  "key/invalid": [8004, false, "A key file is invalid.", "Create it again or restore it."],
  "table/invalid": [8005, false, "The table cannot be read.", "Correct the row and column named."],
  "table/too-small": [8006, false, "The table has too few rows.", "Use more rows, or fewer pods."],
  "circuit/build-failed": [8007, false, "A circuit could not be built.", "Read the compiler's message."],
  "circuit/unknown": [8008, false, "There is no such circuit.", "zkp circuits list shows the catalogue."],
  "circuit/witness-failed": [
    8009,
    false,
    "The witness does not satisfy the circuit.",
    "The data does not fit the statement; the message names the part.",
  ],
  "circuit/batch-inactive": [
    8010,
    false,
    "Fewer rows of the batch have a non-zero residual than the circuit requires.",
    "Nothing to do: the slot lapses without fault, because such a gradient would disclose single rows.",
  ],
  "prover/stalled": [
    8011,
    true,
    "The prover made no progress.",
    "Check memory and CPU; the job can be started again.",
  ],
  "prover/cancelled": [8012, true, "The proof was cancelled.", "Start it again if it is still wanted."],
  "prover/busy": [8013, true, "Too many proofs wait for their turn.", "Wait for some to end and try again."],

  "validator/unknown": [
    9001,
    false,
    "No validator has this key.",
    "List the validators with validator_list.",
  ],
  "validator/key-used": [
    9002,
    false,
    "The BLS key was registered before.",
    "Make a new key: one key is one validator, once.",
  ],
  "validator/possession": [
    9003,
    false,
    "The proof of possession does not verify.",
    "Sign the possession message with the BLS key, for this chain id.",
  ],
  "validator/stake-low": [
    9004,
    false,
    "The stake is below the minimum.",
    "Stake at least stakeMin; validator_list shows it.",
  ],
  "validator/limit": [
    9005,
    true,
    "There are as many validators as the state has room for.",
    "Wait until one has withdrawn.",
  ],
  "validator/status": [
    9006,
    false,
    "The validator's status does not allow this.",
    "Read its status with validator_get.",
  ],
  "validator/too-early": [9007, true, "The wait has not ended.", "Send it again from the epoch named."],

  "evidence/malformed": [
    9101,
    false,
    "The evidence is not a canonical encoding.",
    "Send it as the engine reported it.",
  ],
  "evidence/no-conflict": [
    9102,
    false,
    "An honest validator may have signed both.",
    "Only two notarizes, two finalizes, or a nullify and a finalize of one view are evidence.",
  ],
  "evidence/window": [
    9103,
    false,
    "The evidence is of an epoch outside the window.",
    "Send evidence within evidenceEpochs.",
  ],
  "evidence/signer": [
    9104,
    false,
    "The signers do not fit the epoch's validator set.",
    "Both must be of one seated signer, or be certificates with a common signer.",
  ],
  "evidence/known": [
    9105,
    false,
    "The validator was slashed for this view already, or for as many as are counted.",
    "Nothing to do: one view is slashed once.",
  ],
  "light/finality": [
    9201,
    false,
    "The header is not shown to be final.",
    "Ask another node; this one may lie, or be on another chain.",
  ],
  "light/branch": [
    9202,
    false,
    "The value is not shown to be in the chain.",
    "Ask another node; this one may lie, or be on another chain.",
  ],
  "evidence/signature": [9106, false, "A signature does not verify.", "Report the peer that sent it."],
} as const satisfies Record<string, FaultEntry>;

export type FaultCode = keyof typeof FAULTS;

/** Data that a person needs to find the fault: field names, positions, expected and found values. */
export type FaultData = Readonly<Record<string, string | number | boolean>>;

/** An expected failure, as data. */
export type Fault = { readonly code: FaultCode; readonly data?: FaultData };

/** Gossip's and admission's answer: take it, drop it without blame, or drop it and blame the sender. */
export type Verdict =
  | { readonly kind: "accept" }
  | { readonly kind: "ignore"; readonly fault: Fault }
  | { readonly kind: "reject"; readonly fault: Fault };

export function fault(code: FaultCode, data?: FaultData): Fault {
  return data === undefined ? { code } : { code, data };
}

/** "reason (field: value, …) hint [code]": the one sentence form that logs, CLI and RPC share. */
export function describeFault({ code, data }: Fault): string {
  const [, , reason, hint] = FAULTS[code];
  const details = Object.entries(data ?? {}).map(([key, value]) => `${key}: ${String(value)}`);
  return `${reason}${details.length > 0 ? ` (${details.join(", ")})` : ""} ${hint} [${code}]`;
}

export function isFaultCode(code: string): code is FaultCode {
  return Object.hasOwn(FAULTS, code);
}

/** A failure of the environment or of a user's input: thrown, with what, why and what to do. */
export class FaultError extends Error {
  readonly fault: Fault;

  constructor(code: FaultCode, data?: FaultData, cause?: unknown) {
    const it = fault(code, data);
    super(describeFault(it), cause === undefined ? undefined : { cause });
    this.name = "FaultError";
    this.fault = it;
  }

  get code(): FaultCode {
    return this.fault.code;
  }
}

/** Stops at a bug. Never reachable from users' input: a reachable one would stop every node at once. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}

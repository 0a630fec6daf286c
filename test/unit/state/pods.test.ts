/** Operations pod-register, dataset-register, pod-enroll: every reason to refuse, and what they write. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Amount, Epoch, zkp } from "../../../consensus/primitives/units.ts";
import { getDataset, getPod, putDataset, putPod } from "../../../consensus/state/maps.ts";
import { EnrollmentType, fork } from "../../../consensus/state/state.ts";
import { fieldToBytes } from "../../../consensus/types/submission.ts";
import { addressOf, type Operation } from "../../../consensus/types/transaction.ts";
import { FIELD_ORDER } from "../../../consensus/work/gradient.ts";
import { assertConserved, createChain, fieldBytes, NORMALIZATION, sign } from "../../helpers/chain.ts";
import { afterOperations, assertRefused } from "../../helpers/refusals.ts";

const chain = createChain({ tasks: 2 });
const { state } = chain.genesis;
const [alice, bob] = chain.accounts as [(typeof chain.accounts)[0], (typeof chain.accounts)[0]];
const podId = fieldBytes("pod/new");
const dataRoot = fieldBytes("data/new");
const task = state.tasks.getReadonly(0).id;

const register = (id = podId, bond: bigint = zkp(20)): Operation => ({
  selector: 1,
  value: { podId: id, bond: Amount(bond) },
});
const dataset = (change: Partial<Extract<Operation, { selector: 2 }>["value"]> = {}): Operation => ({
  selector: 2,
  value: { podId, dataRoot, batches: 4, normalization: NORMALIZATION, ...change },
});
const enroll = (change: Partial<Extract<Operation, { selector: 3 }>["value"]> = {}): Operation => ({
  selector: 3,
  value: { podId, task, dataRoot, slots: 1, ...change },
});
const registered = afterOperations(chain, state, alice, [register()]);
const ready = afterOperations(chain, registered, alice, [dataset()]);

describe("pod-register", () => {
  test("moves the bond from the balance to the pod", () => {
    const pod = getPod(registered, podId);
    assert.equal(pod?.bond, zkp(20));
    assert.deepEqual(pod?.account, addressOf(alice.publicKey));
    assert.deepEqual(pod?.publicKey, alice.publicKey);
    assert.equal(registered.supply.bonded, state.supply.bonded + zkp(20));
    assertConserved(registered);
  });

  test("takes one unit as the least bond and bondMax as the largest", () => {
    const unit = chain.params.bondUnit;
    afterOperations(chain, state, alice, [register(podId, unit)]);
    afterOperations(chain, state, alice, [register(podId, chain.params.bondMax)]);
    assertRefused(chain, state, sign(chain, alice, 0, register(podId, unit - 1n)), "pod/bond-low");
    const more = register(podId, chain.params.bondMax + 1n);
    assertRefused(chain, state, sign(chain, alice, 0, more), "transaction/operation-invalid");
  });

  test("is refused for an id that is taken, out of the field, or not paid for", () => {
    const [pod] = chain.pods;
    assert.ok(pod !== undefined);
    assertRefused(chain, state, sign(chain, alice, 0, register(pod.podId)), "pod/already-registered");
    const outside = fieldToBytes(FIELD_ORDER);
    assertRefused(chain, state, sign(chain, alice, 0, register(outside)), "transaction/operation-invalid");
    const poor = afterOperations(chain, state, bob, [register(fieldBytes("x"), zkp(640))]);
    const next = sign(chain, bob, 1, register(fieldBytes("y"), zkp(640)));
    assertRefused(chain, poor, next, "transaction/balance-low");
  });

  test("is refused where keys were ground into one bucket", () => {
    const full = fork(state);
    const pod = getPod(registered, podId);
    assert.ok(pod !== undefined);
    for (let i = 0; i < 4_096; i++) {
      const id = podId.slice();
      new DataView(id.buffer).setUint32(8, i);
      putPod(full, { ...pod, podId: id });
    }
    assertRefused(chain, full, sign(chain, alice, 0, register()), "transaction/bucket-full");
  });
});

describe("dataset-register", () => {
  test("remembers the root, its batches and its height", () => {
    const found = getDataset(ready, dataRoot);
    assert.equal(found?.batches, 4);
    assert.equal(found?.registered, ready.height);
    assert.deepEqual(found?.uses, new Uint8Array(4));
    assert.equal(getPod(ready, podId)?.datasets, 1);
  });

  test("is refused to others, for unknown pods and for malformed fields", () => {
    assertRefused(chain, state, sign(chain, alice, 0, dataset()), "pod/unknown");
    assertRefused(chain, registered, sign(chain, bob, 0, dataset()), "transaction/sender-not-allowed");
    const cases = [
      dataset({ dataRoot: fieldToBytes(FIELD_ORDER) }),
      dataset({ batches: 0 }),
      dataset({ batches: 1_025 }),
    ];
    for (const operation of cases) {
      assertRefused(chain, registered, sign(chain, alice, 1, operation), "transaction/operation-invalid");
    }
    afterOperations(chain, registered, alice, [dataset({ batches: 1_024 })]);
  });

  test("is refused for a root that is registered, whoever did it", () => {
    assertRefused(chain, ready, sign(chain, alice, 2, dataset()), "pod/dataset-exists");
    const taken = dataset({ dataRoot: fieldBytes("data/a") });
    assertRefused(chain, registered, sign(chain, alice, 1, taken), "pod/dataset-exists");
  });

  test("is refused for the seventeenth root of a pod", () => {
    const all = Array.from({ length: 16 }, (_, i) => dataset({ dataRoot: fieldBytes(`data/${i}`) }));
    const full = afterOperations(chain, registered, alice, all);
    assertRefused(chain, full, sign(chain, alice, 17, dataset()), "pod/dataset-limit");
  });

  test("is refused where roots were ground into one bucket", () => {
    const full = fork(registered);
    const one = getDataset(ready, dataRoot);
    assert.ok(one !== undefined);
    for (let i = 0; i < 4_096; i++) {
      const root = dataRoot.slice();
      new DataView(root.buffer).setUint32(8, i);
      putDataset(full, { ...one, dataRoot: root });
    }
    assertRefused(chain, full, sign(chain, alice, 1, dataset()), "transaction/bucket-full");
  });
});

describe("pod-enroll", () => {
  test("puts the root among the task's, once", () => {
    const enrolled = afterOperations(chain, ready, alice, [enroll()]);
    assert.equal(enrolled.tasks.getReadonly(0).enrollments.length, 4);
    assertRefused(chain, enrolled, sign(chain, alice, 3, enroll()), "pod/enrolled-already");
  });

  test("is refused for unknown or foreign pods, tasks and roots", () => {
    assertRefused(chain, state, sign(chain, alice, 0, enroll()), "pod/unknown");
    assertRefused(chain, ready, sign(chain, bob, 0, enroll()), "transaction/sender-not-allowed");
    assertRefused(chain, ready, sign(chain, alice, 2, enroll({ task: podId })), "task/unknown");
    assertRefused(chain, ready, sign(chain, alice, 2, enroll({ dataRoot: podId })), "pod/dataset-unknown");
    const foreign = enroll({ dataRoot: fieldBytes("data/a") });
    assertRefused(chain, ready, sign(chain, alice, 2, foreign), "pod/dataset-unknown");
  });

  test("is refused for another mean and scale than the task's", () => {
    const other = dataset({ normalization: new Uint8Array(32) });
    const wrong = afterOperations(chain, registered, alice, [other]);
    assertRefused(chain, wrong, sign(chain, alice, 2, enroll()), "pod/normalization-mismatch");
  });

  test("asks for no slot or more than 64: refused", () => {
    for (const slots of [0, 65, 255]) {
      assertRefused(chain, ready, sign(chain, alice, 2, enroll({ slots })), "transaction/operation-invalid");
    }
  });

  test("counts slots of all tasks against the bond", () => {
    const second = ready.tasks.getReadonly(1).id;
    const one = afterOperations(chain, ready, alice, [enroll()]);
    assertRefused(chain, ready, sign(chain, alice, 2, enroll({ slots: 3 })), "pod/slots-exceed-bond");
    const more = enroll({ task: second, slots: 2 });
    assertRefused(chain, one, sign(chain, alice, 3, more), "pod/slots-exceed-bond");
    afterOperations(chain, one, alice, [enroll({ task: second, slots: 1 })]);
  });

  test("is refused when the task is over, and its slots are free again then", () => {
    const over = afterOperations(chain, ready, alice, [enroll({ slots: 2 })]);
    over.tasks.get(0).lastRound = Epoch(0);
    over.epoch = Epoch(1);
    over.commit();
    assertRefused(chain, over, sign(chain, alice, 3, enroll()), "task/closed");
    const second = over.tasks.getReadonly(1).id;
    afterOperations(chain, over, alice, [enroll({ task: second, slots: 2 })]);
  });

  test("is refused for a root registered at or after the task's first reveal", () => {
    const revealed = fork(ready);
    const root = getDataset(revealed, dataRoot);
    assert.ok(root !== undefined);
    putDataset(revealed, { ...root, registered: root.registered });
    revealed.tasks.get(0).revealedFrom = (root.registered + 1) as typeof root.registered;
    revealed.commit();
    afterOperations(chain, revealed, alice, [enroll()]);
    putDataset(revealed, { ...root, registered: (root.registered + 1) as typeof root.registered });
    revealed.commit();
    assertRefused(chain, revealed, sign(chain, alice, 2, enroll()), "pod/root-too-late");
  });

  test("is refused when the task has no room", () => {
    const full = fork(ready);
    const { enrollments } = full.tasks.get(0);
    while (enrollments.length < 4_096) {
      enrollments.push(EnrollmentType.toViewDU({ podId: dataRoot, dataRoot: podId, slots: 1 }));
    }
    full.commit();
    assertRefused(chain, full, sign(chain, alice, 2, enroll()), "pod/enrollment-full");
  });
});

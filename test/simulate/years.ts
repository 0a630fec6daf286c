/**
 * Scenario `population`: years of epochs with everybody at once. A public task follows another, a sponsor buys
 * rounds, another deals with itself, one proposer censors. Each actor's gain is what it holds at the end less what
 * it had: rewards, fees, burns and bonds all count.
 */
import { zkp } from "../../consensus/primitives/units.ts";
import {
  bursting,
  exactCopy,
  generatedPool,
  honest,
  labelFlip,
  nearCopy,
  randomRows,
  zeroGradient,
} from "./populations.ts";
import { createWorld, type Worker } from "./world.ts";

export type YearsOptions = {
  readonly years: number;
  readonly epochHours: number;
  readonly onYear: (year: number, mintedZkp: number) => void;
};

export type ActorRow = {
  readonly actor: string;
  readonly kind: string;
  readonly bond: number;
  readonly paid: number;
  readonly rounds: number;
  /** Whole ZKP: what it has now, bonds included, less what it began with. */
  readonly gain: number;
};

type Actor = {
  readonly name: string;
  readonly kind: string;
  readonly task: "public" | "market" | "self" | "none";
  /** Worker of each of its pods, with the units that the pod bonds. */
  readonly pods: readonly { readonly name: string; readonly units: number; readonly worker: Worker }[];
};

const one = (name: string, kind: string, worker: Worker, task: Actor["task"] = "public"): Actor => ({
  name,
  kind,
  task,
  pods: [{ name, units: 1, worker }],
});

const ACTORS: readonly Actor[] = [
  ...[0, 1, 2].map((i) => one(`honest-${i}`, "honest", honest())),
  one("label-flip", "label-flipping", labelFlip()),
  one("random", "random rows", randomRows()),
  one("zero", "zero gradient", zeroGradient),
  one("copy-one", "exact copy of honest-1's rows", exactCopy("honest-1")),
  one("copy-near", "near copy of honest-2's rows", nearCopy("honest-2")),
  one("burst", "one epoch in seven", bursting(7, honest())),
  {
    name: "whole",
    kind: "two units in one",
    task: "public",
    pods: [{ name: "whole", units: 2, worker: honest() }],
  },
  {
    name: "split",
    kind: "two units, split",
    task: "public",
    pods: [0, 1].map((i) => ({ name: `split-${i}`, units: 1, worker: honest() })),
  },
  ...[0, 1].map((i) => one(`market-${i}`, "honest, sponsored task", honest(), "market")),
  { name: "sponsor", kind: "sponsor of public tasks", task: "none", pods: [] },
  { name: "buyer", kind: "sponsor who pays", task: "none", pods: [] },
  {
    name: "self-dealer",
    kind: "sponsor with own pods",
    task: "self",
    pods: [0, 1].map((i) => ({ name: `self-${i}`, units: 1, worker: honest() })),
  },
  ...[0, 1, 2, 3].map(
    (i): Actor => ({
      name: `v${i}`,
      kind: i === 0 ? "validator, censors honest-0" : "validator",
      task: "none",
      pods: [],
    }),
  ),
];

const ROUNDS = 30;
const SLICES = 4;
const STAKE = zkp(1_000);
const whole = (amount: bigint): number => Number(amount / 10n ** 6n) / 1_000;

export function simulateYears({ years, epochHours, onYear }: YearsOptions): {
  rows: ActorRow[];
  minted: number;
  burned: number;
} {
  const heights = Math.round((epochHours * 3_600_000) / 500);
  const perYear = Math.round(8_760 / epochHours);
  const world = createWorld({
    params: {
      epochHeights: String(heights),
      slicesPerRound: String(SLICES),
      targetMin: "1000000",
      emaEpochs: String(Math.max(1, Math.round(720 / epochHours))),
    },
    accounts: Object.fromEntries(ACTORS.map(({ name }) => [name, 2_000_000])),
    stake: STAKE,
  });
  const start = new Map(ACTORS.map(({ name }) => [name, world.wealth(name)]));
  for (const { name, pods } of ACTORS) {
    for (const pod of pods)
      world.addPod(pod.name, pod.worker, {
        owner: name,
        bond: BigInt(pod.units) * world.params.bondUnit,
      });
  }
  const paid = new Map<string, bigint>();
  const rounds = new Map<string, number>();
  const ownerOf = new Map(ACTORS.flatMap(({ name, pods }) => pods.map((pod) => [pod.name, name] as const)));
  let minted = 0n;
  let yearly = 0n;
  let burned = 0n;
  let serial = 0;
  const epochs = years * perYear;
  for (let epoch = 0; epoch < epochs; epoch++) {
    if (epoch % ROUNDS === 0) {
      serial++;
      const open = (sponsor: string, task: Actor["task"], roundPay: bigint): Uint8Array => {
        const pool = generatedPool(`${task}/${serial}`, ROUNDS * SLICES, world.shape.features);
        const id = world.addTask(sponsor, pool, { rounds: ROUNDS, roundPay, lead: 1 });
        for (const actor of ACTORS) {
          if (actor.task !== task) continue;
          for (const pod of actor.pods) world.enroll(pod.name, id, { owner: actor.name, slots: pod.units });
        }
        return id;
      };
      world.approve(open("sponsor", "public", zkp(1)));
      open("buyer", "market", zkp(100));
      open("self-dealer", "self", zkp(100));
    }
    const receipt = world.epoch({ censors: (validator, pod) => validator === 0 && pod === "honest-0" });
    minted += receipt.minted;
    yearly += receipt.minted;
    burned += receipt.burned;
    for (const { contributions } of receipt.rounds) {
      for (const { podId, amount } of contributions) {
        const owner = ownerOf.get(world.podName(podId)) ?? "";
        paid.set(owner, (paid.get(owner) ?? 0n) + amount);
        if (amount > 0n) rounds.set(owner, (rounds.get(owner) ?? 0) + 1);
      }
    }
    if (epoch % 100 === 0) world.checkSupply();
    if (epoch % perYear === perYear - 1) {
      onYear((epoch + 1) / perYear, whole(yearly));
      yearly = 0n;
    }
  }
  world.checkSupply();
  const sponsored = (name: string): bigint =>
    world.state.tasks
      .getAllReadonly()
      .filter(({ sponsor }) => world.same(sponsor, world.addressOfName(name)))
      .reduce((sum, { bond, escrow }) => sum + bond + escrow, 0n);
  const rows = ACTORS.map(({ name, kind, pods }): ActorRow => {
    const bonds = pods.reduce((sum, pod) => sum + world.pod(pod.name).bond, 0n);
    const now = world.wealth(name) + bonds + sponsored(name);
    return {
      actor: name,
      kind,
      bond: whole(bonds),
      paid: whole(paid.get(name) ?? 0n),
      rounds: rounds.get(name) ?? 0,
      gain: whole(now - (start.get(name) ?? 0n)),
    };
  });
  return { rows, minted: whole(minted), burned: whole(burned) };
}

/** Operation `holdout-reveal`: the sponsor opens exactly the slices that the beacon drew at the close. */
import { concatBytes, equalBytes } from "../primitives/bytes.ts";
import { fault } from "../primitives/faults.ts";
import { verifyBranch } from "../primitives/merkle.ts";
import { closePlace } from "../primitives/params.ts";
import { decodeFeatures, sliceLeaf } from "../types/holdout.ts";
import { HOLDOUT_DEPTH, type Operation, SLICE_ROWS } from "../types/transaction.ts";
import { FEATURE_MAX, FEATURE_MIN, shapeOf } from "../work/gradient.ts";
import type { Context, Decision, Sender } from "./context.ts";
import { taskIndexOf } from "./maps.ts";
import { bytesText, type State } from "./state.ts";

type Reveal = Extract<Operation, { selector: 4 }>["value"];

export function holdoutReveal(
  state: State,
  sender: Sender,
  reveal: Reveal,
  { params, place }: Context,
): Decision {
  const index = taskIndexOf(state, reveal.task);
  if (index < 0) return fault("task/unknown");
  const task = state.tasks.getReadonly(index);
  const round = state.rounds.getReadonly(index);
  if (!equalBytes(task.sponsor, sender.address))
    return fault("transaction/sender-not-allowed", { owner: "the sponsor" });
  if (reveal.epoch !== state.epoch || place <= closePlace(params) || place >= Number(params.epochHeights)) {
    return fault("task/reveal-window", { epoch: state.epoch, place });
  }
  if (round.labels.length > 0) return fault("task/reveal-done");
  const drawn = round.drawnSlices.getAll();
  if (drawn.length === 0 || drawn.length !== reveal.slices.length) {
    return fault("task/reveal-wrong-slices", { drawn: drawn.join(" ") });
  }
  const { features } = shapeOf(bytesText(task.shape));
  for (const [i, slice] of reveal.slices.entries()) {
    if (slice.index !== drawn[i])
      return fault("task/reveal-wrong-slices", { drawn: drawn.join(" "), position: i });
    if (
      slice.branch.length !== HOLDOUT_DEPTH ||
      !verifyBranch(task.holdoutRoot, sliceLeaf(slice), slice.index, slice.branch)
    ) {
      return fault("task/reveal-branch", { slice: slice.index });
    }
    const wide = slice.features.length !== SLICE_ROWS * features * 2;
    if (wide || !decodeFeatures(slice.features).every((x) => x >= FEATURE_MIN && x <= FEATURE_MAX)) {
      return fault("task/rows-invalid", { slice: slice.index });
    }
    if (!slice.labels.every((label) => label <= 1)) return fault("task/rows-invalid", { slice: slice.index });
  }
  return () => {
    const opened = state.rounds.get(index);
    opened.features = concatBytes(...reveal.slices.map((slice) => slice.features));
    opened.labels = concatBytes(...reveal.slices.map((slice) => slice.labels));
    const ours = state.tasks.get(index);
    if (ours.revealedFrom === 0) ours.revealedFrom = state.height;
  };
}

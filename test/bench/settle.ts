/** What settling a round of 64 pods costs: the score alone, on 96 and on 256 opened rows. */

import { gradientOf, type Rows } from "../../consensus/work/gradient.ts";
import { scoreRound } from "../../consensus/work/score.ts";
import { deal, generatedTable } from "../../devnet/data.ts";
import { sliceRows } from "../../pod/dataset.ts";
import { standardOf, toFixed } from "../../pod/standardise.ts";
import { type Figure, median, timed } from "./figure.ts";

const PODS = 64;
const ROWS = 32;
const FEATURES = 10;
const ROUNDS = 9;

export async function* bench(): AsyncGenerator<Figure> {
  const table = generatedTable({ seed: 3, rows: 4_000, features: FEATURES });
  const dealt = deal(table, { pods: PODS, batchRows: ROWS, batchesPerPod: 1, holdoutSlices: 32, seed: 3 });
  const standard = standardOf(dealt.holdout);
  const model = new Array<number>(FEATURES + 1).fill(0);
  const gradients = dealt.pods.map((rows) => gradientOf(model, sliceRows(toFixed(rows, standard), 0, ROWS)));
  const holdout = toFixed(dealt.holdout, standard);
  for (const opened of [96, 256]) {
    const rows: Rows = sliceRows(holdout, 0, opened);
    const seed = new Uint8Array(32).fill(7);
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      times.push(
        await timed(() =>
          scoreRound({
            model,
            rows,
            gradients,
            rowsPerGradient: ROWS,
            rate: { numerator: 3, shift: 1 },
            normBound: 2n ** 77n,
            weight: 1,
            seed,
          }),
        ),
      );
    }
    yield { name: `settle: ${PODS} pods, ${opened} rows opened`, value: median(times), unit: "ms" };
  }
}

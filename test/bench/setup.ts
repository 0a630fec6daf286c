/** The development set-up, compiling apart: how long keys take from a circuit's constraints. */

import { readFile } from "node:fs/promises";
import { spreadOver } from "../../circuits/build/build.ts";
import { createBuilderPool } from "../../circuits/build/pool.ts";
import { developmentSetup } from "../../circuits/build/setup.ts";
import { circuitFor } from "../circuits/proofs.ts";
import { type Figure, median, timed } from "./figure.ts";

const ROUNDS = 3;

export async function* bench(): AsyncGenerator<Figure> {
  for (const shape of ["gradient-32x10", "gradient-32x30"]) {
    const r1cs = new Uint8Array(await readFile((await circuitFor(shape)).r1csPath));
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      // Threads included: a build has to start them too.
      const pool = createBuilderPool();
      times.push(await timed(() => developmentSetup(r1cs, spreadOver(pool), () => undefined)));
      await pool.stop();
    }
    yield { name: `setup: keys of ${shape}`, value: median(times) / 1000, unit: "s" };
  }
}

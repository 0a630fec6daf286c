/**
 * From a person's table to a committed data set of a task: the task's mean and scale, fixed point, batches.
 * Called by `zkp pod init` and the SDK. Refuses a table whose columns are not the task's.
 */
import { FaultError } from "../consensus/primitives/faults.ts";
import { shapeOf } from "../consensus/work/gradient.ts";
import type { TaskDetail } from "../rpc/methods.ts";
import { commitRows, type Dataset, type Standard, shuffleRows } from "./dataset.ts";
import { toFixed } from "./standardise.ts";
import type { Table } from "./table.ts";

/** Columns that the task's sponsor really had: what is beyond them was padded with mean 0 and scale 1. */
export function columnsOf({ mean, scale }: Standard): number {
  let columns = mean.length;
  while (columns > 1 && mean[columns - 1] === 0 && scale[columns - 1] === 1) columns--;
  return columns;
}

export function commitTable(table: Table, task: Pick<TaskDetail, "shape" | "mean" | "scale">): Dataset {
  const shape = shapeOf(task.shape);
  const standard = { mean: task.mean, scale: task.scale };
  const [least, most] = [columnsOf(standard), shape.features];
  const columns = table.columns.length;
  if (columns < least || columns > most) {
    const expected =
      least === most
        ? `${most} feature columns, as the task has`
        : `${least} … ${most} feature columns, as the task has`;
    throw new FaultError("table/invalid", { columns, expected });
  }
  const padding = new Array<number>(most - columns).fill(0);
  const rows = table.rows.map((row) => [...row, ...padding]);
  return commitRows(shuffleRows(toFixed({ rows, labels: table.labels }, standard)), shape, standard);
}

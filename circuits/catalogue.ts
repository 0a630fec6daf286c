/**
 * The catalogue: which circuits there are, and the main component that each is compiled from. Called by the
 * builder and by whoever lists circuits. One template today; a template more is one case more.
 */

import { type GradientShape, SHAPES, shapeOf } from "../consensus/work/gradient.ts";

export type Circuit = {
  /** Of the shape, e.g. `gradient-32x10`. */
  readonly id: string;
  readonly template: "gradient";
  readonly shape: GradientShape;
  /** The main component's source; its includes are relative to this folder. */
  readonly source: string;
};

function gradientCircuit(shape: GradientShape): Circuit {
  const { rows, features, depth, minActive } = shape;
  const source = `pragma circom 2.2.0;

include "gradient/gradient.circom";

component main { public [task, epoch, podId, dataRoot, batchIndex, w] } =
    Gradient(${rows}, ${features}, ${depth}, ${minActive});
`;
  return { id: shape.id, template: "gradient", shape, source };
}

/** Every circuit that can be built. */
export function catalogue(): Circuit[] {
  return SHAPES.map(gradientCircuit);
}

/** @throws `circuit/unknown` */
export function circuitOf(shapeId: string): Circuit {
  return gradientCircuit(shapeOf(shapeId));
}

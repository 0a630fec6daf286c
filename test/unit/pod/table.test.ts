/** Reading a person's table: what is understood, and that every fault says where it is. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { rowsValid } from "../../../consensus/work/gradient.ts";
import { standardOf, toFixed } from "../../../pod/standardise.ts";
import { readTable, type TableOptions } from "../../../pod/table.ts";

const named: TableOptions = { label: "kind", positive: "M", ignore: ["id"] };
const placed: TableOptions = { label: 1, positive: "M", ignore: [0] };

describe("a table is read", () => {
  test("with a header, by the names of its columns", () => {
    const table = readTable("id,kind,size,weight\n1,M,1.5,-2\n2,B,3e2,.5\n", named);
    assert.deepEqual(table, {
      columns: ["size", "weight"],
      rows: [
        [1.5, -2],
        [300, 0.5],
      ],
      labels: [1, 0],
    });
  });

  test("without a header, by positions counted from 0", () => {
    const table = readTable("842302,M,17.99,10.38\n842517,B,20.57,17.77\n", placed);
    assert.deepEqual(table.columns, ["column 2", "column 3"]);
    assert.deepEqual(table.rows, [
      [17.99, 10.38],
      [20.57, 17.77],
    ]);
    assert.deepEqual(
      readTable("842302,M,17.99\n842517,B,20.57\n", { ...placed, label: "1", ignore: ["0"] }).labels,
      [1, 0],
    );
  });

  test("with a header whose columns are given as positions", () => {
    const table = readTable("id,kind,size\n1,M,2\n2,B,3\n", placed);
    assert.deepEqual(table.columns, ["size"]);
    assert.equal(table.rows.length, 2);
  });

  test("with semicolons, tabs, quotes, blanks, empty lines, CRLF and a byte order mark", () => {
    assert.deepEqual(
      readTable("\uFEFFkind;size\r\n\r\nM; 1\r\nB ;2\r\n", { label: "kind", positive: "M" }).rows,
      [[1], [2]],
    );
    assert.deepEqual(
      readTable('kind\tsize\n"M"\t1\nB\t"2"\n', { label: "kind", positive: "M" }).labels,
      [1, 0],
    );
  });

  test("with numeric labels, however they are written", () => {
    assert.deepEqual(readTable("1,5\n0,6\n1.0,7\n", { label: 0, positive: "1" }).labels, [1, 0, 1]);
  });
});

describe("a fault names row, column, what was found and what was expected", () => {
  const cases: readonly [string, string, TableOptions, Record<string, string | number>][] = [
    [
      "a cell that is no number",
      "id,kind,size\n1,M,2\n2,B,big\n",
      named,
      { row: 3, column: "2 (size)", found: '"big"' },
    ],
    ["an empty cell", "1,M,2\n2,B,\n", placed, { row: 2, column: "2", found: "an empty cell" }],
    ["infinity", "1,M,2\n2,B,Infinity\n", placed, { row: 2, found: '"Infinity"' }],
    ["not a number", "1,M,NaN,1\n2,B,1,1\n", placed, { row: 1, column: "2", found: '"NaN"' }],
    ["a number too large", "1,M,1e400\n2,B,1\n", placed, { row: 1, column: "2", expected: "at most 1e100" }],
    ["hexadecimal", "1,M,2\n2,B,0x10\n", placed, { row: 2, found: '"0x10"' }],
    [
      "a short row",
      "id,kind,size\n1,M,2\n\n2,B\n",
      named,
      { row: 4, found: "2 cells", expected: "3, as in row 1" },
    ],
    ["a long row", "1,M,2\n2,B,3,4\n", placed, { row: 2, found: "4 cells" }],
    [
      "an unknown label column",
      "id,Kinds,size\n1,M,2\n",
      named,
      { column: "kind", expected: 'perhaps "Kinds"' },
    ],
    ["no column like it", "a,b\n1,2\n", { label: "diagnosis", positive: "M" }, { expected: "one of a, b" }],
    [
      "a name that two columns have",
      "kind,kind,x\nM,B,1\n",
      { label: "kind", positive: "M" },
      { column: "kind" },
    ],
    [
      "a position outside",
      "1,M\n2,B\n",
      { label: 7, positive: "M" },
      { column: 7, expected: "a position from 0 to 1" },
    ],
    ["no positive row", "1,X,2\n2,B,3\n", placed, { column: "1", found: "the labels X, B" }],
    ["only positive rows", "1,M,2\n2,M,3\n", placed, { column: "1", expected: "both classes" }],
    ["an empty label", "1,M,2\n2,,3\n", placed, { row: 2, column: "1", expected: "a label" }],
    ["an empty file", "\n\n", placed, { found: "an empty file" }],
    ["a header and nothing else", "id,kind,size\n", named, { found: "only a header" }],
    ["no feature column", "1,M\n2,B\n", placed, { found: "0 feature columns" }],
    ["a quote that never ends", '1,M,2\n2,B,"3\n', placed, { found: "CSV_QUOTE_NOT_CLOSED" }],
    ["binary", "\u0000\u0001\u0002", placed, {}],
  ];
  for (const [name, text, options, expected] of cases) {
    test(name, () => {
      assert.throws(
        () => readTable(text, { ...options, name: "patients.csv" }),
        (error: unknown) => {
          assert.ok(error instanceof FaultError && error.code === "table/invalid");
          const data = error.fault.data ?? {};
          assert.equal(data.file, "patients.csv");
          for (const [key, value] of Object.entries(expected)) assert.equal(data[key], value);
          return true;
        },
      );
    });
  }

  test("whatever the text, it is a table or table/invalid", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc
        .array(fc.constantFrom("1", ",", "\n", "M", '"', "-", ";", " ", "x"), { maxLength: 40 })
        .map((it) => it.join("")),
    );
    fc.assert(
      fc.property(text, fc.constantFrom(named, placed, { label: 0, positive: "1" }), (it, options) => {
        try {
          const table = readTable(it, options);
          assert.ok(table.rows.length === table.labels.length && table.rows.flat().every(Number.isFinite));
        } catch (error) {
          assert.ok(error instanceof FaultError && error.code === "table/invalid", String(error));
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("standardising", () => {
  test("gives mean 0 and deviation 1 in Q8", () => {
    const raw = {
      rows: [
        [1, 5],
        [3, 5],
      ],
      labels: [0, 1] as const,
    };
    const standard = standardOf(raw);
    assert.deepEqual(standard, { mean: [2, 5], scale: [1, 1] });
    assert.deepEqual([...toFixed(raw, standard).x], [-256, 0, 256, 0]);
    assert.deepEqual([...toFixed(raw, standard).y], [0, 1]);
  });

  test("a column that does not vary has scale 1 even where its mean would round", () => {
    const rows = Array.from({ length: 49 }, () => [0.1]);
    assert.deepEqual(standardOf({ rows }), { mean: [0.1], scale: [1] });
  });

  test("clips to 12 bits", () => {
    const { x } = toFixed(
      { rows: [[1e99], [-1e99], [7.9961]], labels: [0, 1, 1] },
      { mean: [0], scale: [1] },
    );
    assert.deepEqual([...x], [2047, -2048, 2047]);
  });

  test("any readable numbers give rows in range", () => {
    const number = fc.double({ min: -1e100, max: 1e100, noNaN: true });
    const rows = fc.array(fc.array(number, { minLength: 3, maxLength: 3 }), { maxLength: 20 });
    fc.assert(
      fc.property(
        fc.array(fc.array(number, { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 20 }),
        rows,
        (own, others) => {
          const standard = standardOf({ rows: own });
          assert.ok(
            standard.scale.every((it) => it > 0 && Number.isFinite(it)) &&
              standard.mean.every(Number.isFinite),
          );
          assert.ok(rowsValid(toFixed({ rows: others, labels: others.map(() => 1) }, standard)));
        },
      ),
    );
  });

  test("rows of another width are refused", () => {
    assert.throws(() => toFixed({ rows: [[1, 2]], labels: [1] }, { mean: [0], scale: [1] }), {
      code: "table/invalid",
    });
  });
});

/**
 * Reads a person's own table: text with one row a line, numbers in every column but the label's. The devnet's
 * `--data` and the SDK's `dataset()` call it; nothing of the table leaves the process.
 *
 * **Which columns.** A column is a name of the first row, or a position counted from 0. Cells are split at the
 * comma, semicolon or tab, whichever the first line has most of; quotes as in RFC 4180; empty lines are skipped.
 *
 * **Whether there is a header.** There is one if a column is asked for by a name, that is, by anything but
 * digits (digits are always a position), or if no feature cell of the first row is a number. A first row with
 * only some numbers is data with a fault, and is reported as such instead of being swallowed as a header.
 *
 * **Labels.** Rows whose label is `positive` are 1, all others 0; an empty label is a fault, and so is a table
 * of one class.
 *
 * All faults are `table/invalid` with the row as an editor counts lines (from 1), the column, what was found
 * and what was expected.
 */
import { CsvError, parse } from "csv-parse/sync";
import { type FaultData, FaultError } from "../consensus/primitives/faults.ts";

export type Label = 0 | 1;

/** Rows as a person has them, before fixed point. */
export type RawRows = { readonly rows: readonly (readonly number[])[]; readonly labels: readonly Label[] };

export type Table = RawRows & {
  /** Names of the feature columns; `column 3` where the file names none. */
  readonly columns: readonly string[];
};

export type TableOptions = {
  /** Name or zero-based position of the label's column. */
  readonly label: string | number;
  /** The label's value that means 1. */
  readonly positive: string;
  /** Names or positions of columns that are neither features nor the label, such as an identifier. */
  readonly ignore?: readonly (string | number)[];
  /** Of the file, for messages. */
  readonly name?: string;
};

const TABLE_ROWS_MAX = 1_000_000;
/** As many features as a model in the state may have, its bias apart. */
const TABLE_FEATURES_MAX = 1_023;
/** So that squares and sums of a column stay finite. */
const MAGNITUDE_MAX = 1e100;

type Fail = (data: FaultData, cause?: unknown) => FaultError;

/** One row of the file, with the number of its last line. */
type Line = { readonly number: number; readonly cells: readonly string[] };

/** @throws `table/invalid` */
export function readTable(text: string, options: TableOptions): Table {
  const fail: Fail = (data, cause) =>
    new FaultError(
      "table/invalid",
      { ...(options.name === undefined ? {} : { file: options.name }), ...data },
      cause,
    );
  const lines = parseLines(text, fail);
  const [first] = lines;
  if (first === undefined) throw fail({ found: "an empty file", expected: "rows of comma-separated cells" });

  const asked = [options.label, ...(options.ignore ?? [])];
  const header = hasHeader(first.cells, asked);
  const names = first.cells.map((cell, at) => (header && cell !== "" ? cell : `column ${at}`));
  const [label = 0, ...ignored] = asked.map((column) => positionOf(column, names, header, fail));
  const features = [...names.keys()].filter((at) => at !== label && !ignored.includes(at));
  if (features.length === 0 || features.length > TABLE_FEATURES_MAX) {
    throw fail({ found: `${features.length} feature columns`, expected: `1 to ${TABLE_FEATURES_MAX}` });
  }
  const data = header ? lines.slice(1) : lines;
  if (data.length === 0) throw fail({ row: first.number, found: "only a header", expected: "rows below it" });

  const rows: number[][] = [];
  const labels: Label[] = [];
  for (const { number, cells } of data) {
    if (cells.length !== names.length) {
      const expected = `${names.length}, as in row ${first.number}`;
      throw fail({ row: number, found: `${cells.length} cells`, expected });
    }
    const cellAt = (at: number): Cell => ({
      text: cells[at] ?? "",
      row: number,
      column: columnText(at, names),
    });
    rows.push(features.map((at) => readNumber(cellAt(at), fail)));
    labels.push(readLabel(cellAt(label), options.positive, fail));
  }
  checkClasses(labels, data, label, columnText(label, names), options.positive, fail);
  return { columns: features.map((at) => names[at] ?? ""), rows, labels };
}

function parseLines(text: string, fail: Fail): Line[] {
  const firstLine = /[^\r\n]+/.exec(text)?.[0] ?? "";
  const count = (mark: string): number => firstLine.split(mark).length;
  const delimiter = [",", ";", "\t"].reduce((best, mark) => (count(mark) > count(best) ? mark : best));
  const lines: Line[] = [];
  try {
    parse(text, {
      bom: true,
      delimiter,
      relax_column_count: true,
      skip_empty_lines: true,
      to: TABLE_ROWS_MAX + 2,
      trim: true,
      on_record: (cells: string[], { lines: number }) => {
        lines.push({ number, cells });
        return null;
      },
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const { lines: row } = error;
    const place: FaultData = typeof row === "number" ? { row } : {};
    throw fail({ ...place, found: error.code, expected: "CSV as in RFC 4180" }, error);
  }
  if (lines.length > TABLE_ROWS_MAX + 1) {
    throw fail({ found: `over ${TABLE_ROWS_MAX} rows`, expected: `at most ${TABLE_ROWS_MAX}` });
  }
  return lines;
}

function hasHeader(first: readonly string[], asked: readonly (string | number)[]): boolean {
  if (asked.some((column) => !isPosition(column))) return true;
  const positions = asked.map(Number);
  return first.every(
    (cell, at) => positions.includes(at) || (cell !== "" && Number.isNaN(parseNumber(cell))),
  );
}

const isPosition = (column: string | number): boolean => typeof column === "number" || /^\d+$/.test(column);

function positionOf(column: string | number, names: readonly string[], header: boolean, fail: Fail): number {
  if (isPosition(column)) {
    const at = Number(column);
    if (Number.isInteger(at) && at >= 0 && at < names.length) return at;
    throw fail({
      column,
      found: `${names.length} columns`,
      expected: `a position from 0 to ${names.length - 1}`,
    });
  }
  const at = names.indexOf(String(column));
  if (header && at !== -1) {
    if (names.lastIndexOf(String(column)) === at) return at;
    throw fail({
      column,
      found: "several columns of this name",
      expected: "its zero-based position instead",
    });
  }
  const near = nearest(String(column), names);
  throw fail({
    column,
    found: `no such column in the first row`,
    expected: near === undefined ? `one of ${shorten(names.join(", "), 200)}` : `perhaps "${near}"`,
  });
}

/** A column as a person looks for it. */
function columnText(at: number, names: readonly string[]): string {
  const name = names[at] ?? "";
  return name === `column ${at}` ? String(at) : `${at} (${shorten(name)})`;
}

type Cell = { readonly text: string; readonly row: number; readonly column: string };

/** NaN unless the whole cell is a finite decimal number. */
function parseNumber(cell: string): number {
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(cell) ? Number(cell) : Number.NaN;
}

function readNumber({ text, row, column }: Cell, fail: Fail): number {
  const value = parseNumber(text);
  if (Math.abs(value) <= MAGNITUDE_MAX) return value;
  const found = text === "" ? "an empty cell" : `"${shorten(text)}"`;
  throw fail({
    row,
    column,
    found,
    expected: Number.isNaN(value) ? "a number such as -1.5" : "at most 1e100",
  });
}

function readLabel({ text, row, column }: Cell, positive: string, fail: Fail): Label {
  if (text === "") throw fail({ row, column, found: "an empty cell", expected: "a label" });
  // NaN equals nothing, so this is a comparison of numbers only where both are.
  return text === positive.trim() || parseNumber(text) === parseNumber(positive.trim()) ? 1 : 0;
}

function checkClasses(
  labels: readonly Label[],
  data: readonly Line[],
  label: number,
  column: string,
  positive: string,
  fail: Fail,
): void {
  const value = `"${shorten(positive)}"`;
  if (!labels.includes(0))
    throw fail({ column, found: `only rows labelled ${value}`, expected: "both classes" });
  if (labels.includes(1)) return;
  const seen = [...new Set(data.map(({ cells }) => cells[label] ?? ""))].slice(0, 5).map((it) => shorten(it));
  throw fail({ column, found: `the labels ${seen.join(", ")}`, expected: `some rows labelled ${value}` });
}

function shorten(text: string, length = 40): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** The name that takes the fewest edits, if they are under half of what was asked for. */
function nearest(asked: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.floor(asked.length / 2) + 1;
  for (const name of names) {
    const distance = editDistance(asked.toLowerCase().slice(0, 64), name.toLowerCase().slice(0, 64));
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return best;
}

/** Levenshtein's. */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    above = row;
  }
  return above[b.length] ?? 0;
}

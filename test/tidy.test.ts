/**
 * Rules of the house as a test: what may import what, that consensus/ is pure, that no file is
 * unreachable, that every room says what it holds. ARCHITECTURE.md explains each.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..");
const ls = (...patterns: string[]): string[] =>
  execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", ...patterns], {
    cwd: root,
    encoding: "utf8",
  })
    .split("\n")
    .filter((file) => file !== "" && existsSync(join(root, file)));
const read = (file: string): string => readFileSync(join(root, file), "utf8");
const files = ls("*.ts").filter((file) => !file.endsWith(".d.ts"));
const sources = files.filter((file) => !file.startsWith("test/"));

const withoutComments = (file: string): string => read(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");

/** Paths that a file imports, from the project's root; packages are left out. */
function importsOf(file: string): string[] {
  const code = read(file);
  const found = [...code.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map((match) => match[1] ?? "");
  const workers = [...code.matchAll(/new URL\(\s*[`"](\.[^`"]+?)(?:\$\{[^}]*\}|\.ts)?[`"]/g)].map(
    (match) => `${match[1]}`,
  );
  return [...found, ...workers.map((name) => `${name}.ts`)]
    .map((name) => normalize(join(dirname(file), name)))
    .filter((name) => existsSync(join(root, name)));
}

const LAYERS = [
  "consensus/primitives",
  "consensus/types",
  "consensus/work",
  "consensus/state",
  "consensus/engine",
];
const layerOf = (file: string): number => LAYERS.findIndex((layer) => file.startsWith(`${layer}/`));

/** Rooms outside consensus/, and where each may reach beside itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  circuits: ["consensus/primitives", "consensus/types", "consensus/work"],
  rpc: ["consensus/primitives", "consensus/types"],
  genesis: ["consensus", "rpc", "circuits"],
  pod: ["circuits", "consensus/primitives", "consensus/types", "consensus/work", "rpc"],
  node: ["consensus", "circuits", "genesis", "rpc"],
  devnet: ["circuits", "cli", "consensus", "genesis", "node", "pod", "rpc"],
  docs: ["consensus/primitives"],
  cli: ["circuits", "consensus", "devnet", "genesis", "node", "pod", "rpc"],
};

test("consensus imports only its own lower layers", () => {
  const wrong = sources
    .filter((file) => file.startsWith("consensus/"))
    .flatMap((file) =>
      importsOf(file)
        .filter((target) => layerOf(target) < 0 || layerOf(target) > layerOf(file))
        .map((target) => `${file} → ${target}`),
    );
  assert.deepEqual(wrong, []);
});

test("every other room imports only what it may", () => {
  const wrong = sources
    .filter((file) => !file.startsWith("consensus/"))
    .flatMap((file) => {
      const room = file.split("/")[0] ?? "";
      const allowed = [room, ...(MAY_IMPORT[room] ?? [])];
      return importsOf(file)
        .filter((target) => !allowed.some((folder) => target.startsWith(`${folder}/`)))
        .map((target) => `${file} → ${target}`);
    });
  assert.deepEqual(wrong, []);
});

test("consensus is pure and synchronous", () => {
  const forbidden =
    /\basync\b|\bawait\b|\bPromise\b|\bDate\b|\bset(?:Timeout|Interval|Immediate)\b|\bprocess\.|\bconsole\.|Math\.random|performance\.|"node:|\bfetch\(/;
  const wrong = sources
    .filter((file) => file.startsWith("consensus/"))
    .flatMap((file) => {
      const hit = forbidden.exec(withoutComments(file));
      return hit === null ? [] : [`${file}: ${hit[0]}`];
    });
  assert.deepEqual(wrong, []);
});

test("types and work never touch blst, which a browser does not have", () => {
  const wrong = sources
    .filter((file) => /^(?:consensus\/(?:types|work)|pod|rpc)\//.test(file))
    .filter((file) => /@chainsafe\/blst|primitives\/bls\.ts/.test(read(file)));
  assert.deepEqual(wrong, []);
});

test("no file is unreachable", () => {
  const reached = new Set<string>();
  const entries = files.filter((file) =>
    /^(?:cli|devnet|node)\/main\.ts$|\.test\.ts$|^test\/(?:.*\/)?main\.ts$|^docs\/\w+\.ts$/.test(file),
  );
  const visit = (file: string): void => {
    if (reached.has(file) || !existsSync(join(root, file))) return;
    reached.add(file);
    for (const target of importsOf(file)) visit(target);
  };
  for (const entry of entries) visit(entry);
  assert.deepEqual(
    files.filter((file) => !reached.has(file)),
    [],
  );
});

test("every file opens with what it holds", () => {
  const wrong = files.filter((file) => !/^(?:#!.*\n)?\/\*\*/.test(read(file)) && !file.endsWith(".test.ts"));
  assert.deepEqual(wrong, []);
});

test("every room has a README", () => {
  const rooms = [...new Set(sources.map((file) => file.split("/")[0] ?? ""))].filter(
    (room) => !room.includes("."),
  );
  assert.deepEqual(
    [...rooms, "test", "docs"].filter((room) => !existsSync(join(root, room, "README.md"))),
    [],
  );
});

test("a folder's README names every file in it", () => {
  const wrong = ls("*README.md")
    .filter((readme) => /^(?:circuits|cli|consensus|devnet|genesis|node|pod|rpc)\//.test(readme))
    .flatMap((readme) =>
      sources
        .filter((file) => dirname(file) === dirname(readme) && !read(readme).includes(basename(file)))
        .map((file) => `${readme}: ${file}`),
    );
  assert.deepEqual(wrong, []);
});

test("files stay small enough to hold in one's head", () => {
  const wrong = sources
    .map((file) => ({ file, lines: read(file).split("\n").length }))
    .filter(({ file, lines }) => lines > 420 && !file.endsWith("faults.ts"));
  assert.deepEqual(wrong, []);
});

test("the project speaks of the project alone", () => {
  const machine = new RegExp(
    ["(?:^|[^.\\w])/(?:wo", "rk|fa", "rm|ro", "ot)/|registry\\.[a-z]+\\.(?:org|com)"].join(""),
    "m",
  );
  const wrong = ls("*.ts", "*.md", "*.json", "*.circom", "*.js", ":!package-lock.json").filter((file) =>
    machine.test(read(file)),
  );
  assert.deepEqual(wrong, []);
});

test("nothing is skipped, focused, silenced or left for later", () => {
  // In pieces, so that this file does not find itself.
  const words = [
    "\\b(?:test|it|describe)\\.(?:sk",
    "ip|on",
    "ly)\\b|@ts-(?:ign",
    "ore|expect-error)|\\bas an",
    "y\\b|: an",
    "y\\b|\\bTO",
    "DO\\b|FIX",
    "ME",
  ];
  const pattern = new RegExp(words.join(""));
  const wrong = files.flatMap((file) => {
    const hit = pattern.exec(withoutComments(file));
    return hit === null ? [] : [`${file}: ${hit[0]}`];
  });
  assert.deepEqual(wrong, []);
});

/** Looking at a chain through a node's RPC: `task`, `proof`, `tx`, `rpc`. */
import type { Command } from "commander";
import { FaultError } from "../consensus/primitives/faults.ts";
import { formatZkp } from "../consensus/primitives/units.ts";
import { type Client, createClient } from "../pod/client.ts";
import type { ResultOf, TaskDetail } from "../rpc/methods.ts";
import { globalsOf, print } from "./options.ts";
import { addTaskCommands, TASK_EXAMPLES } from "./task.ts";

export function addQueries(program: Command, signal: AbortSignal): void {
  const clientOf = (command: Command): Client => createClient({ rpc: globalsOf(command).rpc });

  const task = program
    .command("task")
    .description("questions that somebody pays for")
    .addHelpText("before", TASK_EXAMPLES);
  addTaskCommands(task, signal);
  task
    .command("list")
    .description("all tasks")
    .action(async (_: unknown, command: Command) => {
      const { tasks } = await clientOf(command).call("task_list", {}, { signal });
      print(globalsOf(command), { tasks }, () =>
        tasks
          .map(
            (it) =>
              `${it.id}  "${it.name}"  ${it.shape}  rounds ${it.firstRound} … ${it.lastRound}  ${it.open ? "open" : "closed"}`,
          )
          .join("\n"),
      );
    });
  task
    .command("show [task]")
    .description("a task by id or name; the first without either")
    .action(async (name: string | undefined, _: unknown, command: Command) => {
      const client = clientOf(command);
      const detail = await client.call(
        "task_get",
        { task: await findTask(client, name, signal) },
        { signal },
      );
      print(globalsOf(command), detail, () => describeTask(detail));
    });

  program
    .command("proof")
    .description("submitted proofs")
    .addHelpText("before", "Examples:\n  zkp proof show 0x6f…\n")
    .command("show <id>")
    .description("where a proof is in its life, and why it was paid what it was")
    .action(async (id: string, _: unknown, command: Command) => {
      const status = await clientOf(command).call("proof_get", { id }, { signal });
      print(globalsOf(command), status, () => describeProof(status));
    });

  program
    .command("tx")
    .description("transactions")
    .addHelpText("before", "Examples:\n  zkp tx show 0x1c…\n")
    .command("show <id>")
    .description("whether a transaction is final")
    .action(async (id: string, _: unknown, command: Command) => {
      const status = await clientOf(command).call("tx_wait", { id, timeoutMs: 0 }, { signal });
      print(globalsOf(command), status, () =>
        [
          `${status.stage}${status.height === undefined ? "" : ` in block ${status.height}`}`,
          status.fault?.reason ?? "",
        ]
          .join("  ")
          .trim(),
      );
    });

  program
    .command("rpc <method> [params]")
    .description("call any method; params are JSON")
    .addHelpText("before", 'Examples:\n  zkp rpc chain_status\n  zkp rpc chain_block \'{"height": "5"}\'\n')
    .action(async (method: string, params: string | undefined, _: unknown, command: Command) => {
      const result = await clientOf(command).callRaw(method, parseParams(params), { signal });
      print(globalsOf(command), result, () => JSON.stringify(result, null, 2));
    });
}

function parseParams(text: string | undefined): unknown {
  try {
    return text === undefined ? {} : JSON.parse(text);
  } catch (error) {
    throw new FaultError("config/usage", { argument: "params", expected: "JSON, in quotes" }, error);
  }
}

/** Id of the task of this name or id, the first open one without. */
export async function findTask(
  client: Client,
  name: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const { tasks } = await client.call("task_list", {}, { signal });
  const found =
    name === undefined
      ? (tasks.find((it) => it.open) ?? tasks[0])
      : tasks.find((it) => it.id === name || it.name === name);
  if (found === undefined) throw new FaultError("task/unknown", name === undefined ? {} : { task: name });
  return found.id;
}

function describeTask(task: TaskDetail): string {
  const lines = [
    `"${task.name}"  ${task.id}`,
    `${task.shape}: ${task.features} features, ${task.rows} rows a batch; rounds ${task.firstRound} … ${task.lastRound}, ${task.open ? "open" : "closed"}`,
    `epoch ${task.epoch}: ${task.slots.length} slots drawn, ${task.slots.filter((it) => it.filled).length} filled; ${task.enrolled.length} pods enrolled`,
  ];
  const { terms } = task;
  if (terms !== undefined) {
    const pay = `${formatZkp(BigInt(terms.roundPay))} a round, ${formatZkp(BigInt(terms.escrow))} left in escrow`;
    lines.push(
      `${task.lane} lane${task.lane === "sponsored" ? `: ${pay}` : ""}; sponsor's bond ${formatZkp(BigInt(terms.bond))}`,
    );
    if (terms.minAccepted !== "0" || terms.minQuality !== "0")
      lines.push(`pods need ${terms.minAccepted} accepted contributions and quality ${terms.minQuality}`);
    if (terms.notice !== "") lines.push(`notice: ${terms.notice}`);
  }
  const rounds = task.rounds.map(describeRound);
  return [...lines, ...rounds].join("\n");
}

function describeRound(it: TaskDetail["rounds"][number]): string {
  const amount = (text: string | undefined): string => formatZkp(BigInt(text ?? "0"));
  const step = it.revealed === false ? " (not revealed)" : it.stepped ? "" : " (no step)";
  const fall = Number(it.lossBefore) - Number(it.lossAfter);
  const gain = Number(it.lossBefore) > 0 ? ((100 * fall) / Number(it.lossBefore)).toFixed(1) : "0.0";
  const cost = (it.fee ?? "0") === "0" ? "" : `  fee ${amount(it.fee)}, burned ${amount(it.burned)}`;
  const lost = (it.forfeit ?? "0") === "0" ? "" : `  forfeited ${amount(it.forfeit)}`;
  return (
    `round ${it.epoch}  block ${it.height}  loss ${it.lossBefore} → ${it.lossAfter} (−${gain} %)${step}  ` +
    `quality ${it.quality}  ${it.paid}/${it.contributions} paid ${amount(it.paidToPods)}${cost}${lost}`
  );
}

function describeProof({ id, stage, epoch, slot, height, fault, reward }: ResultOf<"proof_get">): string {
  const lines = [
    `${id}: ${stage}`,
    `epoch ${epoch}, slot ${slot}${height === undefined ? "" : `, block ${height}`}`,
  ];
  if (fault !== undefined) lines.push(`${fault.reason} ${fault.hint} [${fault.code}]`);
  if (reward !== undefined) lines.push(reward.text);
  return lines.join("\n");
}

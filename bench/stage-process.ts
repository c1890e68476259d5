/**
 * One stage of the pipeline alone in a process of its own, so that its CPU and memory are its own:
 * `node bench/stage-process.ts`, told by IPC what to run. The first row's arrival to the last row's durability is timed.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { loadConfig } from '../src/config.ts';
import { makeLogger } from '../src/runtime/observe.ts';
import type { Part } from '../src/runtime/daemon.ts';
import { applyPart, capturePart, openLog } from '../src/wire.ts';
import { answerParent } from './child.ts';
import type { FromStage, StageTask } from './stage.ts';

const logger = makeLogger({ level: 'warn', format: 'text', write: (line) => process.stderr.write(line) });

class Timing {
  #firstMs: number | undefined;
  #cpu = process.cpuUsage();
  #records = 0;
  readonly done = Promise.withResolvers<FromStage>();
  readonly #expected: number;

  constructor(expected: number) {
    this.#expected = expected;
  }

  /** `secondsAgo`: how long the work on what is counted first took already. */
  begin(secondsAgo = 0): void {
    if (this.#firstMs !== undefined) return;
    this.#firstMs = performance.now() - secondsAgo * 1000;
    this.#cpu = process.cpuUsage();
  }

  add(records: number): void {
    this.#records += records;
    if (this.#records < this.#expected || this.#firstMs === undefined) return;
    const { user, system } = process.cpuUsage(this.#cpu);
    const seconds = (performance.now() - this.#firstMs) / 1000;
    this.done.resolve({ seconds, records: this.#records, cpuUs: user + system, rssMb: process.resourceUsage().maxRSS / 1024 });
  }

  get records(): number {
    return this.#records;
  }
}

async function run(task: StageTask): Promise<FromStage> {
  const config = loadConfig(task.configPath);
  const timing = new Timing(task.records);
  const stop = new AbortController();
  const running = partOf(task, config, timing).run(stop.signal);
  const result = await Promise.race([
    timing.done.promise,
    running.then(() => undefined),
    sleep(task.deadlineSeconds * 1000, undefined, { ref: false }),
  ]);
  stop.abort();
  await running;
  if (!result)
    throw new Error(`the stage ended, or its ${task.deadlineSeconds} s were over, after ${timing.records} of ${task.records} records`);
  if (task.part === 'capture') await proveLog(config, task.records);
  return result;
}

function partOf(task: StageTask, config: ReturnType<typeof loadConfig>, timing: Timing): Part {
  const tools = { logger, state: { state: () => undefined } };
  if (task.part === 'capture') {
    const meters = {
      captured: (rows: number) => (rows > 0 ? timing.begin() : undefined),
      appended: (records: number) => timing.add(records),
      completed: () => undefined,
    };
    return capturePart(config, meters, tools);
  }
  const service = config.services.find(({ name }) => name === task.service);
  if (!service) throw new Error(`the configuration has no service ${task.service}`);
  const meters = {
    applied: (_partition: string, records: number, seconds: number) => {
      timing.begin(seconds);
      timing.add(records);
    },
    lag: () => undefined,
    stands: () => undefined,
    kept: () => undefined,
  };
  return applyPart(config, service, meters, tools);
}

/** What was counted while it ran must be what the log holds when it is opened again. */
async function proveLog(config: ReturnType<typeof loadConfig>, records: number): Promise<void> {
  await using log = await openLog(config, config.streams, logger);
  const { partitions } = await log.state();
  const held = partitions.values().reduce((sum, { endOffset, startOffset }) => sum + endOffset - startOffset, 0);
  // The mark of its one takeover takes an offset in each partition of Kafka.
  const marks = config.log.kind === 'kafka' ? partitions.size : 0;
  if (held - marks !== records) throw new Error(`the log holds ${held - marks} records instead of ${records}`);
}

answerParent(run);

import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import type { DemoArguments } from './arguments.ts';
import { compareShop, type Verdict } from './compare.ts';
import { makeFolder, shopServices, writeConfiguration } from './folder.ts';
import { LagMeter } from './lag-meter.ts';
import { Pipeline } from './pipeline.ts';
import { neverQuiet } from './quiet.ts';
import { brokerOf, createShop, Keeper, serviceDatabase, startServers } from './servers.ts';
import { Sides } from './sides.ts';
import { Stage } from './stage.ts';
import { isEqual, summaryLines } from './summary.ts';
import { checkEverything, createTargetTables } from './targets.ts';
import { Terminal } from './terminal.ts';
import { Workload } from './workload.ts';

/** Runs the whole show; answers the exit code. `signal` is the person's Ctrl-C. */
export async function runDemo(options: DemoArguments, signal: AbortSignal): Promise<number> {
  const terminal = new Terminal(process.stdout, options.isPlain);
  const say = (text: string) => terminal.say(text);
  const servers = options.isOnKafka ? 'MySQL, Postgres, Redis and Kafka' : 'MySQL, Postgres and Redis';
  say(`demo: starting ${servers} of its own (the first time they are downloaded)`);
  await using stack = await neverQuiet(say, 'demo: the servers are being made ready', (log) => startServers(log, options.isOnKafka));
  if (signal.aborted) return 130;
  using folder = makeFolder();
  const { urls, startGtid } = await createShop(stack);
  const broker = brokerOf(stack)?.url;
  writeConfiguration(folder.path, urls, startGtid, broker);
  say(`demo: made the empty shop in MySQL and ${folder.path}/crossfade.yaml`);
  if (broker !== undefined) say(`demo: the log is Kafka at ${broker}: one line of that file`);
  const tables = await createTargetTables(folder.path, serviceDatabase, urls.postgres);
  say(`demo: executed the ${tables} statements of ./crossfade check --statements --only orders in Postgres`);
  await checkEverything(folder.path);
  say('demo: ./crossfade check finds nothing to mend; now ./crossfade run; the shop opens when both services are ready');
  if (signal.aborted) return 130;
  return await show({ options, signal, terminal, stack, urls, folder: folder.path });
}

interface Scene {
  readonly options: DemoArguments;
  readonly signal: AbortSignal;
  readonly terminal: Terminal;
  readonly stack: Awaited<ReturnType<typeof startServers>>;
  readonly urls: Awaited<ReturnType<typeof createShop>>['urls'];
  readonly folder: string;
}

async function show({ options, signal, terminal, stack, urls, folder }: Scene): Promise<number> {
  await using sides = new Sides(urls);
  const meters = {
    Postgres: new LagMeter(
      (pulse) => pulse.orderId,
      () => sides.newestOrder(),
    ),
    Redis: new LagMeter(
      (pulse) => pulse.revision,
      (pulse) => sides.revisionOf(pulse.sku),
    ),
  };
  let stage: Stage | undefined;
  const onEvent = (text: string) => (stage ? stage.event(text) : terminal.say(text));
  const pipeline = new Pipeline(folder, onEvent);
  const workload = new Workload({
    url: urls.mysql,
    seed: options.seed,
    changesPerSecond: options.changesPerSecond,
    onPulse: (pulse) => Object.values(meters).forEach((meter) => meter.add(pulse)),
    onEvent,
  });
  pipeline.onPid = (pid) => workload.guard([pid]);
  if (!(await isReady(pipeline, terminal, signal))) return 130;
  stage = new Stage({ terminal, stack, folder, pipeline, workload, sides, meters, seconds: options.seconds });
  const watch = new AbortController();
  workload.start();
  const keeper = new Keeper(stack, onEvent);
  const watching = [...Object.values(meters).map((meter) => meter.run(watch.signal)), stage.run(watch.signal, keeper)];
  const { postgres, redis } = stack.servers;
  const broker = brokerOf(stack);
  const victims = [pipeline, postgres, redis, ...(broker ? [broker] : [])];
  const open = new AbortController();
  const killing = killer(options.killEverySeconds, victims, AbortSignal.any([open.signal, watch.signal]));
  const picturing = picture(options, stage, watch.signal);
  try {
    await Promise.race([untilOver(options.seconds, signal), pipeline.failed]);
    stage.phase = signal.aborted ? 'stopping' : 'the shop closes';
    open.abort();
    await workload.stop();
    if (signal.aborted) return options.seconds === undefined ? 0 : 130;
    const workedSeconds = stage.elapsedSeconds;
    stage.phase = 'waiting until everything has arrived, comparing';
    const { verdicts, seconds } = await Promise.race([untilEqual(sides, keeper, signal), pipeline.failed]);
    stage.phase = isEqual(verdicts) ? 'all sides are equal' : 'the sides DIFFER';
    if (isEqual(verdicts)) await stage.finish();
    terminal.leave();
    const lines = summaryLines({
      seconds: workedSeconds,
      counts: workload.counts,
      restarts: pipeline.restarts,
      meters,
      drainSeconds: seconds,
      verdicts,
    });
    for (const line of lines) terminal.say(line);
    if (!isEqual(verdicts)) terminal.say(`the end of crossfade's log:\n${pipeline.logTail(15)}`);
    return isEqual(verdicts) ? 0 : 1;
  } finally {
    watch.abort();
    terminal.leave();
    await Promise.allSettled([...watching, killing, picturing, workload.stop(), pipeline.stop()]);
    if (signal.aborted)
      terminal.say(`stopped after ${workload.counts.changes.toLocaleString('en-US')} changes; the servers and ${folder} are removed`);
  }
}

/** What nobody could apply yet would count as lag. False when a person has stopped it meanwhile. */
async function isReady(pipeline: Pipeline, terminal: Terminal, signal: AbortSignal): Promise<boolean> {
  pipeline.start();
  try {
    const claimed = () => Promise.race([pipeline.claimed(shopServices, signal), pipeline.failed]);
    await neverQuiet((text) => terminal.say(text), 'demo: crossfade connects and claims its partitions', claimed);
  } catch (error) {
    await pipeline.stop();
    throw error;
  }
  if (signal.aborted) await pipeline.stop();
  return !signal.aborted;
}

async function untilOver(seconds: number | undefined, signal: AbortSignal): Promise<void> {
  // The longest that a timer can wait is 24 days: endless enough.
  await sleep(seconds === undefined ? 2 ** 31 - 1 : seconds * 1000, undefined, { signal }).catch(() => undefined);
}

type Victim = { readonly pid: number | undefined };

/** Kills one victim after the other, as a person with `kill -9` would; one that is down already is left out. */
async function killer(everySeconds: number | undefined, victims: readonly Victim[], signal: AbortSignal): Promise<void> {
  if (everySeconds === undefined) return;
  for (let turn = 0; !signal.aborted; turn += 1) {
    await sleep(everySeconds * 1000, undefined, { signal }).catch(() => undefined);
    const pid = victims[turn % victims.length]?.pid;
    if (!signal.aborted && pid !== undefined) process.kill(pid, 'SIGKILL');
  }
}

/** A picture in the middle of the work: at the end the clock would stand at nothing left. */
async function picture({ framePath, seconds }: DemoArguments, stage: Stage, signal: AbortSignal): Promise<void> {
  if (framePath === undefined) return;
  await sleep(((seconds ?? 60) * 2000) / 3, undefined, { signal }).catch(() => undefined);
  if (!signal.aborted) writeFileSync(framePath, stage.picture());
}

/** Longer than a dead worker's place in its group is kept, on a slow machine. */
const settleSeconds = 60;
/** A server may take long to serve again, but not for ever. */
const longestSeconds = 300;

/** Compares until all is equal; gives up when every server is there and the targets did not move any more for a while. */
async function untilEqual(sides: Sides, keeper: Keeper, signal: AbortSignal): Promise<{ verdicts: Verdict[]; seconds: number }> {
  const startedMs = performance.now();
  let movedMs = startedMs;
  let last = '';
  for (;;) {
    const verdicts = await compareShop(sides).catch((error: unknown) =>
      performance.now() - movedMs > settleSeconds * 1000 ? Promise.reject(error) : [],
    );
    const nowMs = performance.now();
    const seconds = (nowMs - startedMs) / 1000;
    if (isEqual(verdicts)) return { verdicts, seconds };
    const state = JSON.stringify(verdicts.map(({ targetRows, differing }) => [targetRows, differing]));
    if (state !== last || (keeper.isBusy && seconds < longestSeconds)) movedMs = nowMs;
    last = state;
    if (verdicts.length > 0 && (signal.aborted || nowMs - movedMs > settleSeconds * 1000)) return { verdicts, seconds };
    await sleep(250);
  }
}

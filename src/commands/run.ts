/** `crossfade run`: capture in this thread, every service in one of its own; the first that cannot go on stops all. */
import { setInterval as ticks } from 'node:timers/promises';
import { type Config, loadConfig, type ServiceConfig } from '../config.ts';
import { tableName } from '../core/change.ts';
import type { CrossfadeError } from '../core/errors.ts';
import type { Logger } from '../core/ports.ts';
import { type Part, supervise, threadPart } from '../runtime/daemon.ts';
import { type LogLevel, makeLogger, makeMeters, type Observed, readableLine, type Totals } from '../runtime/observe.ts';
import type { WorkerMessage, WorkerTask } from '../worker.ts';
import { problemBlock } from './check-text.ts';
import type { ExitCode, Invocation } from './command.ts';
import { type Output, plural } from './output.ts';
import { preflight } from './preflight.ts';
import { Health, httpFlag } from './run-health.ts';
import { statusText } from './run-line.ts';
import { nearest, usage } from './usage.ts';

export async function run({ flags, words, output, signal }: Invocation): Promise<ExitCode> {
  const role = roleOf(words[0], flags.text('service'));
  const config = loadConfig(flags.text('config') ?? 'crossfade.yaml');
  const logLevel = (flags.text('log-level') ?? 'info') as LogLevel;
  const print = output.live ? (line: string) => output.out(readableLine(line)) : (line: string) => output.out(line);
  const logger = makeLogger({ level: logLevel, format: 'json', write: print, bindings: { pipeline: config.pipeline } });
  const observed = makeMeters();
  const services = role.apply === 'all' ? config.services : role.apply === 'none' ? [] : [serviceNamed(config, role.apply)];
  const http = httpFlag(flags.text('http'), config.http);
  announce(config, { capture: role.capture, services }, output, logger);
  await using health = await Health.start({
    config,
    http,
    parts: [...(role.capture ? ['capture'] : []), ...services.map(({ name }) => `apply ${name}`)],
    // Capture alone is the last to see a service whose every process is dead.
    services: role.capture ? config.services : services,
    totals: observed.totals,
    logger,
    signal,
  });
  const asked = ['the source', ...services.map(({ name }) => `service ${name}`)];
  logger.info({}, `asking ${asked.join(', ')} whether this can work`);
  const { hopeless, late } = await preflight(config, { capture: role.capture, services }, logger, signal);
  if (hopeless.length > 0) {
    for (const { code, where, message } of hopeless) if (!output.live) logger.error({ code, where }, message);
    output.err(
      `${hopeless.map((problem) => problemBlock(problem, output)).join('\n')}\nnot started: ${plural(hopeless.length, 'error')}\n`,
    );
    return 4;
  }
  const parts: Part[] = late === undefined ? [] : [late];
  if (role.capture || role.apply !== 'all') {
    const { capturePart, applyPart } = await import('../wire.ts');
    const tools = { logger, state: observed.state };
    if (role.capture) parts.push(capturePart(config, observed.capture, tools));
    else parts.push(...services.map((service) => applyPart(config, service, observed.apply(service.name), tools)));
  }
  if (role.apply === 'all')
    parts.push(
      ...services.map((service) =>
        serviceThread({ configPath: config.path, service: service.name, logLevel }, { observed, health, print, logger }),
      ),
    );
  signal.addEventListener('abort', () => logger.info({}, 'stopping: what is in hand is finished; a second signal ends at once'), {
    once: true,
  });
  const line = new AbortController();
  const watching = output.live
    ? keepStatusLine(observed.totals, health, output, AbortSignal.any([signal, line.signal]))
    : Promise.resolve();
  try {
    await supervise(parts, signal);
    logger.info({}, 'stopped');
    return 0;
  } catch (thrown) {
    // main.ts says it to a person; the log of a service is read by machines.
    if (!output.live) logger.error({ err: thrown }, 'cannot go on');
    // Who stops it is there already: a verdict that comes at the same time is met again by the next start.
    if (!signal.aborted) await health.stopped(thrown);
    throw thrown;
  } finally {
    line.abort();
    await watching;
  }
}

interface Role {
  readonly capture: boolean;
  readonly apply: 'all' | 'none' | (string & {});
}

function roleOf(word: string | undefined, service: string | undefined): Role {
  const see = 'crossfade run --help';
  if (word === 'apply') {
    if (service === undefined) throw usage('run apply needs to know which service: --service NAME', see);
    return { capture: false, apply: service };
  }
  if (service !== undefined) throw usage('--service belongs to `run apply`', see);
  if (word === undefined) return { capture: true, apply: 'all' };
  if (word === 'capture') return { capture: true, apply: 'none' };
  throw usage(`run knows no "${word}"${nearest(word, ['capture', 'apply'])}`, see);
}

export function serviceNamed(config: Config, name: string): ServiceConfig {
  const service = config.services.find((each) => each.name === name);
  if (service) return service;
  throw usage(
    `the configuration has no service "${name}"${nearest(
      name,
      config.services.map((each) => each.name),
    )}`,
    'crossfade status',
  );
}

interface ThreadTools {
  readonly observed: Observed;
  readonly health: Pick<Health, 'threadStarts' | 'heard'>;
  readonly print: (line: string) => void;
  readonly logger: Logger;
}

function serviceThread(task: WorkerTask, { observed, health, print, logger }: ThreadTools): Part {
  const { totals } = observed;
  const part = `apply ${task.service}`;
  health.threadStarts(part);
  const onMessage = (message: unknown) => {
    const told = message as WorkerMessage;
    health.heard(part);
    if ('logLine' in told) print(told.logLine);
    else {
      Object.assign(totals.services, told.totals.services);
      Object.assign(totals.threads, told.totals.threads);
      const state = told.totals.states[part];
      if (state) totals.states[part] = state;
    }
  };
  const onCutShort = (err: CrossfadeError) => logger.warn({ part, err }, 'ended before it had drained');
  return threadPart({ name: part, entry: new URL('../worker.ts', import.meta.url), workerData: task, onMessage, onCutShort });
}

/** What will happen, before it does: for a person in a few lines, for a machine in one. */
function announce(config: Config, role: { capture: boolean; services: readonly ServiceConfig[] }, output: Output, logger: Logger): void {
  const { host, port } = config.source.settings;
  const source = `${host}:${port}`;
  const log = config.log.name;
  const services = role.services.map(({ name, target, mappings }) => ({ name, kind: target.kind, tables: mappings.length }));
  if (!output.live) return logger.info({ source, log, capture: role.capture, services, tables: config.tables.map(tableName) }, 'starting');
  const lines = [
    output.paint('bold', `pipeline ${config.pipeline}`),
    ...(role.capture ? [`  source   mysql ${source}, ${plural(config.tables.length, 'table')}`] : []),
    `  log      ${log}`,
    ...services.map(({ name, kind, tables }) => `  service  ${name} (${kind}), ${plural(tables, 'table')}`),
    output.paint('dim', '  Ctrl-C drains and stops; a second one stops at once'),
  ];
  output.out(`${lines.join('\n')}\n`);
}

async function keepStatusLine(totals: Totals, health: Health, output: Output, signal: AbortSignal): Promise<void> {
  let before = structuredClone(totals);
  try {
    for await (const _ of ticks(1000, undefined, { signal })) {
      const nowMs = Date.now();
      output.statusLine(statusText(before, totals, health.lags(nowMs), nowMs));
      before = structuredClone(totals);
    }
  } catch {
    // Aborted: the run is over.
  } finally {
    output.statusLine('');
  }
}

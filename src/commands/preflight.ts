/** What `run` asks before it starts: whether the configuration can work at all. A server that does not answer is no reason to stay away. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Config, ServiceConfig } from '../config.ts';
import { CrossfadeError, type ErrorCode } from '../core/errors.ts';
import type { Logger } from '../core/ports.ts';
import type { Part } from '../runtime/daemon.ts';
import { sleepUnlessAborted } from '../runtime/loop.ts';
import { askService, askSource, type Problem, silentLogger, type SourceAnswer, sourceOf } from './check-problems.ts';

/** Each says that rows would be lost or refused whatever happens later; what can pass by itself is the loop's business. */
const hopeless: ReadonlySet<string> = new Set([
  'CONFIG_INVALID',
  'SOURCE_TABLE_MISSING',
  'SOURCE_TABLE_KEYLESS',
  'SOURCE_TYPE_UNSUPPORTED',
  'SOURCE_SETTING',
  'SOURCE_PRIVILEGE',
  'TARGET_TABLE_MISSING',
  'TARGET_COLUMN_MISSING',
  'TARGET_COLUMN_TYPE',
  'TARGET_CONSTRAINT',
  'TARGET_KEY_MISSING',
] satisfies ErrorCode[]);

/** Rows that another pipeline applied last and rows that this one begins with may not meet, though the start was named. */
const isGapOfStart = ({ level, code }: Problem) => level === 'warning' && code === 'TARGET_PROGRESS_FOREIGN';

/** For each server, from when it is asked for a connection. Long enough for one at work; one that is away must not hold up a restart. */
const deadlineMs = 3000;

export interface PreflightParts {
  readonly capture: boolean;
  readonly services: readonly ServiceConfig[];
}

export interface Preflight {
  /** The errors that a start would run into or, worse, hide. */
  readonly hopeless: readonly Problem[];
  /** Where somebody did not answer in time: hears the answer while the pipeline runs, and throws the same errors then. */
  readonly late?: Part;
}

export async function preflight(config: Config, parts: PreflightParts, logger: Logger, signal: AbortSignal): Promise<Preflight> {
  const quiet = silentLogger();
  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);
  const source = inTime((connecting) => askSource(config, { logger: quiet, connecting }), until);
  const ask = async (service: ServiceConfig, told: SourceAnswer, connecting?: () => void) => [
    ...(parts.capture ? [] : sourceOf(service, told)),
    ...(await askService(config, service, told, { logger: quiet, stop: signal, ...(connecting ? { connecting } : {}) })),
  ];
  const services = parts.services.map((service) => ({
    service,
    ...inTime(async (connecting) => ask(service, (await source.early) ?? unheard, connecting), until),
  }));
  const heard = await source.early;
  const early = await Promise.all(services.map((each) => each.early));
  over.abort();
  if (signal.aborted) return { hopeless: [] };
  const judge = new Judge(parts.capture, logger);
  const found = judge.take([...(parts.capture ? (heard?.problems ?? []) : []), ...early.flatMap((problems) => problems ?? [])]);
  const silent = services.filter((_, at) => early[at] === undefined);
  const names = [...(heard ? [] : ['source']), ...silent.map(({ service }) => `service ${service.name}`)];
  if (found.length > 0 || names.length === 0) return { hopeless: found };
  const some = names.join(', ');
  logger.warn(
    { parts: names },
    `started unchecked: no answer of ${some} within ${deadlineMs / 1000} s; what is wrong there is told when it answers`,
  );
  const rest = async () => {
    const told = await source.answer;
    const problems = parts.capture && !heard ? told.problems : [];
    // Only now is it known what the tables look like that the services were to have.
    const again = heard === undefined && told.schemas.size > 0;
    const later = again ? services.map(({ service }) => ask(service, told)) : silent.map(({ answer }) => answer);
    return [...problems, ...(await Promise.all(later)).flat()];
  };
  return { hopeless: [], late: latePart(rest, judge) };
}

/** A source that has not said anything: what can be asked of a target without it is asked. */
const unheard: SourceAnswer = { problems: [], schemas: new Map() };

interface InTime<T> {
  readonly answer: Promise<T>;
  /** The same, or undefined when the deadline passed first. */
  readonly early: Promise<T | undefined>;
}

function inTime<T>(ask: (connecting: () => void) => Promise<T>, until: AbortSignal): InTime<T> {
  const connecting = Promise.withResolvers<void>();
  const answer = ask(connecting.resolve);
  // It is met where it is awaited, if it is.
  answer.catch(() => undefined);
  const late = connecting.promise.then(async () => {
    await sleepUnlessAborted(deadlineMs, until);
    // Where this thread was busy meanwhile, an answer may have come that nobody has read yet.
    await turn();
    await turn();
    return undefined;
  });
  return { answer, early: Promise.race([answer, late]) };
}

/** Says each finding once, on time or late. */
class Judge {
  readonly #capture: boolean;
  readonly #logger: Logger;
  readonly #said = new Set<string>();

  constructor(capture: boolean, logger: Logger) {
    this.#capture = capture;
    this.#logger = logger;
  }

  /** Warns of what does not keep anything from starting; answers what does. */
  take(problems: readonly Problem[]): readonly Problem[] {
    const fresh = problems.filter((problem) => {
      const { code, where, message } = problem;
      const key = JSON.stringify([code, where, message]);
      return !this.#said.has(key) && this.#said.add(key);
    });
    for (const { code, where, message } of fresh.filter(isGapOfStart)) this.#logger.warn({ code, where }, message);
    const errors = fresh.filter(({ level }) => level === 'error');
    // What a service needs of the source is in the log: a table that was dropped since must not keep its last changes away.
    const found = errors.filter(({ code }) => hopeless.has(code) && (this.#capture || !code.startsWith('SOURCE_')));
    const others = [...new Set(errors.filter(({ code }) => !hopeless.has(code)).map(({ code }) => code))];
    if (found.length === 0 && others.length > 0)
      this.#logger.warn({ codes: others }, `started with parts unchecked (${others.join(', ')}); \`crossfade check\` says more`);
    return found;
  }
}

function latePart(rest: () => Promise<readonly Problem[]>, judge: Judge): Part {
  return {
    name: 'checks',
    async run(signal) {
      const stopped = Promise.withResolvers<undefined>();
      const stop = () => stopped.resolve(undefined);
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      const problems = await Promise.race([rest(), stopped.promise]);
      signal.removeEventListener('abort', stop);
      const errors = problems === undefined ? [] : judge.take(problems).map(asError);
      const [first, ...others] = errors;
      if (first !== undefined) throw others.length === 0 ? first : new AggregateError(errors, first.message);
    },
  };
}

/** As it would have been said before the start. */
function asError({ code, where, message, remedy, fix }: Problem): CrossfadeError {
  const way = remedy ?? (fix === undefined ? 'Run crossfade check: it says more.' : `Run there: ${fix}`);
  return new CrossfadeError({ code: code as ErrorCode, fault: 'fatal', message: `${where}: ${message}`, remedy: way });
}

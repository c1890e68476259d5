/**
 * What people and machines see of a running pipeline: one logger and one set of running totals, made once and
 * handed to the parts; metrics.ts writes the totals as metrics. Nothing here ever prints a row's value or a connection string: errors are written by `errorFields`.
 */
import { pino } from 'pino';
import { asCrossfadeError, type ErrorCode, type Fault, nameAndCode } from '../core/errors.ts';
import type { QueueTotals } from '../core/quarantine-port.ts';
import type { Logger } from '../core/ports.ts';
import type { PartitionId } from '../core/log-port.ts';
import type { LoopState } from './loop.ts';
import type { ApplyMeters, CaptureMeters, StateMeters } from './meters.ts';
import type { Vitals } from './vitals.ts';

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** What an error may say in the log: its own words, and of what lies behind it only names and codes. */
export interface ErrorFields {
  readonly code: ErrorCode;
  readonly fault: Fault;
  readonly message: string;
  readonly remedy?: string;
  readonly cause?: string;
  /** Frames only, of errors that nobody foresaw. */
  readonly stack?: readonly string[];
}

export function errorFields(thrown: unknown): ErrorFields {
  const { code, fault, message, remedy, cause } = asCrossfadeError(thrown);
  const stack = code === 'INTERNAL' && cause instanceof Error ? { stack: framesOf(cause) } : {};
  return { code, fault, message, remedy, ...(cause === undefined ? {} : { cause: nameAndCode(cause) }), ...stack };
}

const framesOf = (error: Error) =>
  (error.stack ?? '')
    .split('\n')
    .filter((line) => /^ {4}at /.test(line))
    .map((line) => line.trim());

/**
 * The one logger. `write` gets whole lines: JSON for machines, or (`format: 'text'`) one readable line for a person.
 * `bindings` appear in every line of it.
 */
export function makeLogger(options: {
  level: LogLevel;
  format: 'json' | 'text';
  write: (line: string) => void;
  bindings?: Readonly<Record<string, string>>;
}): Logger {
  return pino(
    {
      level: options.level,
      base: options.bindings ?? {},
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: errorFields },
      redact: { paths: ['password', 'url', 'dsn', '*.password', '*.url', '*.dsn'], censor: '…' },
    },
    { write: options.format === 'json' ? options.write : (line) => options.write(readableLine(line)) },
  );
}

/** `11:02:33 info  capture started  part=capture position=…`; an error's remedy gets a line of its own. The reader knows the pipeline. */
export function readableLine(json: string): string {
  const { time, level, message, err, pipeline: _, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const clock = String(time).slice(11, 19);
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const error = err as ErrorFields | undefined;
  if (error) rest.push(`code=${error.code}`);
  const lines = [`${clock} ${String(level).padEnd(5)} ${String(message)}${rest.length > 0 ? `  ${rest.join(' ')}` : ''}`];
  if (error) lines.push(`         ${error.message}${error.cause === undefined ? '' : ` (${error.cause})`}`);
  if (error?.remedy !== undefined) lines.push(`         → ${error.remedy}`);
  return `${lines.join('\n')}\n`;
}

/** All that is counted, of this process or put together from its threads; plain data, fit for a message between them. */
export interface Totals {
  capturedRows: number;
  capturedBytes: number;
  capturedBatches: number;
  appendedRecords: number;
  appends: number;
  /** Time that the log took for them, in all. */
  appendSeconds: number;
  completedThroughUs: number | undefined;
  readonly services: Record<string, ServiceTotals>;
  /** By part: `capture`, `apply orders`. */
  readonly states: Record<string, PartState>;
  /** By thread: `main`, and for the others the part that lives in it. */
  readonly threads: Record<string, Vitals>;
}
export interface ServiceTotals {
  appliedRecords: number;
  /** By partition. */
  readonly applied: Record<PartitionId, AppliedTotals>;
  /** By partition: where it stands. How late that is depends on when one asks, and on what the log vouches for: lag-watch.ts. */
  readonly lag: Record<PartitionId, Standing>;
  /** Everything below is visible in the target. */
  readonly nextOffsets: Record<PartitionId, number>;
  /** undefined: nobody has told, because nothing can be kept aside. */
  kept: readonly QueueTotals[] | undefined;
}
/** What a service last told of a partition. */
interface Standing {
  /** When the oldest change that is not visible was committed in the source. */
  readonly sinceUs: number;
  readonly changes: number;
}
interface AppliedTotals {
  readonly records: number;
  readonly batches: number;
  /** Time that the target took for them, in all. */
  readonly writeSeconds: number;
}
interface PartState {
  readonly state: LoopState;
  /** Why it waits or failed. */
  readonly code?: string;
  /** How often by code: sessions that were tried again, and ends for good. */
  readonly retries: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
}

/** The totals, and what feeds them: each part is handed its own meters, which are plain functions. */
export interface Observed {
  readonly capture: CaptureMeters;
  readonly apply: (service: string) => ApplyMeters;
  readonly state: StateMeters;
  readonly totals: Totals;
}

export function makeMeters(): Observed {
  const totals: Totals = {
    capturedRows: 0,
    capturedBytes: 0,
    capturedBatches: 0,
    appendedRecords: 0,
    appends: 0,
    appendSeconds: 0,
    completedThroughUs: undefined,
    services: {},
    states: {},
    threads: {},
  };
  return { totals, capture: captureMeters(totals), apply: (service) => applyMeters(totals, service), state: stateMeters(totals) };
}

function captureMeters(totals: Totals): CaptureMeters {
  return {
    captured(rows, bytes) {
      totals.capturedRows += rows;
      totals.capturedBytes += bytes;
      totals.capturedBatches += 1;
    },
    appended(records, seconds) {
      totals.appendedRecords += records;
      totals.appends += 1;
      totals.appendSeconds += seconds;
    },
    completed(throughUs) {
      totals.completedThroughUs = throughUs;
    },
  };
}

function applyMeters(totals: Totals, service: string): ApplyMeters {
  const own: ServiceTotals = (totals.services[service] ??= {
    appliedRecords: 0,
    applied: {},
    lag: {},
    nextOffsets: {},
    kept: undefined,
  });
  return {
    applied(partition, count, seconds) {
      const { records, batches, writeSeconds } = own.applied[partition] ?? { records: 0, batches: 0, writeSeconds: 0 };
      own.applied[partition] = { records: records + count, batches: batches + 1, writeSeconds: writeSeconds + seconds };
      own.appliedRecords += count;
    },
    lag(partition, sinceUs, changes) {
      if (sinceUs !== undefined) own.lag[partition] = { sinceUs, changes };
      else {
        delete own.lag[partition];
        delete own.nextOffsets[partition];
      }
    },
    stands(partition, nextOffset) {
      own.nextOffsets[partition] = nextOffset;
    },
    kept(tables) {
      own.kept = tables;
    },
  };
}

function stateMeters(totals: Totals): StateMeters {
  return {
    state(part, state, code) {
      const before = totals.states[part];
      const { retries, errors } = before ?? { retries: {}, errors: {} };
      // Another try begins: why the last one ended still stands.
      const why = code ?? (state === 'waiting' && before?.state === 'waiting' ? before.code : undefined);
      totals.states[part] = {
        state,
        ...(why === undefined ? {} : { code: why }),
        retries: state === 'waiting' ? oneMore(retries, code) : retries,
        errors: state === 'failed' ? oneMore(errors, code) : errors,
      };
    },
  };
}

function oneMore(counts: Readonly<Record<string, number>>, code: string | undefined): Readonly<Record<string, number>> {
  return code === undefined ? counts : { ...counts, [code]: (counts[code] ?? 0) + 1 };
}

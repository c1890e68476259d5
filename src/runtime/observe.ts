/**
 * What people and machines see of a running pipeline: one logger and one catalogue of metrics, made once and handed to
 * the parts. Nothing here ever prints a row's value or a connection string: errors are written by `errorFields`.
 */
import { pino } from 'pino';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { asCrossfadeError, type ErrorCode, type Fault, nameAndCode } from '../core/errors.ts';
import type { Logger, PartitionId } from '../core/ports.ts';
import type { LoopState } from './loop.ts';
import type { ApplyMeters, CaptureMeters, StateMeters } from './meters.ts';

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

const loopStates: readonly LoopState[] = ['starting', 'running', 'waiting', 'stopped', 'failed'];

/** The running totals that the status line and a thread's report need; plain data, fit for a message between threads. */
export interface Totals {
  capturedRows: number;
  capturedBytes: number;
  appendedRecords: number;
  completedThroughUs: number | undefined;
  readonly services: Record<string, ServiceTotals>;
  /** By part: `capture`, `apply orders`. */
  readonly states: Record<string, PartState>;
}
export interface ServiceTotals {
  appliedRecords: number;
  /** By partition, as of its last measurement. */
  readonly lagSeconds: Record<PartitionId, number>;
  readonly lagChanges: Record<PartitionId, number>;
}
interface PartState {
  readonly state: LoopState;
  /** Why it waits or failed. */
  readonly code?: string;
}

/** The catalogue, and what feeds it: each part is handed its own meters, which are plain functions. */
export interface Observed {
  readonly capture: CaptureMeters;
  readonly apply: (service: string) => ApplyMeters;
  readonly state: StateMeters;
  readonly totals: Totals;
  readonly registry: Registry;
}

/** Every metric's name ends in its unit; labels are part, service, partition and code, never a key or a value. */
export function makeMeters(now: () => number = Date.now): Observed {
  const registry = new Registry();
  const totals: Totals = {
    capturedRows: 0,
    capturedBytes: 0,
    appendedRecords: 0,
    completedThroughUs: undefined,
    services: {},
    states: {},
  };
  return {
    registry,
    totals,
    capture: captureMeters(registry, totals, now),
    apply: applyMeters(registry, totals),
    state: stateMeters(registry, totals),
  };
}

function captureMeters(registry: Registry, totals: Totals, now: () => number): CaptureMeters {
  const counter = counterIn(registry);
  const rows = counter('crossfade_capture_rows_total', 'Row changes read from the source.', []);
  const bytes = counter('crossfade_capture_bytes_total', 'Bytes of row images read from the source.', []);
  const batches = counter('crossfade_capture_batches_total', 'Batches read from the source.', []);
  const appended = counter('crossfade_log_appended_records_total', 'Records made durable in the log.', []);
  const appendSeconds = histogramIn(registry)('crossfade_log_append_seconds', 'From append to durable in the log, one batch.', []);
  new Gauge({
    name: 'crossfade_capture_complete_age_seconds',
    help: 'Age of the source position up to which the log is complete; grows while capture is behind or dead.',
    registers: [registry],
    collect() {
      if (totals.completedThroughUs !== undefined) this.set(Math.max(0, now() / 1000 - totals.completedThroughUs / 1e6));
    },
  });
  return {
    captured(count, size) {
      rows.inc(count);
      bytes.inc(size);
      batches.inc();
      totals.capturedRows += count;
      totals.capturedBytes += size;
    },
    appended(records, seconds) {
      appended.inc(records);
      appendSeconds.observe(seconds);
      totals.appendedRecords += records;
    },
    completed(throughUs) {
      totals.completedThroughUs = throughUs;
    },
  };
}

function applyMeters(registry: Registry, totals: Totals): (service: string) => ApplyMeters {
  const counter = counterIn(registry);
  const records = counter('crossfade_apply_records_total', 'Records committed in the target.', ['service', 'partition']);
  const batches = counter('crossfade_apply_batches_total', 'Batches committed in the target.', ['service', 'partition']);
  const writeSeconds = histogramIn(registry)('crossfade_apply_write_seconds', 'Time that the target took for one batch.', ['service']);
  const lagSeconds = gaugeIn(registry)('crossfade_lag_seconds', 'From commit in the source to visible in the target.', [
    'service',
    'partition',
  ]);
  const lagChanges = gaugeIn(registry)('crossfade_lag_changes', 'Records in the log that are not applied yet.', ['service', 'partition']);
  return (service) => {
    const own: ServiceTotals = (totals.services[service] ??= { appliedRecords: 0, lagSeconds: {}, lagChanges: {} });
    return {
      applied(partition, count, seconds) {
        records.inc({ service, partition }, count);
        batches.inc({ service, partition });
        writeSeconds.observe({ service }, seconds);
        own.appliedRecords += count;
      },
      lag(partition, seconds, changes) {
        lagSeconds.set({ service, partition }, seconds);
        lagChanges.set({ service, partition }, changes);
        own.lagSeconds[partition] = seconds;
        own.lagChanges[partition] = changes;
      },
    };
  };
}

function stateMeters(registry: Registry, totals: Totals): StateMeters {
  const retries = counterIn(registry)('crossfade_retries_total', 'Sessions that ended in an error and are tried again.', ['part', 'code']);
  const errors = counterIn(registry)('crossfade_errors_total', 'Errors that stopped a part for good.', ['part', 'code']);
  const states = gaugeIn(registry)('crossfade_part_state', '1 for the state that the part is in, 0 for the others.', ['part', 'state']);
  return {
    state(part, state, code) {
      for (const name of loopStates) states.set({ part, state: name }, name === state ? 1 : 0);
      if (code !== undefined && state === 'waiting') retries.inc({ part, code });
      if (code !== undefined && state === 'failed') errors.inc({ part, code });
      totals.states[part] = code === undefined ? { state } : { state, code };
    },
  };
}

const counterIn = (registry: Registry) => (name: string, help: string, labelNames: string[]) =>
  new Counter({ name, help, labelNames, registers: [registry] });
const gaugeIn = (registry: Registry) => (name: string, help: string, labelNames: string[]) =>
  new Gauge({ name, help, labelNames, registers: [registry] });
const histogramIn = (registry: Registry) => (name: string, help: string, labelNames: string[]) =>
  new Histogram({
    name,
    help,
    labelNames,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  });

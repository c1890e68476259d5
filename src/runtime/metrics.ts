/**
 * The catalogue of metrics, and the totals written in Prometheus' text form. The values are taken from the plain totals at
 * each scrape: a registry of a thread would never leave it, and two places to count in would come to differ.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import { lagSecondsNow } from './lag.ts';
import type { LoopState } from './loop.ts';
import type { ServiceTotals, Totals } from './observe.ts';

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
interface Metric {
  /** Ends in its unit. */
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly help: string;
  /** Part, service, partition, code or state; never a key or a value of a row. */
  readonly labels: readonly string[];
  readonly samples: (totals: Totals, nowMs: number) => readonly Sample[];
}

const loopStates: readonly LoopState[] = ['starting', 'running', 'waiting', 'stopped', 'failed'];

const captured = (name: string, help: string, value: (totals: Totals) => number): Metric => ({
  name,
  kind: 'counter',
  help,
  labels: [],
  samples: (totals) => [{ labels: {}, value: value(totals) }],
});

/** One sample for each service and partition. */
const applied = (
  name: string,
  kind: Metric['kind'],
  help: string,
  values: (own: ServiceTotals, totals: Totals, nowMs: number) => Readonly<Record<string, number>>,
): Metric => ({
  name,
  kind,
  help,
  labels: ['service', 'partition'],
  samples: (totals, nowMs) =>
    Object.entries(totals.services).flatMap(([service, own]) =>
      Object.entries(values(own, totals, nowMs)).map(([partition, value]) => ({ labels: { service, partition }, value })),
    ),
});

const ofApplied = (pick: (each: ServiceTotals['applied'][string]) => number) => (own: ServiceTotals) =>
  Object.fromEntries(Object.entries(own.applied).map(([partition, each]) => [partition, pick(each)]));

/** One sample for each part and code. */
const byCode = (name: string, help: string, counts: (state: Totals['states'][string]) => Readonly<Record<string, number>>): Metric => ({
  name,
  kind: 'counter',
  help,
  labels: ['part', 'code'],
  samples: ({ states }) =>
    Object.entries(states).flatMap(([part, state]) =>
      Object.entries(counts(state)).map(([code, value]) => ({ labels: { part, code }, value })),
    ),
});

export const catalogue: readonly Metric[] = [
  captured('crossfade_capture_rows_total', 'Row changes read from the source.', (totals) => totals.capturedRows),
  captured('crossfade_capture_bytes_total', 'Bytes of row images read from the source.', (totals) => totals.capturedBytes),
  captured('crossfade_capture_batches_total', 'Batches read from the source.', (totals) => totals.capturedBatches),
  captured('crossfade_log_appended_records_total', 'Records made durable in the log.', (totals) => totals.appendedRecords),
  captured('crossfade_log_appends_total', 'Appends made durable in the log.', (totals) => totals.appends),
  captured('crossfade_log_append_seconds_total', 'Time from append to durable in the log, in all.', (totals) => totals.appendSeconds),
  {
    name: 'crossfade_capture_complete_age_seconds',
    kind: 'gauge',
    help: 'Age of the source position up to which the log is complete; grows while capture is behind or dead.',
    labels: [],
    samples: ({ completedThroughUs: throughUs }, nowMs) =>
      throughUs === undefined ? [] : [{ labels: {}, value: Math.max(0, nowMs / 1000 - throughUs / 1e6) }],
  },
  applied(
    'crossfade_apply_records_total',
    'counter',
    'Records committed in the target.',
    ofApplied(({ records }) => records),
  ),
  applied(
    'crossfade_apply_batches_total',
    'counter',
    'Batches committed in the target.',
    ofApplied(({ batches }) => batches),
  ),
  applied(
    'crossfade_apply_write_seconds_total',
    'counter',
    'Time that the target took for the batches, in all.',
    ofApplied(({ writeSeconds }) => writeSeconds),
  ),
  applied('crossfade_lag_seconds', 'gauge', 'Age of the oldest change that is not visible in the target.', (own, totals, nowMs) =>
    Object.fromEntries(
      Object.entries(own.lag).flatMap(([partition, standing]) => {
        const seconds = lagSecondsNow(standing, totals.completedThroughUs, nowMs);
        return seconds === undefined ? [] : [[partition, seconds]];
      }),
    ),
  ),
  applied('crossfade_lag_changes', 'gauge', 'Records in the log that are not applied yet.', (own) =>
    Object.fromEntries(Object.entries(own.lag).map(([partition, { changes }]) => [partition, changes])),
  ),
  byCode('crossfade_retries_total', 'Sessions that ended in an error and are tried again.', ({ retries }) => retries),
  byCode('crossfade_errors_total', 'Errors that stopped a part for good.', ({ errors }) => errors),
  {
    name: 'crossfade_part_state',
    kind: 'gauge',
    help: '1 for the state that the part is in, 0 for the others.',
    labels: ['part', 'state'],
    samples: ({ states }) =>
      Object.entries(states).flatMap(([part, now]) =>
        loopStates.map((state) => ({ labels: { part, state }, value: now.state === state ? 1 : 0 })),
      ),
  },
];

/** What a scrape answers; `totals` are those of all parts of this process. */
export function metricsText(totals: Totals, nowMs: number): Promise<string> {
  const registry = new Registry();
  for (const { name, kind, help, labels, samples } of catalogue) {
    const options = { name, help, labelNames: [...labels], registers: [registry] };
    const known = samples(totals, nowMs);
    if (kind === 'gauge') {
      const gauge = new Gauge(options);
      gauge.remove({});
      for (const { labels, value } of known) gauge.set(labels, value);
    } else {
      const counter = new Counter(options);
      for (const { labels, value } of known) counter.inc(labels, value);
    }
  }
  return registry.metrics();
}

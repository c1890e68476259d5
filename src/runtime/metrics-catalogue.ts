/** Every metric, once: name with unit, help, labels, and where its values come from at each scrape. */
import type { ThreadLife } from './health.ts';
import type { ServiceLag } from './lag-watch.ts';
import type { LoopState } from './loop.ts';
import type { ServiceTotals, Totals } from './observe.ts';

/** All that is known at the moment of a scrape. */
export interface View {
  readonly nowMs: number;
  readonly totals: Totals;
  readonly lags: readonly ServiceLag[];
  readonly objectives: readonly { readonly service: string; readonly objectiveSeconds: number; readonly breached: boolean }[];
  readonly threads: readonly ThreadLife[];
  readonly alerts: { readonly sent: number; readonly dropped: number; readonly waiting: number };
  readonly residentBytes: number;
  readonly ready: boolean;
  /** What the last look at the log found, aged by the clock. */
  readonly log: {
    readonly completeAgeSeconds: number | undefined;
    readonly lookAgeSeconds: number | undefined;
    readonly clockOffsetSeconds: number | undefined;
    readonly room: 'well' | 'warning' | 'error' | undefined;
  };
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
export interface Metric {
  /** Ends in its unit. */
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly help: string;
  /** Part, service, table, partition, code or state; never a key or a value of a row. */
  readonly labels: readonly string[];
  readonly samples: (view: View) => readonly Sample[];
}

const loopStates: readonly LoopState[] = ['starting', 'running', 'waiting', 'stopped', 'failed'];

type Kind = Metric['kind'];
const one = (name: string, kind: Kind, help: string, value: (view: View) => number | undefined): Metric => ({
  name,
  kind,
  help,
  labels: [],
  samples: (view) => {
    const known = value(view);
    return known === undefined ? [] : [{ labels: {}, value: known }];
  },
});

/** One sample for each service and partition. */
const applied = (name: string, help: string, pick: (each: ServiceTotals['applied'][string]) => number): Metric => ({
  name,
  kind: 'counter',
  help,
  labels: ['service', 'partition'],
  samples: ({ totals }) =>
    Object.entries(totals.services).flatMap(([service, own]) =>
      Object.entries(own.applied).map(([partition, each]) => ({ labels: { service, partition }, value: pick(each) })),
    ),
});

/** One sample for each part and code. */
const byCode = (name: string, help: string, counts: (state: Totals['states'][string]) => Readonly<Record<string, number>>): Metric => ({
  name,
  kind: 'counter',
  help,
  labels: ['part', 'code'],
  samples: ({ totals: { states } }) =>
    Object.entries(states).flatMap(([part, state]) =>
      Object.entries(counts(state)).map(([code, value]) => ({ labels: { part, code }, value })),
    ),
});

const ofService = (name: string, help: string, value: (lag: ServiceLag) => number | undefined): Metric => ({
  name,
  kind: 'gauge',
  help,
  labels: ['service'],
  samples: ({ lags }) =>
    lags.flatMap((lag) => {
      const known = value(lag);
      return known === undefined ? [] : [{ labels: { service: lag.service }, value: known }];
    }),
});

/** Of each table the partition of its stream that is worst off; absent as soon as one is unknown. */
const ofTable = (name: string, help: string, value: (of: ServiceLag['partitions']) => number | undefined): Metric => ({
  name,
  kind: 'gauge',
  help,
  labels: ['service', 'table'],
  samples: ({ lags }) =>
    lags.flatMap(({ service, partitions }) =>
      [...new Set(partitions.flatMap(({ tables }) => tables))].flatMap((table) => {
        const known = value(partitions.filter(({ tables }) => tables.includes(table)));
        return known === undefined ? [] : [{ labels: { service, table }, value: known }];
      }),
    ),
});

const ofPartition = (name: string, help: string, value: (lag: ServiceLag['partitions'][number]) => number | undefined): Metric => ({
  name,
  kind: 'gauge',
  help,
  labels: ['service', 'partition'],
  samples: ({ lags }) =>
    lags.flatMap(({ service, partitions }) =>
      partitions.flatMap((lag) => {
        const known = value(lag);
        return known === undefined ? [] : [{ labels: { service, partition: lag.partition }, value: known }];
      }),
    ),
});

const ofObjective = (name: string, help: string, value: (of: View['objectives'][number]) => number): Metric => ({
  name,
  kind: 'gauge',
  help,
  labels: ['service'],
  samples: ({ objectives }) => objectives.map((each) => ({ labels: { service: each.service }, value: value(each) })),
});

type Kept = NonNullable<ServiceTotals['kept']>;
const kept = (name: string, help: string, pick: (of: Kept[number]) => number): Metric => ({
  name,
  kind: 'gauge',
  help,
  labels: ['service'],
  samples: ({ totals }) =>
    Object.entries(totals.services).flatMap(([service, own]) =>
      own.kept ? [{ labels: { service }, value: own.kept.reduce((all, table) => all + pick(table), 0) }] : [],
    ),
});

/** One sample for each table that has any. */
const keptOfTable = (
  name: string,
  help: string,
  label: readonly string[],
  pick: (of: Kept[number], nowMs: number) => readonly { readonly state?: string; readonly value: number }[],
): Metric => ({
  name,
  kind: 'gauge',
  help,
  labels: ['service', 'table', ...label],
  samples: ({ totals, nowMs }) =>
    Object.entries(totals.services).flatMap(([service, own]) =>
      (own.kept ?? []).flatMap((of) =>
        pick(of, nowMs).map(({ value, ...state }) => ({ labels: { service, table: of.source, ...state }, value })),
      ),
    ),
});

const ofThread = (name: string, kind: Kind, help: string, value: (of: Totals['threads'][string]) => number): Metric => ({
  name,
  kind,
  help,
  labels: ['thread'],
  samples: ({ totals }) => Object.entries(totals.threads).map(([thread, each]) => ({ labels: { thread }, value: value(each) })),
});

const worst = (partitions: ServiceLag['partitions']): number | undefined => {
  const known = partitions.flatMap(({ seconds }) => seconds ?? []);
  return known.length === partitions.length ? Math.max(0, ...known) : undefined;
};
const sum = (partitions: ServiceLag['partitions']) => partitions.reduce((all, { changes }) => all + changes, 0);

/** Changes are known as long as the log was ever looked at. */
const ifLooked = ({ log }: View) => log.lookAgeSeconds !== undefined;
const whenLooked = (metric: Metric): Metric => ({ ...metric, samples: (view) => (ifLooked(view) ? metric.samples(view) : []) });

const lagMetrics: readonly Metric[] = [
  ofService('crossfade_service_lag_seconds', 'From commit in the source to visible in the target; absent when unknown.', (l) => l.seconds),
  whenLooked(ofService('crossfade_service_lag_changes', 'Records in the log that the service has not applied.', (l) => l.changes)),
  ofService('crossfade_service_lag_known', '1 when the lag of the service is known, 0 when nobody here can know it.', ({ seconds }) =>
    seconds === undefined ? 0 : 1,
  ),
  ofTable('crossfade_lag_seconds', 'The same by table: of its worst partition.', worst),
  whenLooked(ofTable('crossfade_lag_changes', 'Records not applied in the stream that carries the table.', sum)),
  ofPartition('crossfade_partition_lag_seconds', 'The same by partition.', ({ seconds }) => seconds),
  whenLooked(ofPartition('crossfade_partition_lag_changes', 'Records of the partition that are not applied.', ({ changes }) => changes)),
  ofObjective('crossfade_lag_objective_seconds', 'The lag objective of the service.', ({ objectiveSeconds }) => objectiveSeconds),
  ofObjective('crossfade_lag_objective_breached', '1 while the lag objective is breached.', ({ breached }) => (breached ? 1 : 0)),
];

const captureMetrics: readonly Metric[] = [
  one('crossfade_capture_rows_total', 'counter', 'Row changes read from the source.', ({ totals }) => totals.capturedRows),
  one('crossfade_capture_bytes_total', 'counter', 'Bytes of row images read from the source.', ({ totals }) => totals.capturedBytes),
  one('crossfade_capture_batches_total', 'counter', 'Batches read from the source.', ({ totals }) => totals.capturedBatches),
  one('crossfade_log_appended_records_total', 'counter', 'Records made durable in the log.', ({ totals }) => totals.appendedRecords),
  one('crossfade_log_appends_total', 'counter', 'Appends made durable in the log.', ({ totals }) => totals.appends),
  one('crossfade_log_append_seconds_total', 'counter', 'Time from append to durable, in all.', ({ totals }) => totals.appendSeconds),
  one(
    'crossfade_log_complete_age_seconds',
    'gauge',
    'Age of the source position up to which the log is complete; grows while capture is behind or dead, in whatever process.',
    ({ log }) => log.completeAgeSeconds,
  ),
  one('crossfade_log_look_age_seconds', 'gauge', 'Since the log last answered this process.', ({ log }) => log.lookAgeSeconds),
  {
    name: 'crossfade_log_room_state',
    kind: 'gauge',
    help: '1 for how the log stands with room on its disk.',
    labels: ['state'],
    samples: ({ log: { room } }) =>
      room === undefined ? [] : ['well', 'warning', 'error'].map((state) => ({ labels: { state }, value: state === room ? 1 : 0 })),
  },
  one(
    'crossfade_source_clock_offset_seconds',
    'gauge',
    'The source clock minus the one of capture; lag is corrected by it.',
    ({ log }) => log.clockOffsetSeconds,
  ),
];

const partMetrics: readonly Metric[] = [
  byCode('crossfade_retries_total', 'Sessions that ended in an error and are tried again.', ({ retries }) => retries),
  byCode('crossfade_errors_total', 'Errors that stopped a part for good.', ({ errors }) => errors),
  {
    name: 'crossfade_part_state',
    kind: 'gauge',
    help: '1 for the state that the part is in, 0 for the others.',
    labels: ['part', 'state'],
    samples: ({ totals: { states } }) =>
      Object.entries(states).flatMap(([part, now]) =>
        loopStates.map((state) => ({ labels: { part, state }, value: now.state === state ? 1 : 0 })),
      ),
  },
  one('crossfade_ready_state', 'gauge', '1 when /readyz says yes.', ({ ready }) => (ready ? 1 : 0)),
  one('crossfade_alerts_sent_total', 'counter', 'Alerts that a webhook took.', ({ alerts }) => alerts.sent),
  one('crossfade_alerts_dropped_total', 'counter', 'Alerts that no webhook took in time.', ({ alerts }) => alerts.dropped),
  one('crossfade_resident_bytes', 'gauge', 'Memory of the whole process.', ({ residentBytes }) => residentBytes),
  ofThread('crossfade_thread_busy_seconds_total', 'counter', 'Time that the event loop was at work.', ({ busySeconds }) => busySeconds),
  ofThread('crossfade_thread_heap_bytes', 'gauge', 'JavaScript heap in use.', ({ heapBytes }) => heapBytes),
  ofThread('crossfade_thread_external_bytes', 'gauge', 'Buffers outside of the heap.', ({ externalBytes }) => externalBytes),
  {
    name: 'crossfade_thread_silent_seconds',
    kind: 'gauge',
    help: 'Since a thread last showed that it turns.',
    labels: ['thread'],
    samples: ({ threads }) => threads.map(({ name, silentTicks }) => ({ labels: { thread: name }, value: silentTicks })),
  },
];

export const catalogue: readonly Metric[] = [
  ...lagMetrics,
  ...captureMetrics,
  applied('crossfade_apply_records_total', 'Records committed in the target.', ({ records }) => records),
  applied('crossfade_apply_batches_total', 'Batches committed in the target.', ({ batches }) => batches),
  applied('crossfade_apply_write_seconds_total', 'Time that the target took for the batches, in all.', ({ writeSeconds }) => writeSeconds),
  kept('crossfade_held_changes', 'Changes that wait for another partition to owe them something.', ({ held }) => held),
  kept(
    'crossfade_quarantined_changes',
    'Changes that the target refuses and a person has to look at, with those that wait behind any.',
    ({ quarantined, behind }) => quarantined + behind,
  ),
  keptOfTable('crossfade_kept_changes', 'The same by table and state; absent for a table that has none.', ['state'], (of) =>
    (['held', 'quarantined', 'behind'] as const).map((state) => ({ state, value: of[state] })),
  ),
  keptOfTable(
    'crossfade_kept_oldest_seconds',
    'Since the target refused the oldest change of the table that is still held or in quarantine.',
    [],
    ({ oldestMs }, nowMs) => [{ value: Math.max(0, nowMs - oldestMs) / 1000 }],
  ),
  ...partMetrics,
];

import { describe, expect, test } from 'vitest';
import { metricsText } from '../../src/runtime/metrics.ts';
import { catalogue, type View } from '../../src/runtime/metrics-catalogue.ts';
import { makeMeters } from '../../src/runtime/observe.ts';

const nowMs = 1_700_000_010_000;
const nothing = { sent: 0, dropped: 0, waiting: 0 };
const unknownLog = { completeAgeSeconds: undefined, lookAgeSeconds: undefined, clockOffsetSeconds: undefined, room: undefined };
const view = (more: Partial<View> = {}): View => ({
  nowMs,
  totals: makeMeters().totals,
  lags: [],
  objectives: [],
  threads: [],
  alerts: nothing,
  residentBytes: 1e8,
  ready: true,
  log: unknownLog,
  ...more,
});
const linesOf = async (of: View) =>
  (await metricsText('shop', of))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(',pipeline="shop"', '').replace('{pipeline="shop"}', ''));

describe('metrics', () => {
  test('are what the parts told, also of a thread whose totals came as a message', async () => {
    const main = makeMeters();
    main.capture.captured(10, 1000);
    main.capture.appended(12, 0.004);
    main.capture.appended(1, 0.002);
    const thread = makeMeters();
    const orders = thread.apply('orders');
    orders.applied('shop.shop.orders#0', 7, 0.5);
    orders.applied('shop.shop.orders#0', 3, 0.25);
    orders.kept([
      { source: 'shop.a', held: 2, quarantined: 0, behind: 0, oldestMs: nowMs - 90_000 },
      { source: 'shop.b', held: 0, quarantined: 1, behind: 3, oldestMs: nowMs + 5 },
    ]);
    thread.state.state('apply orders', 'waiting', 'TARGET_UNREACHABLE');
    thread.state.state('apply orders', 'running');
    thread.state.state('apply orders', 'waiting', 'TARGET_UNREACHABLE');
    thread.state.state('apply orders', 'failed', 'TARGET_FULL');
    thread.totals.threads['apply orders'] = { busySeconds: 1.5, heapBytes: 10, externalBytes: 20 };
    const told = structuredClone(thread.totals);
    Object.assign(main.totals.services, told.services);
    Object.assign(main.totals.states, told.states);
    Object.assign(main.totals.threads, told.threads);
    const of = '{service="orders",partition="shop.shop.orders#0"}';
    expect(await linesOf(view({ totals: main.totals, threads: [{ name: 'apply orders', silentTicks: 2 }] }))).toEqual([
      'crossfade_capture_rows_total 10',
      'crossfade_capture_bytes_total 1000',
      'crossfade_capture_batches_total 1',
      'crossfade_log_appended_records_total 13',
      'crossfade_log_appends_total 2',
      'crossfade_log_append_seconds_total 0.006',
      `crossfade_apply_records_total${of} 10`,
      `crossfade_apply_batches_total${of} 2`,
      `crossfade_apply_write_seconds_total${of} 0.75`,
      'crossfade_held_changes{service="orders"} 2',
      'crossfade_quarantined_changes{service="orders"} 4',
      ...['held', 'quarantined', 'behind'].map(
        (state, at) => `crossfade_kept_changes{service="orders",table="shop.a",state="${state}"} ${[2, 0, 0][at]}`,
      ),
      ...['held', 'quarantined', 'behind'].map(
        (state, at) => `crossfade_kept_changes{service="orders",table="shop.b",state="${state}"} ${[0, 1, 3][at]}`,
      ),
      'crossfade_kept_oldest_seconds{service="orders",table="shop.a"} 90',
      'crossfade_kept_oldest_seconds{service="orders",table="shop.b"} 0',
      'crossfade_retries_total{part="apply orders",code="TARGET_UNREACHABLE"} 2',
      'crossfade_errors_total{part="apply orders",code="TARGET_FULL"} 1',
      ...['starting', 'running', 'waiting', 'stopped', 'failed'].map(
        (state) => `crossfade_part_state{part="apply orders",state="${state}"} ${state === 'failed' ? 1 : 0}`,
      ),
      'crossfade_ready_state 1',
      'crossfade_alerts_sent_total 0',
      'crossfade_alerts_dropped_total 0',
      'crossfade_resident_bytes 100000000',
      'crossfade_thread_busy_seconds_total{thread="apply orders"} 1.5',
      'crossfade_thread_heap_bytes{thread="apply orders"} 10',
      'crossfade_thread_external_bytes{thread="apply orders"} 20',
      'crossfade_thread_silent_seconds{thread="apply orders"} 2',
    ]);
  });

  test('lag is told of services, tables and partitions; a table is as late as its worst partition', async () => {
    const partition = (number: number, tables: string[], seconds: number | undefined, changes: number) => ({
      partition: `s#${number}`,
      tables,
      seconds,
      changes,
    });
    const lags = [
      { service: 'orders', seconds: 9, changes: 7, partitions: [partition(0, ['shop.a', 'shop.b'], 9, 4), partition(1, ['shop.a'], 1, 3)] },
      { service: 'cache', seconds: undefined, changes: 5, partitions: [partition(0, ['shop.a'], undefined, 5)] },
    ];
    const objectives = [{ service: 'orders', objectiveSeconds: 5, breached: true }];
    const log = { completeAgeSeconds: 0.5, lookAgeSeconds: 1, clockOffsetSeconds: -3, room: 'warning' } as const;
    const lines = await linesOf(view({ lags, objectives, log }));
    expect(lines.filter((line) => /lag_|_log_complete|look_age|clock|room/.test(line))).toEqual([
      'crossfade_service_lag_seconds{service="orders"} 9',
      'crossfade_service_lag_changes{service="orders"} 7',
      'crossfade_service_lag_changes{service="cache"} 5',
      'crossfade_service_lag_known{service="orders"} 1',
      'crossfade_service_lag_known{service="cache"} 0',
      'crossfade_lag_seconds{service="orders",table="shop.a"} 9',
      'crossfade_lag_seconds{service="orders",table="shop.b"} 9',
      'crossfade_lag_changes{service="orders",table="shop.a"} 7',
      'crossfade_lag_changes{service="orders",table="shop.b"} 4',
      'crossfade_lag_changes{service="cache",table="shop.a"} 5',
      'crossfade_partition_lag_seconds{service="orders",partition="s#0"} 9',
      'crossfade_partition_lag_seconds{service="orders",partition="s#1"} 1',
      'crossfade_partition_lag_changes{service="orders",partition="s#0"} 4',
      'crossfade_partition_lag_changes{service="orders",partition="s#1"} 3',
      'crossfade_partition_lag_changes{service="cache",partition="s#0"} 5',
      'crossfade_lag_objective_seconds{service="orders"} 5',
      'crossfade_lag_objective_breached{service="orders"} 1',
      'crossfade_log_complete_age_seconds 0.5',
      'crossfade_log_look_age_seconds 1',
      'crossfade_log_room_state{state="well"} 0',
      'crossfade_log_room_state{state="warning"} 1',
      'crossfade_log_room_state{state="error"} 0',
      'crossfade_source_clock_offset_seconds -3',
    ]);
  });

  test('G11: that nobody has measured yet are absent, not zero, and say so', async () => {
    const lags = [{ service: 'orders', seconds: undefined, changes: 0, partitions: [] }];
    const lines = await linesOf(view({ lags }));
    expect(lines).toContain('crossfade_service_lag_known{service="orders"} 0');
    expect(lines.filter((line) => /lag_(seconds|changes)|age_seconds|offset|room/.test(line))).toEqual([]);
    expect(lines).toContain('crossfade_capture_rows_total 0');
  });

  test('end in their unit, are told apart by name and have help', () => {
    for (const { name, help } of catalogue) {
      expect(name).toMatch(/^crossfade_[a-z_]+_(total|seconds|changes|state|bytes|known|breached)$/);
      expect(help.length).toBeGreaterThan(10);
    }
    expect(new Set(catalogue.map(({ name }) => name)).size).toBe(catalogue.length);
  });
});

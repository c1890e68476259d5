import { describe, expect, test } from 'vitest';
import { catalogue, metricsText } from '../../src/runtime/metrics.ts';
import { makeMeters } from '../../src/runtime/observe.ts';

const nowMs = 1_700_000_010_000;

describe('metrics', () => {
  test('are what the parts told, also of a thread whose totals came as a message', async () => {
    const main = makeMeters();
    main.capture.captured(10, 1000);
    main.capture.appended(12, 0.004);
    main.capture.appended(1, 0.002);
    main.capture.completed((nowMs - 2500) * 1000);
    const thread = makeMeters();
    const orders = thread.apply('orders');
    orders.applied('shop.shop.orders#0', 7, 0.5);
    orders.applied('shop.shop.orders#0', 3, 0.25);
    orders.lag('shop.shop.orders#0', (nowMs - 1500) * 1000, 42);
    thread.state.state('apply orders', 'waiting', 'TARGET_UNREACHABLE');
    thread.state.state('apply orders', 'running');
    thread.state.state('apply orders', 'waiting', 'TARGET_UNREACHABLE');
    thread.state.state('apply orders', 'failed', 'TARGET_FULL');
    const told = structuredClone(thread.totals);
    Object.assign(main.totals.services, told.services);
    Object.assign(main.totals.states, told.states);
    const lines = (await metricsText(main.totals, nowMs)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const of = '{service="orders",partition="shop.shop.orders#0"}';
    expect(lines).toEqual([
      'crossfade_capture_rows_total 10',
      'crossfade_capture_bytes_total 1000',
      'crossfade_capture_batches_total 1',
      'crossfade_log_appended_records_total 13',
      'crossfade_log_appends_total 2',
      'crossfade_log_append_seconds_total 0.006',
      'crossfade_capture_complete_age_seconds 2.5',
      `crossfade_apply_records_total${of} 10`,
      `crossfade_apply_batches_total${of} 2`,
      `crossfade_apply_write_seconds_total${of} 0.75`,
      `crossfade_lag_seconds${of} 1.5`,
      `crossfade_lag_changes${of} 42`,
      'crossfade_retries_total{part="apply orders",code="TARGET_UNREACHABLE"} 2',
      'crossfade_errors_total{part="apply orders",code="TARGET_FULL"} 1',
      ...['starting', 'running', 'waiting', 'stopped', 'failed'].map(
        (state) => `crossfade_part_state{part="apply orders",state="${state}"} ${state === 'failed' ? 1 : 0}`,
      ),
    ]);
  });

  test('that nobody has measured yet are absent, not zero', async () => {
    const text = await metricsText(makeMeters().totals, nowMs);
    expect(text).not.toMatch(/^crossfade_capture_complete_age_seconds /m);
    expect(text).toMatch(/^crossfade_capture_rows_total 0$/m);
  });

  test('end in their unit, are told apart by name and have help', () => {
    for (const { name, help } of catalogue) {
      expect(name).toMatch(/^crossfade_[a-z_]+_(total|seconds|changes|state|bytes)$/);
      expect(help.length).toBeGreaterThan(10);
    }
    expect(new Set(catalogue.map(({ name }) => name)).size).toBe(catalogue.length);
  });
});

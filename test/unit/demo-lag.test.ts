import { setTimeout as sleep } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { LagMeter, percentile } from '../../demo/lag-meter.ts';
import { Rate } from '../../demo/rate.ts';
import { summaryLines } from '../../demo/summary.ts';

const pulse = (orderId: number, changes: number, agoMs = 0) => ({
  orderId,
  sku: 'A',
  revision: orderId,
  changes,
  committedAtMs: Date.now() - agoMs,
});

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > deadlineMs) throw new Error('the condition did not come true');
    await sleep(2);
  }
}

test('a commit counts as applied when the target shows it, not before, and later ones go on waiting', async () => {
  let shown = 0;
  let looks = 0;
  const meter = new LagMeter(
    ({ orderId }) => orderId,
    () => {
      looks += 1;
      return Promise.resolve(shown);
    },
  );
  const stop = new AbortController();
  const running = meter.run(stop.signal);
  meter.add(pulse(1, 10, 40));
  meter.add(pulse(2, 20));
  await until(() => looks > 2);
  expect(meter.appliedChanges).toBe(0);
  shown = 1;
  await until(() => meter.appliedChanges === 10);
  expect(meter.isWaiting).toBe(true);
  expect(meter.recent(0.5)).toBeGreaterThanOrEqual(40);
  shown = 2;
  await until(() => !meter.isWaiting);
  expect(meter.appliedChanges).toBe(20);
  expect(meter.overall(0.5)).toBeUndefined();
  shown = 3;
  meter.add(pulse(3, 30, 7));
  await until(() => !meter.isWaiting);
  expect(meter.overall(0.5)).toBeGreaterThanOrEqual(7);
  stop.abort();
  await running;
});

test('the summary names what the percentiles leave out: the start, and a target that was never caught up with', async () => {
  let shown = 0;
  const meter = new LagMeter(
    ({ orderId }) => orderId,
    () => Promise.resolve(shown),
  );
  const lag = () =>
    summaryLines({
      seconds: 25,
      counts: { changes: 0, transactions: 0, rollbacks: 0, reconnects: 0 },
      restarts: 0,
      meters: { Postgres: meter },
      drainSeconds: 0,
      verdicts: [],
    })
      .slice(3, 5)
      .join('\n');
  expect(lag()).toContain('Lag to Postgres: nothing measured.');
  const stop = new AbortController();
  const running = meter.run(stop.signal);
  meter.add(pulse(1, 10, 23_000));
  expect(lag()).toContain('Lag to Postgres: never caught up, oldest 23 s.');
  shown = 1;
  await until(() => !meter.isWaiting);
  expect(lag()).toContain('never caught up, oldest 23 s.');
  shown = 2;
  meter.add(pulse(2, 20));
  await until(() => !meter.isWaiting);
  expect(lag()).toMatch(/^Commit to visible in Postgres: p50 \d+ ms, p99 \d+ ms,\n {2}from second 2[34] on; before, up to 23 s\.$/);
  stop.abort();
  await running;
});

test('the lag of a target that does not answer grows', async () => {
  const meter = new LagMeter(
    ({ orderId }) => orderId,
    () => Promise.reject(new Error('down')),
  );
  const stop = new AbortController();
  const running = meter.run(stop.signal);
  meter.add(pulse(1, 10, 5000));
  expect(meter.lagNowMs()).toBeGreaterThanOrEqual(5000);
  meter.add(pulse(2, 20));
  expect(meter.lagNowMs()).toBeGreaterThanOrEqual(5000);
  stop.abort();
  await running;
});

test('percentiles', () => {
  expect(percentile([], 0.5)).toBeUndefined();
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(percentile(values, 0.5)).toBe(51);
  expect(percentile(values, 0.99)).toBe(100);
});

test('a rate is that of the last three seconds, not of the whole run', () => {
  const rate = new Rate();
  for (let ms = 0; ms <= 10_000; ms += 250) rate.add(ms <= 5000 ? ms : 5000, ms);
  expect(rate.perSecond).toBe(0);
  for (let ms = 10_250; ms <= 14_000; ms += 250) rate.add(5000 + (ms - 10_000) / 2, ms);
  expect(rate.perSecond).toBeCloseTo(500, 0);
});

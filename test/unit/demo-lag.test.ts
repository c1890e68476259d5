import { setTimeout as sleep } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { LagMeter, percentile } from '../../demo/lag-meter.ts';
import { Rate } from '../../demo/rate.ts';

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

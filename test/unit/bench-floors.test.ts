/** What figures are held to, and which of several measurements counts. */
import { describe, expect, test } from 'vitest';

import { applyFloor, captureFloor, endToEndFloor, floorBy, latencyCeilingMs } from '../../bench/floors.ts';
import { middleWindow } from '../../bench/latency.ts';

describe('floors', () => {
  test('a slower machine has lower ones, by the reference of the same run; a faster one keeps them', () => {
    expect(captureFloor('embedded', 'oltp', 140_000)).toBe(60_000);
    expect(captureFloor('kafka', 'bulk', 9_400_000)).toBe(200_000);
    expect(endToEndFloor('kafka', 'oltp', 95_000)).toBe(25_000);
    expect(endToEndFloor('kafka', 'bulk', 95_000)).toBeUndefined();
  });

  test('a slower machine has longer times, a faster one or one that was not asked keeps them', () => {
    expect(latencyCeilingMs('embedded', 5000, 95_000)).toBe(150);
    expect(latencyCeilingMs('kafka', 1000, 380_000)).toBe(100);
    expect(latencyCeilingMs('kafka', 5000, undefined)).toBe(150);
  });

  test('the window with the middle p99 counts, and tells of the others', () => {
    const windows = [80, 20, 30].map((p99Ms) => ({ p99Ms, p50Ms: p99Ms / 10 }));
    expect(middleWindow(windows)).toEqual({ p99Ms: 30, p50Ms: 3, p99sMs: [20, 80] });
    expect(() => middleWindow([])).toThrow('no window');
  });

  test('a floor that hangs on a reference lacks without it, unless there is none anyway', () => {
    expect(floorBy(undefined, (here) => captureFloor('embedded', 'bulk', here))).toBeNull();
    expect(floorBy({ value: 140_000 }, (here) => captureFloor('embedded', 'oltp', here))).toBe(60_000);
    expect(floorBy(undefined, (here) => endToEndFloor('kafka', 'bulk', here))).toBeUndefined();
  });

  test('apply is held to half of what psql reaches, even where the scaled floor is lower', () => {
    expect(applyFloor('bulk', 95_000)).toBe(55_000);
    expect(applyFloor('bulk', 400_000)).toBe(200_000);
  });
});

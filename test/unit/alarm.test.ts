import { describe, expect, test } from 'vitest';
import { LagAlarm } from '../../src/runtime/alarm.ts';

/** One look a second; what was said, as `second event`. */
function said(lags: readonly (number | undefined)[], alarm = new LagAlarm({ objectiveSeconds: 10 }, 0)): string[] {
  return lags.flatMap((lag, second) => {
    const event = alarm.observe(lag, (second + 1) * 1000);
    return event === undefined ? [] : [`${second + 1} ${event}`];
  });
}
const seconds = (count: number, lag: number | undefined) => Array.from({ length: count }, () => lag);

describe('G11: a breach and its recovery are each said once', () => {
  test('however long it lasts', () => {
    expect(said([...seconds(3, 1), ...seconds(600, 50), ...seconds(60, 1)])).toEqual(['8 breached', '614 recovered']);
  });
  test('a blip over the objective is no breach, a blip under it no recovery', () => {
    expect(said([...seconds(3, 1), ...seconds(4, 50), ...seconds(60, 1)])).toEqual([]);
    expect(said([...seconds(3, 1), ...seconds(20, 50), ...seconds(3, 1), ...seconds(20, 50), ...seconds(20, 1)])).toEqual([
      '8 breached',
      '57 recovered',
    ]);
  });
  test('a saw tooth over the objective neither breaches nor keeps from recovering', () => {
    const saw = Array.from({ length: 40 }, (_, at) => (at % 4 === 3 ? 11 : 9));
    expect(said(saw)).toEqual([]);
    expect(said([...seconds(10, 50), ...saw])).toEqual(['5 breached', '21 recovered']);
  });
  test('exactly the objective is met', () => expect(said(seconds(100, 10))).toEqual([]));
  test('unknown is no breach for a minute, and one after it; and it is no recovery', () => {
    expect(said(seconds(59, undefined))).toEqual([]);
    expect(said(seconds(70, undefined))).toEqual(['62 breached']);
    expect(said([...seconds(10, 50), ...seconds(50, undefined)])).toEqual(['5 breached']);
    expect(said([...seconds(100, undefined), ...seconds(30, 1)])).toEqual(['62 breached', '111 recovered']);
  });
  test('a process that slept for an hour does not judge by its first look', () => {
    const alarm = new LagAlarm({ objectiveSeconds: 10 }, 0);
    expect(alarm.observe(1, 1000)).toBeUndefined();
    expect(alarm.observe(3600, 3_601_000)).toBeUndefined();
    expect(alarm.observe(1, 3_602_000)).toBeUndefined();
    expect(said(seconds(20, 1), alarm)).toEqual([]);
  });
  test('what was said by another life of the process is not said again, but its recovery is', () => {
    const alarm = new LagAlarm({ objectiveSeconds: 10 }, 0);
    alarm.adopt();
    expect(said([...seconds(60, 50), ...seconds(20, 1)], alarm)).toEqual(['71 recovered']);
    const well = new LagAlarm({ objectiveSeconds: 10 }, 0);
    well.adopt();
    expect(said(seconds(20, 1), well)).toEqual(['11 recovered']);
  });
});

import { describe, expect, test } from 'vitest';
import { makeOutput } from '../../src/commands/output.ts';
import { reasonsOf } from '../../src/commands/status-health.ts';
import { mayStillMove, ratesOf } from '../../src/commands/status-rates.ts';
import { statusReport } from '../../src/commands/status-report.ts';
import type { Sample, ServiceSample } from '../../src/commands/status-sample.ts';

/** A terminal without colours. */
function plain(columns = 80) {
  const stream = { isTTY: true, columns, write: () => true };
  return makeOutput({ stdout: stream, stderr: stream, stdin: { isTTY: false } } as unknown as Parameters<typeof makeOutput>[0], {
    NO_COLOR: '1',
  });
}

const sample = (atMs: number, records: number, applied: number): Sample => ({
  pipeline: 'shop',
  atMs,
  healthy: false,
  reasons: ['service cache: TARGET_UNREACHABLE'],
  source: { server: 'db:3306', end: 'uuid:1-20' },
  log: {
    path: '/var/lib/shop.crossfade.db',
    leader: { who: 'pid 7', silentSeconds: 0.5 },
    start: 'uuid:1-5',
    complete: { position: 'uuid:1-19', ageSeconds: 0.4 },
    records,
  },
  services: [
    {
      name: 'orders',
      kind: 'postgres',
      lagSeconds: 1.2,
      lagChanges: 5,
      applied,
      partitions: [
        {
          partition: 'shop.shop.orders#0',
          tables: ['shop.orders'],
          nextOffset: applied,
          endOffset: records,
          lagSeconds: 1.2,
          lagChanges: 5,
        },
      ],
    },
    {
      name: 'cache',
      kind: 'redis',
      error: { code: 'TARGET_UNREACHABLE', message: 'Redis cannot be reached' },
      applied: 0,
      partitions: [],
    },
  ],
});

const rates = { capturedPerSecond: 0, appliedPerSecond: {}, partitionsPerSecond: {}, stillSeconds: {} };

describe('status', () => {
  test('rates come from two samples; an unreachable part has none', () => {
    const rates = ratesOf([sample(1000, 100, 50)], sample(3000, 1100, 450));
    expect(rates).toEqual({
      capturedPerSecond: 500,
      appliedPerSecond: { orders: 200, cache: 0 },
      partitionsPerSecond: { orders: { 'shop.shop.orders#0': 200 }, cache: {} },
      stillSeconds: {},
    });
  });

  test('a target that commits seldom has the rate since it last moved, and stands still only when no look saw it move', () => {
    const looks = [sample(1000, 900, 100), sample(2000, 900, 500), sample(3000, 900, 500)];
    expect(ratesOf(looks, sample(5000, 900, 500))).toMatchObject({ appliedPerSecond: { orders: 100 }, stillSeconds: {} });
    expect(ratesOf(looks.slice(1), sample(5000, 900, 500))).toMatchObject({ appliedPerSecond: { orders: 0 }, stillSeconds: { orders: 3 } });
    expect(ratesOf(looks, sample(6000, 900, 501))).toMatchObject({ appliedPerSecond: { orders: 0.3 } });
    const still = ratesOf(looks.slice(1), sample(5000, 900, 500));
    const text = statusReport(sample(5000, 900, 500), still, plain());
    expect(text).toContain('lag 1.2 s, 5 changes, nothing applied in the last 3.0 s');
  });

  test('it is looked at again, for seconds, while somebody works who has not moved', () => {
    const working = (atMs: number, more: Partial<ServiceSample> = {}): Sample => {
      const { services, ...rest } = sample(atMs, 900, 500);
      return { ...rest, services: [{ ...(services[0] as ServiceSample), members: [{ who: 'pid 9', silentSeconds: 0 }], ...more }] };
    };
    const again = (more: Partial<ServiceSample>, atMs = 2000) => {
      const [before, now] = [[working(1000)], working(atMs, more)];
      return mayStillMove(before, now, ratesOf(before, now));
    };
    expect(again({})).toBe(true);
    expect(again({}, 7000)).toBe(false);
    expect(again({ applied: 501 })).toBe(false);
    expect(again({ lagChanges: 0 })).toBe(false);
    expect(again({ members: [] })).toBe(false);
    expect(again({ trouble: { code: 'TARGET_FULL', fault: 'retry', message: 'm', sinceMs: 0 } })).toBe(false);
  });

  test('a target that is away has the lag that follows from what its service told the log', () => {
    const { services, ...rest } = sample(1000, 900, 500);
    const [orders] = services as [ServiceSample];
    const away = { ...orders, isNoted: true, error: { code: 'TARGET_UNREACHABLE', message: 'away' } } as const;
    const text = statusReport({ ...rest, services: [away] }, rates, plain());
    expect(text).toContain('lag at most 1.2 s, 5 changes, by what it last told the log');
    expect(reasonsOf({ ...rest, services: [{ ...away, objectiveSeconds: 1 }] })).toContain(
      'service orders: lag 1.2 s is over its objective of 1.0 s',
    );
  });

  test.each([60, 80])('fits %i columns and says everything', (columns) => {
    const text = statusReport(
      sample(3000, 1100, 450),
      { capturedPerSecond: 500, appliedPerSecond: { orders: 200 }, partitionsPerSecond: {}, stillSeconds: {} },
      plain(columns),
    );
    for (const said of [
      'pipeline shop',
      'at uuid:1-20',
      'captured by pid 7, 500 records/s',
      'complete 0.4 s ago',
      'lag 1.2 s, 5 changes, 200 records/s',
      'Redis cannot be reached',
      'TARGET_UNREACHABLE',
    ]) {
      expect(text).toContain(said);
    }
    expect(text.split('\n').filter((line) => line.length > columns)).toEqual([]);
  });

  const minutesAgo = (minutes: number) => 1_000_000 - minutes * 60_000;
  const broken = (more: Partial<ServiceSample>): Sample => {
    const { services, ...rest } = sample(1_000_000, 2, 2);
    const found = { ...rest, services: [{ ...(services[0] as ServiceSample), ...more }] };
    const reasons = reasonsOf(found);
    return { ...found, healthy: reasons.length === 0, reasons };
  };
  const refused = {
    code: 'TARGET_VALUE_REFUSED',
    fault: 'poison',
    message: 'column note of public.orders is too short',
    sinceMs: minutesAgo(4),
  } as const;

  test.each<[string, Partial<ServiceSample>, string[], string[]]>([
    ['all well', { members: [{ who: 'pid 9 on db1', silentSeconds: 1 }] }, ['applied by pid 9 on db1', 'healthy'], []],
    ['dead', { members: [] }, ['nobody applies', 'not healthy'], ['service orders: nobody applies']],
    [
      'halted',
      { members: [], trouble: refused },
      ['nobody applies', 'last: TARGET_VALUE_REFUSED 4 min ago: column note of public.orders'],
      ['service orders: nobody applies', 'service orders: TARGET_VALUE_REFUSED'],
    ],
    [
      'waiting for its target',
      { members: [], trouble: { ...refused, code: 'TARGET_UNREACHABLE', fault: 'retry' } },
      ['last: TARGET_UNREACHABLE 4 min ago'],
      ['service orders: nobody applies now: it waits to try again, or has ended', 'service orders: TARGET_UNREACHABLE'],
    ],
    [
      'over its objective',
      { members: [{ who: 'pid 9', silentSeconds: 1 }], lagSeconds: 90, objectiveSeconds: 30 },
      ['not healthy'],
      ['service orders: lag 90 s is over its objective of 30 s'],
    ],
    [
      'frozen',
      { members: [{ who: 'pid 9 on db1', silentSeconds: 30 }] },
      ['pid 9 on db1 shows no sign of life for 30 s'],
      ['service orders: pid 9 on db1 shows no sign of life'],
    ],
  ])('an apply that is %s is told as such, also on 60 columns', (_, more, said, reasons) => {
    const found = broken(more);
    expect([found.healthy, found.reasons]).toEqual([reasons.length === 0, reasons]);
    for (const columns of [60, 100]) {
      const lines = statusReport(found, rates, plain(columns)).split('\n');
      for (const words of said) expect(lines.join(' ').replace(/ +/g, ' ')).toContain(words);
      expect(lines.filter((line) => line.length > columns)).toEqual([]);
    }
  });

  test('a full disk is named before the silence that comes of it, and is a reason', () => {
    const { log, ...rest } = broken({ members: [{ who: 'pid 9', silentSeconds: 1 }] });
    const room = { level: 'error', code: 'LOG_FULL', where: 'log', message: 'the disk of /var/lib is full' } as const;
    const found = { ...rest, log: { ...log, room, leader: { who: 'pid 7', silentSeconds: 40 } } };
    expect(reasonsOf(found)).toEqual(['log: LOG_FULL', 'capture: pid 7 shows no sign of life']);
    const text = statusReport(found, rates, plain());
    expect(text.indexOf('LOG_FULL')).toBeLessThan(text.indexOf('no sign of life'));
  });
});

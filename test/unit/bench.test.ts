import { createHash } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { bulkSet, changesOf, oltpSet, recordsOf } from '../../bench/data-set.ts';
import { ClockStart, type Look, ratesBetween } from '../../bench/end-to-end.ts';
import { figure, tableLines } from '../../bench/figure.ts';
import { middleOf } from '../../bench/peers.ts';
import { Ahead, figureNames, isFigureName, isWhole, wholeExtent } from '../../bench/plan.ts';
import { cpuUsOf, peakRssMbOf } from '../../bench/process-meter.ts';
import { steadyRateIn } from '../../bench/produce.ts';
import { performanceText } from '../../bench/readme.ts';
import { type Digest, proofOf } from '../../bench/target.ts';

const texts = (set: { texts: () => Generator<string> }) => [...set.texts()];
const digest = (set: { texts: () => Generator<string> }) =>
  texts(set)
    .reduce((hash, text) => hash.update(text), createHash('sha256'))
    .digest('hex');

describe('oltp set', () => {
  const set = oltpSet(0.05);
  const transactions = texts(set)
    .flatMap((text) => text.split('COMMIT;'))
    .filter((text) => text.startsWith('BEGIN;'));

  test('has the promised share of inserts, updates and deletes', () => {
    const { inserts, updates, deletes } = set.counts;
    const all = changesOf(set);
    expect(all).toBe(Math.round(282_875 * 0.05));
    expect(inserts / all).toBeCloseTo(0.64, 1);
    expect(updates / all).toBeCloseTo(0.27, 1);
    expect(deletes / all).toBeCloseTo(0.09, 1);
    expect(recordsOf(set)).toBe(all + deletes);
  });

  test('counts what its statements really say', { timeout: 60_000 }, () => {
    const all = texts(set).join('');
    const times = (word: string) => all.split(`${word} `).length - 1;
    expect({ inserts: times('INSERT INTO'), updates: times('UPDATE bench_oltp'), deletes: times('DELETE FROM') }).toEqual({
      inserts: set.counts.inserts,
      updates: set.counts.updates,
      deletes: set.counts.deletes,
    });
    expect(texts(set).at(-1)).toContain(`VALUES (${set.counts.lastKey},`);
  });

  test('has transactions of 1 to 5 changes', () => {
    const sizes = new Set(transactions.map((text) => text.split(';').length - 2));
    expect([...sizes].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5]);
  });

  test('touches only rows that are there', { timeout: 60_000 }, () => {
    const live = new Set<string>();
    const missing: string[] = [];
    for (const text of texts(set)) {
      for (const [, inserted, touched, deleted] of text.matchAll(
        /VALUES \((\d+),|UPDATE .*? WHERE id=(\d+);|DELETE FROM bench_oltp WHERE id=(\d+);/g,
      )) {
        if (inserted !== undefined) live.add(inserted);
        if (touched !== undefined && !live.has(touched)) missing.push(touched);
        if (deleted !== undefined && !live.delete(deleted)) missing.push(deleted);
      }
    }
    expect(missing).toEqual([]);
    expect(live.size).toBe(set.counts.inserts - set.counts.deletes);
  });
});

test('both sets are the same in every run', { timeout: 60_000 }, () => {
  for (const make of [bulkSet, oltpSet]) expect(digest(make(0.01))).toBe(digest(make(0.01)));
  expect(bulkSet(1).counts.inserts).toBe(1_000_000);
  expect(texts(bulkSet(0.002))).toHaveLength(2);
});

describe('figure', () => {
  test('a ratio above 1 means better than the reference, whichever way better is', () => {
    const reference = { name: 'peer', value: 100 };
    expect(figure({ name: 'a', value: 200, unit: 'changes/s', reference }).ratio).toBe(2);
    expect(figure({ name: 'a', value: 200, unit: 'ms', reference }).ratio).toBe(0.5);
    expect(figure({ name: 'a', value: 200, unit: 'ms' })).toEqual({
      name: 'a',
      value: 200,
      unit: 'ms',
      floor: null,
      ratio: null,
      against: null,
      lacksFloor: false,
      isRight: true,
      ok: true,
    });
  });

  test('a floor that is missed is not ok, whichever way better is', () => {
    expect(figure({ name: 'a', value: 99, unit: 'changes/s', floor: 100 })).toMatchObject({ ok: false, floor: 100 });
    expect(figure({ name: 'a', value: 100, unit: 'changes/s', floor: 100 }).ok).toBe(true);
    expect(figure({ name: 'a', value: 31, unit: 'ms', floor: 30 }).ok).toBe(false);
    expect(figure({ name: 'a', value: 299, unit: 'MB', floor: 300 }).ok).toBe(true);
    expect(figure({ name: 'a', value: 299, unit: 'MB', floor: 300, isRight: false }).ok).toBe(false);
  });

  test('a floor that could not be set is not ok, and the table says so', () => {
    const lacking = figure({ name: 'a', value: 1e9, unit: 'changes/s', floor: null });
    expect(lacking).toMatchObject({ ok: false, floor: null, lacksFloor: true });
    expect(tableLines([lacking])[0]).toMatch(/^✗ a .* no floor$/);
    expect(figure({ name: 'a', value: 1, unit: 'changes/s' })).toMatchObject({ ok: true, lacksFloor: false });
  });

  test('a result that was proven wrong is not ok, and the table says so', () => {
    const wrong = figure({ name: 'a', value: 200, unit: 'changes/s', isRight: false });
    expect(wrong.ok).toBe(false);
    expect(tableLines([wrong])[0]).toMatch(/^✗ a/);
  });
});

test('a process can be measured from outside', () => {
  const before = cpuUsOf(process.pid);
  // By what it used and not by the clock: on a busy machine 60 ms may pass without a turn.
  const from = process.cpuUsage();
  while (process.cpuUsage(from).user < 60_000) createHash('sha256').update('x').digest();
  expect(cpuUsOf(process.pid)).toBeGreaterThan(before);
  expect(peakRssMbOf(process.pid)).toBeGreaterThan(20);
  expect(peakRssMbOf(2 ** 22 + 1)).toBe(0);
});

describe('the whole way', () => {
  const look = (ms: number, crossfade: number): Look => ({ ms, cpuUs: { crossfade, source: crossfade / 2, broker: 0 } });

  test('the clock starts at the last look before anything was captured: nothing that was done is given away', () => {
    const clock = new ClockStart();
    expect(clock.look(look(1000, 100), false)).toBeUndefined();
    expect(clock.look(look(1005, 150), false)).toBeUndefined();
    expect(clock.look(look(1010, 900), true)).toEqual(look(1005, 150));
    expect(new ClockStart().look(look(7, 1), true)).toEqual(look(7, 1));
  });

  test('all changes count, updates and deletes too, over all the time and the CPU since then', () => {
    const set = oltpSet(0.01);
    const changes = changesOf(set);
    expect(changes).toBeGreaterThan(set.counts.inserts);
    const rates = ratesBetween(look(1000, 500_000), look(3000, 500_000 + 30 * changes), set);
    expect(rates).toEqual({ changesPerSecond: changes / 2, cpuUs: { crossfade: 30, source: 15, broker: 0 } });
  });
});

describe('the proof', () => {
  const digest: Digest = { rows: '2', sumOfIds: '3', sumOfAmounts: '1.50', sumOfQuantities: '4', hash: 'abc' };

  test.each(Object.keys(digest) as (keyof Digest)[])('another %s is a difference, and named', (part) => {
    expect(proofOf(digest, { ...digest, [part]: '9' })).toEqual({
      isEqual: false,
      rows: 2,
      difference: `${part}: ${digest[part]} against 9`,
    });
  });
  test('two digests that are the same are equal', () => {
    expect(proofOf(digest, { ...digest })).toEqual({ isEqual: true, rows: 2, difference: '' });
  });
});

describe('references', () => {
  test('the middle of the runs counts, with the CPU of that run', () => {
    const run = (value: number) => ({ name: 'psql', value, cpuUs: value / 10 });
    expect(middleOf([run(30), run(10), run(20)])).toEqual(run(20));
    expect(middleOf([])).toBeUndefined();
  });

  test('of ProducerPerformance only what comes behind its warm-up', () => {
    const whole = '250000 records sent, 61000.1 records/sec (29.09 MB/sec), 3.1 ms avg latency, 9 ms max latency.';
    const steady = '200000 steady state records sent, 99000.5 records/sec (47.20 MB/sec), 2.1 ms avg latency, 9 ms max latency.';
    expect(steadyRateIn(`${whole}\n${steady}\n`)).toBe(99_000.5);
    expect(steadyRateIn(whole)).toBeUndefined();
  });
});

test('the table of the README is written by a whole run alone: its text speaks of no other', () => {
  expect(isWhole(wholeExtent)).toBe(true);
  expect(isWhole({ ...wholeExtent, scale: 2 })).toBe(false);
  expect(isWhole({ ...wholeExtent, latencySeconds: 1 })).toBe(false);
  expect(isWhole({ ...wholeExtent, only: figureNames.slice(1) })).toBe(false);
  expect(bulkSet(wholeExtent.scale).counts.inserts).toBe(1_000_000);
});

describe('what is ahead', () => {
  test('steps are counted and the time left follows what the steps so far took', () => {
    let nowMs = 0;
    const ahead = new Ahead(['latency', 'capture-oltp', 'apply-oltp'], 1, () => nowMs);
    expect(ahead.text()).toBe('');
    ahead.begin('latency');
    expect(ahead.text()).toMatch(/^step 1 of 4, about \d+ (s|min) left$/);
    nowMs += 1_050_000; // Ten times what was planned.
    ahead.begin('loading oltp');
    expect(ahead.text()).toBe('step 2 of 4, about 15 min left');
    ahead.begin('capture-oltp');
    nowMs += 3600_000;
    ahead.begin('apply-oltp');
    expect(ahead.text()).toMatch(/^step 4 of 4, about \d+ min left$/);
  });

  test('every figure has a name that the command line takes', () => {
    expect(figureNames.every(isFigureName)).toBe(true);
    expect(isFigureName('toString')).toBe(false);
  });
});

describe('the table of the README', () => {
  const machine = { cores: 2, model: 'a processor', memoryGb: 8, node: '24.0.0', day: '2026-11-21' };
  const figures = [
    figure({
      name: 'end_to_end_kafka.oltp.rate',
      value: 51_234,
      unit: 'changes/s',
      reference: { name: 'psql', value: 102_468 },
      floor: 50_000,
    }),
    figure({ name: 'end_to_end_kafka.oltp.cpu', value: 12.34, unit: 'µs/change' }),
    figure({ name: 'end_to_end_kafka.oltp.target_cpu', value: 5, unit: 'µs/change' }),
    figure({ name: 'end_to_end_kafka.oltp.rss', value: 310, unit: 'MB', floor: 300 }),
    figure({ name: 'end_to_end_kafka.oltp.first_row', value: 0.42, unit: 's' }),
    figure({ name: 'latency_embedded.1000_per_second.p50', value: 8, unit: 'ms' }),
    figure({ name: 'latency_embedded.1000_per_second.p99', value: 21, unit: 'ms', floor: 30 }),
    figure({ name: 'latency_embedded.1000_per_second.max', value: 40, unit: 'ms' }),
    figure({ name: 'latency_embedded.1000_per_second.p99_best', value: 19, unit: 'ms' }),
    figure({ name: 'latency_embedded.1000_per_second.p99_worst', value: 35, unit: 'ms' }),
    figure({ name: 'latency_embedded.1000_per_second.sent_p99', value: 14, unit: 'ms' }),
    figure({ name: 'latency_embedded.1000_per_second.commit_p99', value: 3, unit: 'ms' }),
  ];
  const cells = performanceText(figures, machine)
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').map((cell) => cell.trim()));

  test('has one row for what was measured together, and marks what missed its floor', () => {
    expect(cells.slice(2)).toEqual([
      [
        '',
        '✗ MySQL → Kafka → Postgres, oltp',
        '51,200 changes/s, first row after 0.42 s',
        '≥ 50,000',
        '12.3 µs; Postgres 5',
        '310 MB',
        '0.5 × psql',
        '',
      ],
      [
        '',
        'commit → visible, 1,000 rows/s, embedded log',
        'p50 8 ms, p99 21 ms (of 19 to 35), max 40 ms',
        '≤ 30',
        '',
        '',
        "from sending: p99 14 ms; MySQL's own commit: p99 3 ms",
        '',
      ],
    ]);
  });

  test('says whether floors were missed, and what it leaves out', () => {
    const text = performanceText(figures, machine);
    expect(text).toContain('or was proven wrong: of the floors 2 held, 1 missed, 0 not set.**');
    expect(performanceText(figures.slice(5), machine)).toContain(
      'Every result was proven right; of the floors 1 held, 0 missed, 0 not set.',
    );
    const lacking = performanceText([figure({ name: 'decode.oltp.rate', value: 5, unit: 'changes/s', floor: null })], machine);
    expect(lacking).toContain('of the floors 0 held, 0 missed, 1 not set.**');
    expect(lacking).toMatch(/\| ✗ decoding the binlog alone, oltp \| 5 changes\/s \| could not be set \|/);
    const wrong = performanceText([figure({ name: 'decode.oltp.rate', value: 5, unit: 'changes/s', isRight: false })], machine);
    expect(wrong).toContain('of the floors 0 held, 0 missed, 0 not set; 1 figures were proven wrong.**');
    expect(text).toContain('**Left out:**');
  });
});

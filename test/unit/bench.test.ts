import { createHash } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { bulkSet, changesOf, oltpSet, recordsOf } from '../../bench/data-set.ts';
import { figure, tableLines } from '../../bench/figure.ts';
import { cpuUsOf, peakRssMbOf } from '../../bench/process-meter.ts';

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

  test('counts what its statements really say', () => {
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

  test('touches only rows that are there', () => {
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

test('both sets are the same in every run', () => {
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
      ok: true,
    });
  });

  test('a result that was proven wrong is not ok, and the table says so', () => {
    const wrong = figure({ name: 'a', value: 200, unit: 'changes/s', isRight: false });
    expect(wrong.ok).toBe(false);
    expect(tableLines([wrong])[0]).toMatch(/^✗ a/);
  });
});

test('a process can be measured from outside', () => {
  const before = cpuUsOf(process.pid);
  const untilMs = performance.now() + 60;
  while (performance.now() < untilMs) createHash('sha256').update('x').digest();
  expect(cpuUsOf(process.pid)).toBeGreaterThan(before);
  expect(peakRssMbOf(process.pid)).toBeGreaterThan(20);
  expect(peakRssMbOf(2 ** 22 + 1)).toBe(0);
});

/** The judges of the chaos tests, each with something wrong before it: one that is never seen to object proves nothing. */
import { describe, expect, test } from 'vitest';

import { zombieMoves, type Move } from '../chaos/rig/audit.ts';
import { differencesOf } from '../chaos/rig/compare.ts';
import { slopeOf } from '../chaos/rig/slope.ts';
import { brokenRules, type PartitionRecords, type WrittenRecord } from '../chaos/rig/log-view.ts';

describe('target against source', () => {
  const source = new Map([
    ['1', '=1|=one'],
    ['2', '=2|~'],
  ]);

  test('the same rows in another order are equal', () => {
    expect(differencesOf('people', source, new Map([...source].reverse()))).toEqual([]);
  });
  test('a missing, an extra and a changed row are one line each', () => {
    expect(differencesOf('people', source, new Map([['1', '=1|=one']]))).toEqual(['people 2: missing']);
    expect(differencesOf('people', source, new Map([...source, ['3', '=3|=three']]))).toEqual(['people 3: extra']);
    expect(differencesOf('people', source, new Map([...source, ['2', '=2|=']]))).toEqual(['people 2: =2|~ is =2|=']);
    expect(differencesOf('people', source, new Map())).toHaveLength(2);
  });
});

describe('the rules of the log', () => {
  const record = (offset: number, version: string, term = 1): WrittenRecord => ({ offset, version, term });
  const broken = (records: readonly WrittenRecord[], markers: readonly number[] = []) =>
    brokenRules([{ partition: 'p#0', records, markers } satisfies PartitionRecords]);

  test('rising versions, terms that follow one another and markers between are whole', () => {
    expect(broken([record(0, 'a'), record(2, 'b'), record(3, 'c', 2)], [1])).toEqual([]);
  });
  test('a version again, one that goes back, a term that goes back', () => {
    expect(broken([record(0, 'a'), record(1, 'a')])).toEqual(['p#0 at 1: version a after a']);
    expect(broken([record(0, 'b'), record(1, 'a')])).toEqual(['p#0 at 1: version a after b']);
    expect(broken([record(0, 'a', 2), record(1, 'b', 1)])).toEqual(['p#0 at 1: term 1 after 2']);
  });
  test('an offset that is missing, at the beginning and in between, and one that is there twice', () => {
    expect(broken([record(1, 'a')])).toEqual(['p#0: offset 0 is 1']);
    expect(broken([record(0, 'a'), record(2, 'b')])).toEqual(['p#0: offset 1 is 2']);
    expect(broken([record(0, 'a'), record(1, 'b')], [1])).toEqual(['p#0: offset 2 is 1']);
  });
  test('each partition is judged by itself', () => {
    const whole: PartitionRecords = { partition: 'p#0', records: [record(0, 'z', 9)], markers: [] };
    expect(brokenRules([whole, { ...whole, partition: 'p#1', records: [record(0, 'a')] }])).toEqual([]);
  });
});

describe('moves of progress', () => {
  const move = (nextOffset: number, epoch: number, more: Partial<Move> = {}): Move => ({
    partition: 'books p#0',
    epoch: BigInt(epoch),
    nextOffset: BigInt(nextOffset),
    owner: epoch,
    mover: epoch,
    isAgreed: false,
    ...more,
  });

  test('one owner after the other, each onward', () => {
    expect(zombieMoves([move(-1, 1), move(5, 1), move(5, 2), move(7, 2), move(0, 1, { partition: 'books p#1' })])).toEqual([]);
  });
  test('a session whose place was taken, which the row itself names by its successor', () => {
    expect(zombieMoves([move(5, 1), move(5, 2), move(7, 2, { mover: 1 })])).toEqual([
      'books p#0 at 7: moved by session 1, which session 2 had followed',
    ]);
  });
  test('at a barrier the last to come moves all of them', () => {
    expect(zombieMoves([move(5, 2), move(6, 2, { mover: 1, isAgreed: true })])).toEqual([]);
  });
  test('an offset and an epoch that go back', () => {
    expect(zombieMoves([move(5, 1), move(4, 1)])).toEqual(['books p#0 at 4: owner 1 after owner 1 at 5']);
    expect(zombieMoves([move(5, 2), move(6, 1)])).toEqual(['books p#0 at 6: owner 1 after owner 2 at 5']);
  });
});

describe('the slope of memory', () => {
  const looks = Array.from({ length: 66 }, (_, index) => index * 6);
  /** Of a heap that is collected: a saw tooth of 20 MB, the same every 36 s. */
  const sawTooth = (seconds: number) => 120 + ((seconds / 6) % 6) * 4;
  const slope = (mb: (seconds: number) => number) => slopeOf(looks.map((x) => ({ x, y: mb(x) })));

  test('a leak that would pass for noise between two thirds of ten minutes is told from a heap that comes and goes', () => {
    expect(slope((seconds) => 150 + 0.04 * seconds)).toBeGreaterThan(0.03);
    expect(slope((seconds) => sawTooth(seconds) + 0.1 * seconds)).toBeGreaterThan(0.05);
    expect(slope(sawTooth)).toBeLessThan(0.01);
    expect(slope(() => 150)).toBe(0);
  });
  test('one high look does not turn it, and one look has none', () => {
    expect(slope((seconds) => (seconds === 390 ? 400 : 150))).toBe(0);
    expect(() => slopeOf([{ x: 1, y: 1 }])).toThrow(RangeError);
  });
});

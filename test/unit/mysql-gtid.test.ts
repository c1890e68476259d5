import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseGtidEvent, parsePreviousGtids, parseTaggedGtidEvent } from '../../connectors/mysql/stream/gtid-event.ts';
import { GtidSet } from '../../connectors/mysql/position/gtid.ts';

const a = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const b = '2c256447-3f0d-431b-9a25-bddf1f1f6ef6';

const body = (hex: string) => Buffer.from(hex.replace(/\s/g, ''), 'hex');

describe('GTID sets', () => {
  test.each([
    ['', ''],
    [`${a}:1`, `${a}:1`],
    [`${a}:1-5:6`, `${a}:1-6`],
    [`${a.toUpperCase()}:3:1`, `${a}:1:3`],
    [`${a}:1-5, \n${b}:7-9`, `${b}:7-9,${a}:1-5`],
    [`${a}:1-5:Tag_b:1:tag_a:2-3`, `${a}:1-5:tag_a:2-3:tag_b:1`],
    [`${a}:tag:1`, `${a}:tag:1`],
    [`${a}:1-3,${a}:2-9`, `${a}:1-9`],
  ])('%s is read and written as %s', (text, written) => {
    expect(GtidSet.parse(text).toString()).toBe(written);
  });

  test.each(['x', a, `${a}:0`, `${a}:5-1`, `${a}:1-2-3`, `${a}:99999999999999999999`, `${a}:`, `${a}:1,,`])('%s is refused', (text) => {
    expect(() => GtidSet.parse(text)).toThrow(/not a GTID set/);
  });

  test('add, remove, has, contains and merge agree with a plain set of numbers', () => {
    const step = fc.tuple(
      fc.constantFrom('add' as const, 'remove' as const),
      fc.constantFrom(a, b, `${a}:tag`),
      fc.integer({ min: 1, max: 12 }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.array(step, { maxLength: 20 }), (steps, others) => {
        const build = (all: typeof steps) => {
          const set = new GtidSet();
          const plain = new Set<string>();
          for (const [what, source, number] of all) {
            set[what](`${source}:${number}`);
            if (what === 'add') plain.add(`${source}:${number}`);
            else plain.delete(`${source}:${number}`);
          }
          return { set, plain };
        };
        const one = build(steps);
        const other = build(others);
        for (const source of [a, b, `${a}:tag`]) {
          for (let number = 1; number <= 12; number += 1)
            expect(one.set.has(`${source}:${number}`)).toBe(one.plain.has(`${source}:${number}`));
        }
        expect(one.set.contains(other.set)).toBe([...other.plain].every((gtid) => one.plain.has(gtid)));
        expect(GtidSet.parse(one.set.toString()).toString()).toBe(one.set.toString());
        expect(one.set.empty).toBe(one.plain.size === 0);
        const both = one.set.copy();
        both.merge(other.set);
        expect(both.contains(one.set) && both.contains(other.set)).toBe(true);
        expect([...other.plain, ...one.plain].every((gtid) => both.has(gtid))).toBe(true);
      }),
    );
  });
});

describe('GTID events', () => {
  const uuid = a.replaceAll('-', '');
  const logical = '02 0100000000000000 0200000000000000';

  test('one commit time when the transaction was committed here', () => {
    const event = body(`00 ${uuid} 0700000000000000 ${logical} 40420f00000000`);
    expect(parseGtidEvent(event, 0, event.length, false)).toEqual({ gtid: `${a}:7`, committedAtUs: 1_000_000, originallyAtUs: 1_000_000 });
  });
  test('two when it came from another server', () => {
    const event = body(`00 ${uuid} 0700000000000000 ${logical} 40420f00000080 10270000000000`);
    expect(parseGtidEvent(event, 0, event.length, false)).toEqual({ gtid: `${a}:7`, committedAtUs: 1_000_000, originallyAtUs: 10_000 });
  });
  test('an anonymous transaction has no GTID, an old server no commit time', () => {
    const event = body(`00 ${'00'.repeat(16)} 0000000000000000 ${logical}`);
    expect(parseGtidEvent(event, 0, event.length, true)).toEqual({ gtid: '', committedAtUs: 0, originallyAtUs: 0 });
  });
  test('what is cut is damaged', () => {
    expect(() => parseGtidEvent(Buffer.alloc(24), 0, 24, false)).toThrow(/cut/);
    expect(() => parseTaggedGtidEvent(body('02 20'), 0, 2)).toThrow(/tagged GTID/);
  });
  test('PREVIOUS_GTIDS, plain and tagged', () => {
    const plain = body(`0100000000000000 ${uuid} 0100000000000000 0100000000000000 0600000000000000`);
    expect(parsePreviousGtids(plain, 0, plain.length).toString()).toBe(`${a}:1-5`);
    const tagged = body(
      `0102000000000001 ${uuid} 00 0100000000000000 0100000000000000 0600000000000000 ${uuid} 06 746167 0100000000000000 0200000000000000 0300000000000000`,
    );
    expect(parsePreviousGtids(tagged, 0, tagged.length).toString()).toBe(`${a}:1-5:tag:2`);
  });
});

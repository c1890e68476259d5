/** What was executed, in MariaDB's form: positions by domain, what a server still has behind one, what comes again. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseVersion } from '../../connectors/mysql/server/metadata.ts';
import { parseExecuted } from '../../connectors/mysql/position/executed.ts';
import { MariadbGtids, gtidsInText } from '../../connectors/mysql/position/mariadb-gtid.ts';
import { MariadbHistory } from '../../connectors/mysql/server/mariadb-state.ts';
import { Rewound, type ReadPlan } from '../../connectors/mysql/position/read-plan.ts';

describe('GTID positions of MariaDB', () => {
  test.each([
    ['', ''],
    ['0-1-5', '0-1-5'],
    [' 2-7-9,\n 0-1-5 ', '0-1-5,2-7-9'],
    ['4294967295-4294967295-9007199254740991', '4294967295-4294967295-9007199254740991'],
  ])('%j is read and written as %s', (text, written) => {
    expect(MariadbGtids.parse(text).toString()).toBe(written);
  });

  test.each([
    'x',
    '0-1',
    '0-1-0',
    '0-1-2-3',
    '0-1-5,0-2-6',
    '4294967296-1-1',
    '0-1-99999999999999999',
    '3e11fa47-71ca-11e1-9e33-c80aa9429562:1',
  ])('%s is refused', (text) => {
    expect(() => MariadbGtids.parse(text)).toThrow(expect.objectContaining({ code: 'SOURCE_POSITION_INVALID' }));
  });

  test('a set of MySQL is none of MariaDB, and the other way round', () => {
    expect(() => parseExecuted('0-1-5', 'mysql')).toThrow(/not a GTID set/);
    expect(() => parseExecuted('3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5', 'mariadb')).toThrow(/not a GTID position/);
    expect(parseExecuted('', 'mysql').empty && parseExecuted('', 'mariadb').empty).toBe(true);
  });

  const binlog = fc
    .array(fc.record({ domain: fc.integer({ min: 0, max: 2 }), server: fc.integer({ min: 1, max: 2 }) }), { maxLength: 30 })
    .map((steps) => {
      const next = new Map<number, number>();
      return steps.map(({ domain, server }) => {
        const sequence = (next.get(domain) ?? 0) + 1;
        next.set(domain, sequence);
        return `${domain}-${server}-${sequence}`;
      });
    });

  test('having read a binlog up to a place is having read exactly what lies before it', () => {
    fc.assert(
      fc.property(binlog, fc.nat(), fc.nat(), (gtids, one, other) => {
        const at = (place: number) => {
          const set = new MariadbGtids();
          for (const gtid of gtids.slice(0, place)) set.add(gtid);
          return set;
        };
        const [a, b] = [one, other].map((place) => place % (gtids.length + 1)).sort((x, y) => x - y) as [number, number];
        expect(gtids.every((gtid, index) => at(b).has(gtid) === index < b)).toBe(true);
        expect(at(b).contains(at(a))).toBe(true);
        expect(at(a).contains(at(b))).toBe(at(a).toString() === at(b).toString());
        const merged = at(a);
        merged.merge(at(b));
        expect(merged.toString()).toBe(at(b).toString());
        expect(MariadbGtids.parse(at(b).toString()).toString()).toBe(at(b).toString());
      }),
    );
  });

  test('taking one out goes back to the one before it; all that comes again is known as such, and nothing else', () => {
    fc.assert(
      fc.property(binlog, fc.nat(), fc.nat(), (gtids, placeSeed, againSeed) => {
        fc.pre(gtids.length > 0);
        const place = (placeSeed % gtids.length) + 1;
        const again = againSeed % place;
        const ours = new MariadbGtids();
        const before = new Map<string, string | null>();
        for (const gtid of gtids.slice(0, place)) {
          before.set(gtid, ours.predecessor(gtid));
          ours.add(gtid);
        }
        const out = gtids[again] ?? '';
        const dump = ours.copy();
        dump.remove(out, before.get(out) ?? null);
        const sent = gtids.filter((gtid) => !dump.has(gtid));
        expect(sent).toContain(out);
        const skipUntil = ours
          .toString()
          .split(',')
          .filter((gtid) => !dump.has(gtid));
        const rewound = new Rewound({ skipUntil } as unknown as ReadPlan);
        expect(sent.filter((gtid) => !rewound.passes(gtid))).toEqual(gtids.slice(place));
        // It is over: nothing that comes now is taken for one of them.
        expect(skipUntil.filter((gtid) => rewound.passes(gtid))).toEqual([]);
      }),
    );
  });
});

describe('what a MariaDB server still has', () => {
  const history = (state: string, replicated: string, before: string) =>
    new MariadbHistory(gtidsInText(state), gtidsInText(replicated), gtidsInText(before));
  const set = (text: string) => MariadbGtids.parse(text);

  test('all of a position: each domain by the server that wrote it', () => {
    const server = history('0-1-100,0-2-120,1-1-5', '', '');
    expect(['', '0-1-100', '0-1-99,1-1-5', '0-2-120'].map((text) => server.has(set(text)))).toEqual([true, true, true, true]);
    // Written by a server that was lost: its number is below the domain's newest, and yet nobody here has it.
    expect(['0-1-101', '0-2-121', '0-3-50', '2-1-1'].map((text) => server.has(set(text)))).toEqual([false, false, false, false]);
  });

  test('everything behind a position, as long as its oldest file begins before', () => {
    const server = history('0-1-100,1-1-5', '', '[0-1-50,1-1-5]');
    expect(server.reaches(set('0-1-50,1-1-5'))).toBe(true);
    expect(server.reaches(set('0-1-70,1-1-5'))).toBe(true);
    expect(server.reaches(set('0-1-49,1-1-5'))).toBe(false);
    // A domain that the position does not name begins at its first.
    expect(server.reaches(set('0-1-70'))).toBe(false);
    expect(server.reaches(set(''))).toBe(false);
    // Of two servers in a domain the last entry is where the file begins.
    const two = history('0-1-50,0-2-60', '', '[0-1-50,0-2-55]');
    expect([two.reaches(set('0-1-50')), two.reaches(set('0-2-55')), two.reaches(set('0-2-54'))]).toEqual([false, true, false]);
  });

  test('a server made from a backup has what its origin wrote, but sends only what came since', () => {
    const server = history('0-1-120', '0-1-110', '');
    expect([server.has(set('0-1-110')), server.reaches(set('0-1-110'))]).toEqual([true, true]);
    const promoted = history('0-2-111', '0-1-110', '');
    expect([promoted.has(set('0-1-110')), promoted.reaches(set('0-1-110'))]).toEqual([true, true]);
    expect([promoted.has(set('0-1-90')), promoted.reaches(set('0-1-90'))]).toEqual([true, false]);
    expect(promoted.has(set('0-1-112'))).toBe(false);
  });

  test('where it came in counts only for servers that its binlog does not know: a known one that is behind lacks the rest', () => {
    const server = history('0-1-5', '0-2-9', '');
    expect(server.has(set('0-1-7'))).toBe(false);
    expect(server.has(set('0-1-5'))).toBe(true);
    expect(server.has(set('0-2-9'))).toBe(true);
    expect(history('0-1-5', '0-2-9', '').has(set('0-3-8'))).toBe(true);
  });

  test('what another server wrote before its oldest file says nothing of where this position stands in it', () => {
    const server = history('0-1-50,0-2-60', '', '[0-2-40,0-1-45]');
    expect(server.reaches(set('0-1-45'))).toBe(true);
    expect(server.reaches(set('0-2-50'))).toBe(true);
    // The same sequence by another server is another place.
    expect(history('0-1-50,0-2-60', '', '[0-2-40]').reaches(set('0-1-30'))).toBe(true);
    expect(history('0-2-60', '0-2-40', '').reaches(set('0-1-40'))).toBe(false);
  });

  test('a sequence that went back is told from history that another server wrote', () => {
    const server = history('0-1-5,1-1-9', '', '');
    expect(['0-1-7', '0-1-5', '0-2-7', '0-1-4,1-1-10'].map((text) => server.wentBack(set(text)))).toEqual([
      '0-1-7',
      undefined,
      undefined,
      '1-1-10',
    ]);
  });
});

test('versions', () => {
  expect(parseVersion('9.7.4-2')).toEqual({ flavor: 'mysql', major: 9, minor: 7 });
  expect(parseVersion('8.0.36')).toEqual({ flavor: 'mysql', major: 8, minor: 0 });
  expect(parseVersion('10.11.18-MariaDB-0+deb12u1-log')).toEqual({ flavor: 'mariadb', major: 10, minor: 11 });
  expect(parseVersion('11.8.2-mariadb')).toEqual({ flavor: 'mariadb', major: 11, minor: 8 });
});

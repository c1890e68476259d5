/** Events as bytes: the closed table, checksums, offsets beyond 4 GiB, and what a damaged stream does. */
import { describe, expect, test } from 'vitest';
import { refusedEvent, treatmentOf } from '../../connectors/mysql/stream/events.ts';
import type { MysqlPosition } from '../../connectors/mysql/position/position.ts';
import type { ReadPlan } from '../../connectors/mysql/position/read-plan.ts';
import type { CrossfadeError } from '../../src/core/errors.ts';
import { code, event, FakeStream, from, uuid } from '../support/binlog-bytes.ts';

test('G1: every type byte is handled, ignored or stops; an unknown one stops', () => {
  const outcomes = Array.from({ length: 256 }, (_, type) => {
    const treatment = treatmentOf(type);
    const isPassed = treatment === 'ignore' || (treatment !== undefined && 'handle' in treatment);
    return isPassed ? 'passed' : refusedEvent(type, 'binlog.000001:4').code;
  });
  const typesOf = (code: string) => outcomes.flatMap((outcome, type) => (outcome === code ? [type] : []));
  const from = (first: number, behind: number) => Array.from({ length: behind - first }, (_, index) => first + index);
  expect(typesOf('SOURCE_EVENT_UNKNOWN')).toEqual([0, ...from(43, 160), ...from(173, 256)]);
  expect(typesOf('SOURCE_EVENT_UNSUPPORTED')).toEqual([1, 6, 7, 8, 10, 12, 20, 21, 22, 26, 172]);
});

describe('a stream of bytes', () => {
  test('a transaction comes out with its place and images', async () => {
    const stream = new FakeStream(4);
    stream.begin();
    stream.tableMap();
    stream.insert(5);
    stream.xid();
    const { changes, position } = await stream.outbox.next();
    expect(changes).toHaveLength(1);
    expect(Buffer.from(changes[0]?.after ?? []).toString()).toBe('{"id":5}');
    expect(Buffer.from(changes[0]?.key ?? []).toString()).toBe('{"id":5}');
    expect(changes[0]?.transaction).toMatchObject({
      id: `${uuid}:7`,
      committedAtUs: 1_000_000,
      versionPrefix: '00000000-00000007-0000000000000004-',
    });
    expect(JSON.parse(position)).toMatchObject({ file: 'binlog.000007', pos: stream.at, last: { pos: 4 } });
  });

  test('G1: a refused statement and a row that lacks columns name the start right behind their transaction', () => {
    const remedyOf = (send: (stream: FakeStream) => void, plan: Partial<ReadPlan> = {}) => {
      const stream = new FakeStream(4, plan);
      try {
        send(stream);
      } catch (error) {
        return (error as CrossfadeError).remedy;
      }
      return 'nothing thrown';
    };
    const byGtid = { byGtid: true, from: { ...from, gtid: `${uuid}:1-6` } };
    const truncate = (stream: FakeStream) => {
      stream.gtid(7);
      stream.query('DROP TABLE t');
    };
    expect(remedyOf(truncate, byGtid)).toContain(`start: { gtid: '${uuid}:1-7' }`);
    const incomplete = (stream: FakeStream) => {
      stream.begin();
      stream.tableMap();
      stream.send(30, '640000000000 0100 0200 01 00 00 ');
    };
    expect(remedyOf(incomplete, byGtid)).toContain(`start: { gtid: '${uuid}:1-7' }`);
    // Without GTIDs: a statement is a transaction of its own, rows are not.
    const end = 4 + 23 + 50 + 23 + 8 + 5 + 3 - 1 + 'DROP TABLE t'.length;
    expect(remedyOf(truncate)).toMatch(new RegExp(`start: \\{ file: binlog\\.000007, offset: ${end} \\}`));
    expect(remedyOf(incomplete)).toContain("SHOW BINLOG EVENTS IN 'binlog.000007' FROM 4");
  });

  test('offsets go on beyond 4 GiB', async () => {
    const begin = 2 ** 32 - 30;
    const stream = new FakeStream(begin);
    for (const id of [1, 2]) {
      stream.begin(id);
      stream.tableMap();
      stream.insert(id);
      stream.xid();
    }
    const { changes, position } = await stream.outbox.next();
    const offsets = changes.map(({ transaction }) => Number.parseInt(transaction.versionPrefix.slice(18, 34), 16));
    expect(offsets[0]).toBe(begin);
    expect(offsets[1]).toBeGreaterThan(2 ** 32);
    expect(changes.every(({ pos }, index) => pos > (offsets[index] ?? 0))).toBe(true);
    expect(JSON.parse(position)).toMatchObject({ pos: stream.at });
  });

  test('a flipped bit is seen', () => {
    const stream = new FakeStream(4);
    stream.begin();
    const bytes = event(16, Buffer.alloc(8), 500);
    bytes[20] = 1;
    expect(code(() => stream.raw(bytes))).toBe('SOURCE_EVENT_CORRUPT');
  });

  test.each([
    ['rows without a transaction', (stream: FakeStream) => stream.insert(1)],
    ['rows of a table that was not described', (stream: FakeStream) => (stream.begin(), stream.insert(1))],
    ['a transaction inside another', (stream: FakeStream) => (stream.begin(), stream.begin())],
    ['an event that is shorter than its header says', (stream: FakeStream) => stream.raw(event(16, Buffer.alloc(8), 500).subarray(0, 25))],
    [
      'a row that is cut',
      (stream: FakeStream) => (stream.begin(), stream.tableMap(), stream.send(30, '640000000000 0100 0200 01 ff 00 0100')),
    ],
  ])('%s is damage', (_, send) => {
    expect(code(() => send(new FakeStream(4)))).toBe('SOURCE_EVENT_CORRUPT');
  });

  test('a column type that nobody knows stops, captured or not', () => {
    const stream = new FakeStream(4);
    stream.begin();
    stream.send(19, '640000000000 0100 026462 00 0175 00 01 c8 00 00');
    expect(code(() => stream.insert(1))).toBe('SOURCE_TYPE_UNSUPPORTED');
  });

  test('G9: a row over the limit stops capture in front of it, before or after an update, and names table and bytes', async () => {
    const stream = new FakeStream(4);
    stream.begin();
    stream.tableMap();
    stream.insert(255);
    stream.send(30, '640000000000 0100 0200 01 ff 00 e7030000');
    const row = (id: number) =>
      `00 ${id
        .toString(16)
        .padStart(4, '0')
        .replace(/(..)(..)/, '$2$1')}0000`;
    const sendings: [number, string][] = [
      [30, `640000000000 0100 0200 01 ff ${row(1000)}`],
      [31, `640000000000 0100 0200 01 ff ff ${row(1)} ${row(1000)}`],
      [31, `640000000000 0100 0200 01 ff ff ${row(1000)} ${row(1)}`],
      [32, `640000000000 0100 0200 01 ff ${row(1000)}`],
    ];
    for (const [type, body] of sendings) expect(code(() => stream.send(type, body))).toBe('SOURCE_ROW_TOO_LARGE');
    expect(() => stream.send(30, `640000000000 0100 0200 01 ff ${row(1000)}`)).toThrow(
      /a row of db\.t at .* has 11 bytes, more than the 10/,
    );
  });

  test('the last transaction is met again, proven by its content and not handed on; another content stops', async () => {
    const first = new FakeStream(4);
    const send = (stream: FakeStream, id: number) => {
      stream.begin();
      stream.tableMap();
      stream.insert(id);
      stream.xid();
    };
    send(first, 5);
    const position = JSON.parse((await first.outbox.next()).position) as MysqlPosition;
    const again = new FakeStream(4, { from: position, prove: position.last });
    send(again, 5);
    again.begin(8);
    again.tableMap();
    again.insert(6);
    again.xid();
    const batch = await again.outbox.next();
    expect(batch.changes.map(({ transaction }) => transaction.id)).toEqual([`${uuid}:8`]);
    const other = new FakeStream(4, { from: position, prove: position.last });
    expect(code(() => send(other, 6))).toBe('SOURCE_HISTORY_DIVERGED');
  });
});

/** A MariaDB server that died while it wrote: the file ends inside a transaction that was never committed. */
import { expect, test } from 'vitest';
import type { MysqlPosition } from '../../connectors/mysql/position/position.ts';
import { code, FakeStream, from } from '../support/binlog-bytes.ts';

const file = 'binlog.000007';
const mariadb: MysqlPosition = { ...from, flavor: 'mariadb', uuid: 'mariadb:1@host:3306', gtid: '0-1-6' };
const plan = (newest: string) => ({ from: mariadb, uuid: mariadb.uuid, byGtid: true, end: { file: newest, offset: 4 } });
const begin = (stream: FakeStream, sequence: number, ...ids: number[]) => {
  stream.mariadbGtid(sequence);
  stream.tableMap();
  for (const id of ids) stream.insert(id);
};
const many = Array.from({ length: 50 }, (_, index) => index);

test('G1: what was begun is discarded, and its GTID belongs to the next', async () => {
  const stream = new FakeStream(4, plan('binlog.000008'));
  begin(stream, 7, 1);
  stream.xid();
  begin(stream, 8, 2, 3);
  stream.nextFile('binlog.000008');
  begin(stream, 8, 4);
  stream.xid();
  const { changes, position } = await stream.outbox.next();
  expect(changes.map(({ after, transaction }) => [Buffer.from(after ?? []).toString(), transaction.gtid])).toEqual([
    ['{"id":1}', '0-1-7'],
    ['{"id":4}', '0-1-8'],
  ]);
  expect(JSON.parse(position)).toMatchObject({ file: 'binlog.000008', gtid: '0-1-8' });
});

test('G1: of a file that the server no longer writes no part goes ahead of its commit', async () => {
  const stream = new FakeStream(4, plan('binlog.000008'), { partBytes: 20 });
  begin(stream, 7, ...many);
  stream.nextFile('binlog.000008');
  expect(stream.outbox.bytes).toBe(0);
  begin(stream, 7, 4);
  stream.xid();
  await stream.slow;
  const { changes, open } = await stream.outbox.next();
  expect([changes.map(({ transaction }) => transaction.versionPrefix.slice(9, 17)), open]).toEqual([['00000008'], false]);
});

test('a whole one of such a file comes in parts, once it was read', async () => {
  const stream = new FakeStream(4, plan('binlog.000008'), { partBytes: 20 });
  begin(stream, 7, ...many);
  expect(stream.outbox.bytes).toBe(0);
  stream.xid();
  await stream.slow;
  const changes = [];
  for (let goesOn = true; goesOn;) {
    const batch = await stream.outbox.next();
    changes.push(...batch.changes);
    goesOn = batch.open || batch.changes.length === 0;
  }
  expect(changes.map(({ ordinal }) => ordinal)).toEqual(many);
});

test('where a part went ahead, because the server still wrote the file, reading begins again', () => {
  const stream = new FakeStream(4, plan(file), { partBytes: 20 });
  begin(stream, 7, ...many);
  expect(stream.outbox.bytes).toBeGreaterThan(0);
  expect(() => stream.nextFile('binlog.000008')).toThrow(expect.objectContaining({ code: 'SOURCE_UNREACHABLE', fault: 'retry' }));
});

test('G1: MySQL ends each file whole, so there it is damage', () => {
  const stream = new FakeStream(4);
  stream.begin();
  stream.tableMap();
  stream.insert(1);
  expect(code(() => stream.nextFile('binlog.000008'))).toBe('SOURCE_EVENT_CORRUPT');
});

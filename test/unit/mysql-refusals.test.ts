/** What stops the stream and what passes: other content, rollbacks, what lies before the start, statements. */
import { describe, expect, test } from 'vitest';
import type { MysqlPosition } from '../../connectors/mysql/position/position.ts';
import { bareEvent, bodies, code, FakeStream, from, payloadBody, uuid } from '../support/binlog-bytes.ts';

test.each([
  ['another table', (stream: FakeStream) => (stream.tableMapOf('u'), stream.insert(5))],
  ['another kind', (stream: FakeStream) => (stream.tableMapOf('t'), stream.delete(5))],
])('G1: the same bytes as rows of %s are another content', async (_, rows) => {
  const send = (stream: FakeStream, rows: (stream: FakeStream) => unknown) => (stream.begin(), rows(stream), stream.xid());
  const right = (stream: FakeStream) => (stream.tableMapOf('t'), stream.insert(5));
  const first = new FakeStream(4);
  send(first, right);
  const position = JSON.parse((await first.outbox.next()).position) as MysqlPosition;
  send(new FakeStream(4, { from: position, prove: position.last }), right);
  expect(code(() => send(new FakeStream(4, { from: position, prove: position.last }), rows))).toBe('SOURCE_HISTORY_DIVERGED');
});

test('G1: a rollback of rows that were passed on in a part stops', () => {
  const stream = new FakeStream(4, {}, { partBytes: 1 });
  stream.begin();
  stream.tableMap();
  stream.insert(1);
  stream.insert(2);
  expect(code(() => stream.query('ROLLBACK'))).toBe('SOURCE_EVENT_UNSUPPORTED');
});

test('a rollback to a savepoint behind the part that was passed on takes only what came since', async () => {
  const stream = new FakeStream(4, {}, { partBytes: 1 });
  stream.begin();
  stream.tableMap();
  stream.insert(1);
  stream.insert(2);
  stream.query('SAVEPOINT a');
  stream.query('ROLLBACK TO a');
  stream.xid();
  const changes = [];
  for (let batch = await stream.outbox.next(); ; batch = await stream.outbox.next()) {
    changes.push(...batch.changes);
    if (!batch.open) break;
  }
  expect(changes.map(({ after }) => Buffer.from(after ?? []).toString())).toEqual(['{"id":1}', '{"id":2}']);
});

describe('a start in the middle of a file', () => {
  const before: [string, (stream: FakeStream) => void][] = [
    ['rows by statement in a compressed transaction', (stream) => (stream.gtid(1), stream.send(40, payloadBody(compressedInsert)))],
    ['an event that nobody knows in one', (stream) => (stream.gtid(1), stream.send(40, payloadBody(strange)))],
    ['an incident', (stream) => (stream.gtid(1), stream.send(26, '0100'))],
    ['an event that nobody knows', (stream) => (stream.begin(1), stream.send(99, 'ff'), stream.xid())],
    [
      'LOAD DATA by statement',
      (stream) => (stream.begin(1), stream.send(17, 'ff'), stream.send(18, loadQuery("LOAD DATA INFILE 'x' INTO TABLE `t`")), stream.xid()),
    ],
    ['rows by statement', (stream) => (stream.begin(1), stream.query('INSERT INTO t VALUES (1)'), stream.xid())],
    ['a table of ours dropped', (stream) => (stream.gtid(1), stream.query('DROP TABLE t'))],
    // Its columns are told by nothing here: no rows came, and nobody described it.
    ['TRUNCATE', (stream) => (stream.gtid(1), stream.query('TRUNCATE t'))],
    ['the end of an XA transaction', (stream) => (stream.gtid(1), stream.query("XA COMMIT X'31',X'',1"))],
  ];
  const compressedInsert = [
    bareEvent(2, bodies.query('BEGIN')),
    bareEvent(2, bodies.query('INSERT INTO t VALUES (1)')),
    bareEvent(16, bodies.xid()),
  ];
  const strange = [bareEvent(2, bodies.query('BEGIN')), bareEvent(99, 'ff'), bareEvent(16, bodies.xid())];
  const loadQuery = (sql: string) => {
    const query = bodies.query(sql);
    return Buffer.concat([query.subarray(0, 13), Buffer.alloc(13), query.subarray(13)]);
  };
  const prepare = (stream: FakeStream, number: number) => {
    stream.gtid(number);
    stream.query("XA START X'32',X'',1");
    stream.tableMap();
    stream.insert(1);
    stream.query("XA END X'32',X'',1");
    stream.send(38, '00 01000000 01000000 00000000 32');
  };
  const seek = (pos: number) => new FakeStream(4, { from: { ...from, pos }, byGtid: true, seedGtids: true });
  const length = (send: (stream: FakeStream) => void) => {
    const stream = seek(2 ** 31);
    send(stream);
    return stream.at;
  };

  test.each(before)('G1: a refused event before the start is passed over: %s', async (_, send) => {
    const stream = seek(length(send));
    send(stream);
    stream.begin(2);
    stream.tableMap();
    stream.insert(7);
    stream.xid();
    const { changes, position } = await stream.outbox.next();
    expect(changes.map(({ key }) => Buffer.from(key).toString())).toEqual(['{"id":7}']);
    expect(JSON.parse(position)).toMatchObject({ gtid: `${uuid}:1-2`, xa: [] });
  });

  test.each(before)('G1: behind the start it stops: %s', (_, send) => {
    expect(code(() => send(seek(4)))).toMatch(/^SOURCE_(EVENT|STATEMENT)_UN/);
  });

  test('G1: our rows prepared before the start and committed behind it come with the commit', async () => {
    const stream = seek(length((stream) => prepare(stream, 1)));
    prepare(stream, 1);
    stream.gtid(2);
    stream.query("XA COMMIT X'32',X'',1");
    const { changes, position } = await stream.outbox.next();
    expect(changes.map(({ key, transaction }) => [Buffer.from(key).toString(), transaction.id])).toEqual([['{"id":1}', `${uuid}:2`]]);
    expect(JSON.parse(position)).toMatchObject({ gtid: `${uuid}:1-2`, xa: [] });
  });

  test('G1: our rows that were prepared before the start and cannot be read stop at their commit, and not before', async () => {
    const send = (stream: FakeStream) => {
      stream.gtid(1);
      stream.query("XA START X'32',X'',1");
      stream.tableMap();
      stream.send(30, '640000000000 0100 0200 01 00 00');
      stream.query("XA END X'32',X'',1");
      stream.send(38, bodies.xaPrepare('2'));
    };
    const start = length(send);
    const stream = seek(start);
    send(stream);
    stream.gtid(2);
    expect(code(() => stream.query("XA COMMIT X'32',X'',1"))).toBe('SOURCE_ROW_INCOMPLETE');
    const rolledBack = seek(start);
    send(rolledBack);
    rolledBack.gtid(2);
    rolledBack.query("XA ROLLBACK X'32',X'',1");
    expect(JSON.parse((await rolledBack.outbox.next()).position)).toMatchObject({ xa: [] });
  });
});

test('G1: one invalid value among good rows that were prepared before the start stops their commit, and not their rollback', async () => {
  // t (id INT PRIMARY KEY, v VARCHAR(40) of utf8mb4)
  const map = '640000000000 0100 026462 00 0174 00 02 030f 02 a000 02 010100 0203fcff00 0405026964 0176 080100';
  const row = (id: string, letter: string) => `640000000000 0100 0200 02 ff 00 ${id}000000 01${letter}`;
  const seen = (pos: number) => new FakeStream(4, { from: { ...from, pos }, byGtid: true, seedGtids: true }, { rowBytes: 100 });
  const send = (stream: FakeStream, letter: string) => {
    stream.gtid(1);
    stream.query("XA START X'32',X'',1");
    stream.send(19, map);
    stream.send(30, row('01', '61'));
    stream.send(30, row('02', letter));
    stream.send(30, row('03', '63'));
    stream.query("XA END X'32',X'',1");
    stream.send(38, bodies.xaPrepare('2'));
  };
  const measure = seen(2 ** 31);
  send(measure, 'ff');
  const after = (letter: string) => {
    const stream = seen(measure.at);
    send(stream, letter);
    stream.gtid(2);
    return stream;
  };
  expect(code(() => after('ff').query("XA COMMIT X'32',X'',1"))).toBe('SOURCE_VALUE_INVALID');
  const rolledBack = after('ff');
  rolledBack.query("XA ROLLBACK X'32',X'',1");
  expect(JSON.parse((await rolledBack.outbox.next()).position)).toMatchObject({ gtid: `${uuid}:1-2`, xa: [] });
  const sound = after('62');
  sound.query("XA COMMIT X'32',X'',1");
  expect((await sound.outbox.next()).changes.map(({ key }) => Buffer.from(key).toString())).toEqual(['{"id":1}', '{"id":2}', '{"id":3}']);
});

describe('names of tables that differ only in case', () => {
  const judged = (sql: string, foldsNames: boolean) => {
    const stream = new FakeStream(4, {}, { foldsNames });
    stream.begin();
    stream.tableMap();
    stream.insert(1);
    stream.xid();
    stream.gtid(8);
    return { stream, outcome: code(() => stream.query(sql)) };
  };
  test.each([
    'TRUNCATE T',
    'DROP TABLE T',
    'ALTER TABLE DB.t DROP COLUMN a',
    'DROP DATABASE DB',
    'INSERT INTO DB.t VALUES (1)',
    'RENAME TABLE T TO U',
  ])('%s is of no concern where they are others', async (sql) => {
    const { stream, outcome } = judged(sql, false);
    expect(outcome).toBe('nothing thrown');
    expect((await stream.outbox.next()).changes.map(({ op }) => op)).toEqual(['c']);
  });
  test.each(['DROP TABLE T', 'ALTER TABLE DB.t DROP COLUMN a', 'DROP DATABASE DB', 'INSERT INTO DB.t VALUES (1)'])(
    'G1: %s stops where they are the same',
    (sql) => expect(judged(sql, true).outcome).toBe('SOURCE_STATEMENT_UNSUPPORTED'),
  );
  test('G1: TRUNCATE T is carried where that is t', async () => {
    const { stream, outcome } = judged('TRUNCATE T', true);
    expect(outcome).toBe('nothing thrown');
    expect((await stream.outbox.next()).changes.map(({ op, schema }) => [op, schema.table.table])).toEqual([
      ['c', 't'],
      ['t', 't'],
    ]);
  });
});

test('REPAIR TABLE is a matter for tables of engines without transactions', () => {
  const repair = (untransactional: string[]) => {
    const stream = new FakeStream(4, {}, { untransactional });
    stream.gtid(1);
    return code(() => stream.query('REPAIR TABLE u, t'));
  };
  expect([repair([]), repair(['db.t'])]).toEqual(['nothing thrown', 'SOURCE_STATEMENT_UNSUPPORTED']);
});

test('G1: a statement that MariaDB analyses by running it stops', () => {
  const stream = new FakeStream(4);
  stream.begin();
  expect(code(() => stream.query('ANALYZE FORMAT=JSON DELETE FROM t'))).toBe('SOURCE_STATEMENT_UNSUPPORTED');
  expect(code(() => stream.query('ANALYZE TABLE t'))).toBe('nothing thrown');
});

test.each([
  ['INSERT INTO m.log VALUES (1)', 'nothing thrown'],
  ['CREATE TABLE m.c SELECT 1', 'nothing thrown'],
  // Beside captured tables it may be a view of one, or have a trigger that writes to one.
  ['INSERT INTO u VALUES (1)', 'SOURCE_STATEMENT_UNSUPPORTED'],
  ['INSERT INTO DB.u VALUES (1)', 'SOURCE_STATEMENT_UNSUPPORTED'],
  ['UPDATE m.log, t SET t.id = 1', 'SOURCE_STATEMENT_UNSUPPORTED'],
  ['INSERT INTO m.log SELECT pay(1)', 'SOURCE_STATEMENT_UNSUPPORTED'],
  ['ALTER TABLE u DROP COLUMN a', 'nothing thrown'],
  ['ALTER TABLE T DROP COLUMN a', 'SOURCE_STATEMENT_UNSUPPORTED'],
  ['ALTER TABLE t DROP INDEX i', 'nothing thrown'],
])('G1: %s: %s', (sql, outcome) => {
  const stream = new FakeStream(4);
  stream.gtid(1);
  expect(code(() => stream.query(sql))).toBe(outcome);
});

test('G1: index work on a table without a primary key stops', () => {
  const stream = new FakeStream(4, {}, { unkeyed: ['db.t'] });
  stream.gtid(1);
  expect(code(() => stream.query('DROP INDEX i ON t'))).toBe('SOURCE_STATEMENT_UNSUPPORTED');
});

test('rows by statement on tables of no concern count for nothing, and a stop names table, database and place', async () => {
  const stream = new FakeStream(4);
  stream.begin();
  stream.query('INSERT INTO m.log VALUES (1), (2)');
  stream.tableMap();
  stream.insert(1);
  expect(() => stream.query('DELETE FROM u')).toThrow(
    /DELETE on db\.u, written as a statement \(default database db\), at binlog\.000007:\d+/,
  );
  stream.xid();
  expect((await stream.outbox.next()).changes.map(({ ordinal }) => ordinal)).toEqual([0]);
});

test.each([
  ['ALTER TABLE t ADD COLUMN w INT NOT NULL DEFAULT 7 FIRST', /Add the column in the targets with the same NOT NULL and DEFAULT/],
  ['ALTER TABLE t ADD w INT AUTO_INCREMENT UNIQUE', /Add the column in the targets/],
  ['ALTER TABLE t DROP COLUMN a', /Drop the column in the targets too/],
  ['ALTER TABLE t MODIFY a VARCHAR(9)', /the type that `crossfade check` prints.* UPDATE them there/],
  ['ALTER TABLE t RENAME COLUMN a TO b', /Rename the column in the targets too/],
  ['ALTER TABLE t CHANGE a b BIGINT', /Rename the column in the targets too.* as for MODIFY/],
  ['ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (b)', /Make the same key in the targets/],
  ['ALTER TABLE t DROP PARTITION p', /load it again/],
  ['ALTER TABLE t RENAME TO v', /Name the table as it is called now/],
  ['RENAME TABLE t TO v', /Name the table as it is called now/],
  ['DROP TABLE t', /Take the table out of the configuration/],
  ['TRUNCATE T', /Empty the table in the targets/],
])('what is to be done in the targets: %s', (sql, told) => {
  const stream = new FakeStream(4);
  stream.gtid(1);
  try {
    stream.query(sql);
    expect.fail('it did not stop');
  } catch (error) {
    expect(error).toMatchObject({ code: 'SOURCE_STATEMENT_UNSUPPORTED', remedy: expect.stringMatching(told) as unknown });
  }
});

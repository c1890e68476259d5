/** A binlog is read long after its tables have changed: every row with the names, types, charsets and keys of its time. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { plainImage, readOldLog, tell, type Chapter } from '../support/old-log.ts';
import { TypedValues, type Flavor } from '../support/typed-values.ts';

const create = `CREATE TABLE t (at INT NOT NULL, name VARCHAR(20) CHARACTER SET latin1, mood ENUM('a','b','c'), flags SET('x','y'), n INT,
  gone DECIMAL(6,2), moment DATETIME, PRIMARY KEY (at)) CHARACTER SET utf8mb4`;
const row = (at: number, name = 'é') => `INSERT INTO t (at, name, mood, n) VALUES (${at}, '${name}', 'b', ${at})`;

/** One table's life; `at` is there in all of it, so that each row says when it was written. */
const life: readonly Chapter[] = [
  { title: 'created', ddl: [create], rows: [row(1), "INSERT INTO t VALUES (2, 'ÿ', 'c', 'x,y', -5, 12.34, '2026-01-02 03:04:05')"] },
  {
    title: 'a column renamed',
    ddl: ['ALTER TABLE t CHANGE name title VARCHAR(20) CHARACTER SET latin1'],
    rows: ["INSERT INTO t (at, title) VALUES (3, 'é')"],
  },
  {
    title: 'two columns change names',
    ddl: ['ALTER TABLE t CHANGE n m INT, CHANGE gone n DECIMAL(6,2)'],
    rows: ['INSERT INTO t (at, m, n) VALUES (4, 7, 8.5)'],
  },
  { title: 'a column dropped', ddl: ['ALTER TABLE t DROP COLUMN n'], rows: ["INSERT INTO t (at, title, m) VALUES (5, 'ü', 1)"] },
  {
    title: 'a column added first',
    ddl: ['ALTER TABLE t ADD COLUMN ahead VARCHAR(9) FIRST'],
    rows: ["INSERT INTO t (at, ahead, m) VALUES (6, 'first', 2)"],
  },
  {
    title: 'a column added last, with a default',
    ddl: ["ALTER TABLE t ADD COLUMN behind VARCHAR(9) NOT NULL DEFAULT 'd'"],
    rows: ['INSERT INTO t (at) VALUES (7)'],
  },
  {
    title: 'reordered',
    ddl: ["ALTER TABLE t MODIFY ahead VARCHAR(9) AFTER m, MODIFY mood ENUM('a','b','c') FIRST"],
    rows: ["INSERT INTO t (at, mood, ahead) VALUES (8, 'c', 'behind')"],
  },
  {
    title: 'an ENUM redefined',
    ddl: ["ALTER TABLE t MODIFY mood ENUM('c','new','a','b')"],
    rows: ["INSERT INTO t (at, mood) VALUES (9, 'c')", "INSERT INTO t (at, mood) VALUES (10, 'new')"],
  },
  {
    title: 'a SET redefined',
    ddl: ["ALTER TABLE t MODIFY flags SET('y','z','x')"],
    rows: ["INSERT INTO t (at, flags) VALUES (11, 'x,y')"],
  },
  {
    title: 'another charset',
    ddl: ['ALTER TABLE t MODIFY title VARCHAR(20) CHARACTER SET koi8r'],
    rows: ["INSERT INTO t (at, title) VALUES (12, 'Привет')"],
  },
  {
    title: 'all of it in another charset',
    ddl: ['ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4'],
    rows: ["INSERT INTO t (at, title) VALUES (13, 'é😀')"],
  },
  {
    title: 'wider and without a sign',
    ddl: ['ALTER TABLE t MODIFY m BIGINT UNSIGNED'],
    rows: ['INSERT INTO t (at, m) VALUES (14, 18446744073709551615)'],
  },
  {
    title: 'a text becomes a number',
    ddl: ["UPDATE t SET behind = '5'", 'ALTER TABLE t MODIFY behind INT'],
    rows: ['INSERT INTO t (at, behind) VALUES (15, -1)'],
  },
  {
    title: 'more digits',
    ddl: ['ALTER TABLE t MODIFY moment DATETIME(6)'],
    rows: ["INSERT INTO t (at, moment) VALUES (16, '2026-01-02 03:04:05.000006')"],
  },
  {
    title: 'another key',
    ddl: ['ALTER TABLE t DROP PRIMARY KEY, MODIFY m BIGINT NOT NULL DEFAULT 0, ADD PRIMARY KEY (m, at)'],
    rows: ['INSERT INTO t (m, at) VALUES (9, 17)'],
  },
  {
    title: 'renamed away and back',
    ddl: ['RENAME TABLE t TO other', 'RENAME TABLE other TO t'],
    rows: ['INSERT INTO t (m, at) VALUES (10, 18)'],
  },
  {
    title: 'an index, which is of no concern',
    ddl: ['CREATE INDEX i ON t (moment)', 'ALTER TABLE t ADD COLUMN extra TEXT NULL'],
    rows: ["INSERT INTO t (m, at, extra) VALUES (11, 19, 'x')"],
  },
  {
    title: 'dropped and made anew as another table',
    ddl: ['DROP TABLE t', "CREATE TABLE t (mood VARCHAR(5), at BIGINT, n ENUM('b','a') CHARACTER SET latin1, PRIMARY KEY (at))"],
    rows: ["INSERT INTO t VALUES ('free', 20, 'a')"],
  },
  {
    title: 'its place taken by another',
    ddl: ['CREATE TABLE fresh (at INT PRIMARY KEY, title CHAR(3) CHARACTER SET cp1251)', 'RENAME TABLE t TO gone, fresh TO t'],
    rows: ["INSERT INTO t VALUES (21, 'яма')"],
  },
];

describe.each(['mysql', 'mariadb'] as const)('on %s', (flavor: Flavor) => {
  let values: TypedValues;
  beforeAll(async () => {
    values = await TypedValues.open(flavor);
  });
  afterAll(() => values[Symbol.asyncDispose]());

  test('G7: an old log read after rename, drop, add, reorder, redefinition, charset, key and re-creation: every row right', async () => {
    const start = await values.source('t').start();
    const written = await tell(values, 't', life);
    // One UPDATE of all rows stands in a chapter's definitions.
    const isOwn = (change: { readonly op: string }) => change.op === 'c';
    const { changes, stops } = await readOldLog(values, 't', start, written.length + 14);
    const inserts = changes.filter(isOwn);
    expect(inserts.map(({ after }) => plainImage(after))).toEqual(written.map(({ row }) => row));
    expect(inserts.map(({ schema }) => schema.columns.map(({ name }) => name))).toEqual(written.map(({ columns }) => columns));
    expect(inserts.map(({ schema }) => schema.key)).toEqual(written.map(({ key }) => key));
    expect(stops.length).toBeGreaterThan(10);
    expect([...new Set(stops.map(({ code }) => code))]).toEqual(['SOURCE_STATEMENT_UNSUPPORTED']);
  });

  test('G7: an update and a delete carry the shape of their time, before and after', async () => {
    await values.sql("CREATE TABLE u (id INT PRIMARY KEY, a VARCHAR(9) CHARACTER SET latin1, e ENUM('x','y')) CHARACTER SET latin1");
    const start = await values.source('u').start();
    await values.sql("INSERT INTO u VALUES (1, 'é', 'y')");
    await values.sql("UPDATE u SET a = 'ö' WHERE id = 1");
    await values.sql("ALTER TABLE u ADD COLUMN z INT FIRST, MODIFY e ENUM('y','x'), MODIFY a VARCHAR(9) CHARACTER SET utf8mb4");
    await values.sql('UPDATE u SET z = 5 WHERE id = 1');
    await values.sql('DELETE FROM u WHERE id = 1');
    await values.sql('DROP TABLE u');
    await values.sql('CREATE TABLE u (id VARCHAR(3) PRIMARY KEY)');
    await values.sql("INSERT INTO u VALUES ('1')");
    const { changes } = await readOldLog(values, 'u', start, 5);
    expect(changes.map(({ op, before, after }) => [op, before && plainImage(before), after && plainImage(after)])).toEqual([
      ['c', null, { id: '1', a: 'é', e: 'y' }],
      ['u', { id: '1', a: 'é', e: 'y' }, { id: '1', a: 'ö', e: 'y' }],
      ['u', { z: null, id: '1', a: 'ö', e: 'y' }, { z: '5', id: '1', a: 'ö', e: 'y' }],
      ['d', { z: '5', id: '1', a: 'ö', e: 'y' }, null],
      ['c', null, { id: '1' }],
    ]);
  });
});

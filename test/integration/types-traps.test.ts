/** Every trap that the design names, each seen in a peer or a package, as a test of its own: on MySQL and on MariaDB. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { capture, land, type Captured } from '../support/typed-carry.ts';
import { policies } from '../support/typed-policies.ts';
import { traps } from '../support/typed-traps.ts';
import { readOldLog } from '../support/old-log.ts';
import { imageOf, TypedValues } from '../support/typed-values.ts';

describe.each(['mysql', 'mariadb'] as const)('on %s', (flavor) => {
  let values: TypedValues;
  let captured: Captured[];
  beforeAll(async () => {
    values = await TypedValues.open(flavor);
    captured = await capture(values, [...own, ...ownPolicies]);
  });
  afterAll(() => values[Symbol.asyncDispose]());
  const here = ({ only }: { readonly only?: string }) => only === undefined || only === flavor;
  const [own, ownPolicies] = [traps.filter(here), policies.filter(here)];
  const numbered = <T>(list: readonly T[], from: number) => list.map((each, index) => ({ ...each, at: from + index }));

  test.each(numbered(own, 0))('G6: $name', async ({ at, log, shown, ...trap }) => {
    expect(captured[at]?.log).toEqual(log);
    expect(await land(values, captured[at] as Captured, trap)).toEqual(shown);
  });

  test.each(numbered(ownPolicies, own.length))('G6: $name stops, and passes as the configuration says', async ({ at, ways, ...policy }) => {
    const rows = captured[at] as Captured;
    const stop = { code: 'TARGET_VALUE_REFUSED', fault: 'poison', message: expect.stringContaining('"c"') as string };
    await expect(land(values, rows, policy)).rejects.toMatchObject(stop);
    for (const [settings, shown] of ways) expect(await land(values, rows, { ...policy, policies: settings })).toEqual(shown);
  });

  test('G6: the 30th of February in a database that nobody captures is of no concern', async () => {
    await values.sql('CREATE TABLE mine (id INT PRIMARY KEY)');
    await values.sql("CREATE TABLE theirs (d DATE, t DATETIME, e ENUM('a'))");
    const odd = [
      "SET sql_mode = 'ALLOW_INVALID_DATES'",
      "INSERT INTO theirs VALUES ('2026-02-30', '0000-00-00 00:00:00', 'x')",
      "SET sql_mode = ''",
    ];
    const changes = await values.changes(['mine'], [...odd, 'INSERT INTO mine VALUES (7)'], 1);
    expect(changes.map(({ after }) => imageOf(after))).toEqual([{ id: 7 }]);
  });

  test('G6: a byte that its character set does not have is poison, not U+FFFD', async () => {
    await values.sql('CREATE TABLE bad (id INT PRIMARY KEY, v VARCHAR(20) CHARACTER SET cp1251)');
    const stop = values.changes(['bad'], ["INSERT INTO bad VALUES (1, _cp1251 X'61986b')"], 1);
    await expect(stop).rejects.toMatchObject({
      code: 'SOURCE_VALUE_INVALID',
      fault: 'poison',
      message: expect.stringContaining('bad.v') as string,
    });
  });

  test('G6: generated and invisible columns are like any other', async () => {
    await values.sql(
      'CREATE TABLE made (id INT PRIMARY KEY, total INT AS (id * 2) STORED, twice INT AS (id + 1) VIRTUAL, hidden INT INVISIBLE DEFAULT 5, last VARCHAR(3))',
    );
    const changes = await values.changes(['made'], ["INSERT INTO made (id, last) VALUES (4, 'end')", 'UPDATE made SET hidden = 6'], 2);
    expect(changes.map(({ after }) => imageOf(after))).toEqual([
      { id: 4, total: 8, twice: 5, hidden: 5, last: 'end' },
      { id: 4, total: 8, twice: 5, hidden: 6, last: 'end' },
    ]);
    const [described] = await values.source('made').schemas([values.table('made')]);
    // Of defaults and expressions the binlog says nothing.
    expect(described).toMatchObject({ ...changes[0]?.schema });
  });

  test('G6: a TRUNCATE is an event, not silence', async () => {
    await values.sql('CREATE TABLE emptied (id INT PRIMARY KEY)');
    const changes = await values.changes(
      ['emptied'],
      ['INSERT INTO emptied VALUES (1)', 'TRUNCATE TABLE emptied', 'INSERT INTO emptied VALUES (2)'],
      3,
    );
    expect(changes.map(({ op }) => op)).toEqual(['c', 't', 'c']);
  });

  test('G1: rows right before a statement that stops are handed over before the stop', async () => {
    await values.sql('CREATE TABLE dropped (id INT PRIMARY KEY, n INT)');
    const start = await values.source('dropped').start();
    for (const statement of ['INSERT INTO dropped VALUES (1, 1)', 'ALTER TABLE dropped DROP COLUMN n', 'INSERT INTO dropped VALUES (2)'])
      await values.sql(statement);
    const { changes, stops } = await readOldLog(values, 'dropped', start, 2);
    expect(changes.map(({ after }) => imageOf(after))).toEqual([{ id: 1, n: 1 }, { id: 2 }]);
    expect(stops.map(({ code }) => code)).toEqual(['SOURCE_STATEMENT_UNSUPPORTED']);
  });
});

describe('on mysql alone', () => {
  test('G6: rows of a compressed transaction are the same rows', async () => {
    await using values = await TypedValues.open('mysql');
    await values.sql('SET SESSION binlog_transaction_compression = ON');
    const own = traps.filter(({ only }) => only !== 'mariadb');
    const captured = await capture(values, own);
    expect(captured.map(({ log }) => log)).toEqual(own.map(({ log }) => log));
  });

  test('G6: partial updates of JSON are whole documents in the log', async () => {
    await using values = await TypedValues.open('mysql');
    await values.sql("SET SESSION binlog_row_value_options = 'PARTIAL_JSON'");
    await values.sql('CREATE TABLE docs (id INT PRIMARY KEY, j JSON)');
    const changes = await values.changes(
      ['docs'],
      [
        `INSERT INTO docs VALUES (1, '{"a": 1, "b": [1, 2, 3], "c": "long enough to make a partial update worth it"}')`,
        `UPDATE docs SET j = JSON_SET(j, '$.a', 18446744073709551615, '$.b[1]', 'x')`,
        `UPDATE docs SET j = JSON_REMOVE(j, '$.b[0]')`,
        'DELETE FROM docs',
      ],
      4,
    );
    const long = '"c": "long enough to make a partial update worth it"}';
    const first = `{"a": 1, "b": [1, 2, 3], ${long}`;
    const second = `{"a": 18446744073709551615, "b": [1, "x", 3], ${long}`;
    const third = `{"a": 18446744073709551615, "b": ["x", 3], ${long}`;
    expect(changes.map(({ before, after }) => [before && imageOf(before)['j'], after && imageOf(after)['j']])).toEqual([
      [null, first],
      [first, second],
      [second, third],
      [third, null],
    ]);
  });
});

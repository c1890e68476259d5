/** What stands around a column: domains over domains, settings of the database, types with more spellings than one. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { copyFromRows } from '../../connectors/postgres/row-steps.ts';
import { isCanonicalInet } from '../../connectors/postgres/values-canonical.ts';
import type { Row } from '../../src/core/change.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

describe('G6: what stands around a column', () => {
  let fixture: PostgresFixture;
  beforeAll(async () => {
    fixture = await postgresFixture();
  });
  afterAll(async () => {
    await fixture[Symbol.asyncDispose]();
  });

  test('a domain over a domain has the lengths, the digits and the NOT NULL of the inner one', async () => {
    await fixture.execute(`
      CREATE DOMAIN money2 AS numeric(9,2); CREATE DOMAIN price AS money2; CREATE DOMAIN short AS varchar(2) NOT NULL; CREATE DOMAIN title AS short;
      CREATE DOMAIN whole AS numeric; CREATE DOMAIN any_price AS whole; CREATE DOMAIN preset AS int DEFAULT 7; CREATE DOMAIN outer_preset AS preset;
      CREATE DOMAIN late AS int; CREATE DOMAIN outer_late AS late; ALTER DOMAIN late SET DEFAULT 7;
      CREATE TABLE nested (id int PRIMARY KEY, price price, name title, free any_price, preset outer_preset NOT NULL);
      CREATE TABLE unset (id int PRIMARY KEY, value outer_late NOT NULL)`);
    const decimal = { kind: 'decimal', precision: 9, scale: 4, type: 'decimal(9,4)' } as const;
    const text = { kind: 'string', type: 'varchar(9)', length: 9 } as const;
    const nested = tableOf('nested', ['id'], [column('id'), column('price', decimal), column('name', text), column('free', decimal)]);
    const sink = await fixture.open([mappingTo(nested)]);
    const findings = (await sink.check([nested])).map(({ level, message }) => `${level} ${message}`);
    expect(findings).toEqual([
      expect.stringMatching(/^error column "price" .* digits behind the 2\. decimal place would be rounded away$/),
      expect.stringMatching(/^warning column "name" .* texts over 2 characters are refused$/),
      expect.stringMatching(/^warning column "name" can be NULL in the source and must not be/),
    ]);
    // A default is copied when a domain is made: what the inner one gets later fills nothing.
    const unset = tableOf('unset', ['id'], [column('id')]);
    expect(await (await fixture.open([mappingTo(unset)])).check([unset])).toHaveLength(1);
    await expect(fixture.execute('INSERT INTO unset (id) VALUES (1)')).rejects.toThrow('null value');
    const batches = new Batches('nested#0');
    await sink.claim([batches.partition]);
    const row: Row = { id: 1, price: '1.2345', name: 'ab', free: '1.2345' };
    await expect(sink.write(batches.of([[0, nested, { op: 'insert', after: row }]]))).rejects.toMatchObject({ code: 'TARGET_COLUMN_TYPE' });
    const { name: _, ...rest } = row;
    const fitting = tableOf(
      'nested',
      ['id'],
      nested.columns.filter(({ name }) => name !== 'price'),
    );
    const other = await fixture.open([mappingTo(fitting)]);
    const again = new Batches('nested#1');
    await other.claim([again.partition]);
    // Spaces at its end would be cut silently.
    const wide = { id: 1, name: 'ab ', free: rest['free'] ?? null };
    await expect(other.write(again.of([[0, fitting, { op: 'insert', after: wide }]]))).rejects.toMatchObject({
      code: 'TARGET_VALUE_REFUSED',
    });
    await other.claim([again.partition]);
    await other.write(new Batches('nested#1').of([[0, fitting, { op: 'insert', after: { ...wide, name: 'ab' } }]]));
    expect(await fixture.rows('SELECT name, free, preset FROM nested')).toEqual([['ab', '1.2345', '7']]);
  });

  test.each([
    ['arrays', 3],
    ['COPY', copyFromRows],
  ])('settings of the database change nothing of what is stored by %s', async (way, count) => {
    const database = fixture.database.name;
    const odd = [
      `array_nulls = off`,
      `standard_conforming_strings = ${(await fixture.rows('SHOW server_version_num'))[0]?.[0]?.startsWith('19') === true ? 'on' : 'off'}`,
      `DateStyle = 'SQL, DMY'`,
      `IntervalStyle = sql_standard`,
      `TimeZone = 'Asia/Kolkata'`,
      `transform_null_equals = on`,
      `quote_all_identifiers = on`,
      `client_encoding = LATIN1`,
      `timezone_abbreviations = 'India'`,
      `xmloption = document`,
      `extra_float_digits = -15`,
      `default_transaction_isolation = serializable`,
      `bytea_output = escape`,
    ];
    for (const setting of odd) await fixture.execute(`ALTER DATABASE ${database} SET ${setting}`);
    const table = `set_by_${way.toLowerCase()}`;
    await fixture.execute(
      `CREATE TABLE ${table} (id int PRIMARY KEY, t text, tags text[], day date, at timestamptz, span interval, ratio double precision)`,
    );
    const schema = tableOf(
      table,
      ['id'],
      [
        column('id'),
        column('t', { kind: 'string', type: 'text' }),
        column('tags', { kind: 'set', labels: ['NULL', 'a\\b'] }),
        column('day', { kind: 'date' }),
        column('at', { kind: 'timestamp', scale: 0 }),
        column('span', { kind: 'time', scale: 0 }),
        column('ratio', { kind: 'double' }),
      ],
    );
    const sink = await fixture.open([mappingTo(schema)]);
    expect((await sink.check([schema])).filter(({ level }) => level === 'error')).toEqual([]);
    const batches = new Batches(`${table}#0`);
    await sink.claim([batches.partition]);
    const full = { t: 'ü\\😀', tags: 'NULL,a\\b', day: '2026-02-03', at: '2026-02-03T04:05:06Z', span: '-01:02:03', ratio: 0.1 };
    const none = { t: null, tags: null, day: null, at: null, span: null, ratio: null };
    const rows = Array.from({ length: count }, (_, id): Row => ({ id, ...(id % 2 === 0 ? full : none) }));
    await sink.write(batches.of(rows.map((after) => [0, schema, { op: 'insert', after }] as const)));
    // The fixture's own connection is older than the settings.
    expect(await fixture.rows(`SELECT * FROM ${table} WHERE id < 2 ORDER BY id`)).toEqual([
      ['0', 'ü\\😀', '{"NULL","a\\\\b"}', '2026-02-03', '2026-02-03 04:05:06+00', '-01:02:03', '0.1'],
      ['1', null, null, null, null, null, null],
    ]);
    await fixture.execute(`ALTER DATABASE ${database} RESET ALL`);
  });

  test('an address is written only as Postgres prints it', async () => {
    const seed = Date.now() % 2 ** 31;
    process.stdout.write(`postgres addresses: seed ${seed}\n`);
    const word = fc.oneof({ weight: 3, arbitrary: fc.constant('0') }, fc.constantFrom('1', 'ffff', 'abc'));
    const six = fc.array(word, { minLength: 8, maxLength: 8 }).map((list) => list.join(':'));
    const bits = fc.constantFrom('', '', '/0', '/24', '/32', '/33', '/64', '/127', '/128', '/024');
    const given = fc.sample(
      fc
        .tuple(
          fc.oneof(
            six,
            six.map((text) => text.replace(/(?:0:){2,}/, ':')),
            fc.ipV4(),
            fc.ipV4Extended(),
            fc.ipV6(),
          ),
          bits,
        )
        .map((all) => all.join('')),
      { numRuns: 1500, seed },
    );
    // Asks the server for its own spelling of each, and of that again.
    const spell = async (texts: readonly string[]) =>
      (
        await fixture.rows(
          `SELECT pg_temp.spelled(t) FROM unnest(ARRAY[${texts.map((text) => `'${text}'`).join(', ')}]) WITH ORDINALITY u(t, n) ORDER BY n`,
        )
      ).map(([text]) => text ?? '');
    await fixture.execute(`CREATE FUNCTION pg_temp.spelled(t text) RETURNS text LANGUAGE plpgsql AS
      $$ BEGIN RETURN t::inet::text; EXCEPTION WHEN invalid_text_representation THEN RETURN ''; END $$`);
    const printed = await spell(given);
    // inet::text always has a mask; the type's own output leaves a full one out.
    const own = printed.map((text) => text.replace(/^([\d.]+)\/32$/, '$1').replace(/^(.*:.*)\/128$/, '$1'));
    const wrong = given.flatMap((text, index) => (isCanonicalInet(text) === (own[index] === text) ? [] : [{ text, printed: own[index] }]));
    expect(wrong).toEqual([]);
    expect(own.filter((text) => text !== '' && !isCanonicalInet(text))).toEqual([]);
    expect(own.filter((text) => text !== '').length).toBeGreaterThan(500);
  });
});

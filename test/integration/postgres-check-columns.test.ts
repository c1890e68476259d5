import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createTableStatement } from '../../connectors/postgres/ddl.ts';
import type { ColumnSchema, TableSchema, Value } from '../../src/core/change.ts';
import type { Finding } from '../../src/core/ports.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

const state = column('state', { kind: 'enum', type: "enum('new','it''s','a,b')", labels: ['new', "it's", 'a,b'] });
const brief = (findings: readonly Finding[]) => findings.map(({ level, code, message }) => `${level} ${code} ${message}`);

describe('check, column by column', () => {
  let fixture: PostgresFixture;
  let count = 0;
  beforeAll(async () => {
    fixture = await postgresFixture();
    await fixture.execute(
      `CREATE TYPE mood AS ENUM ('new'); CREATE DOMAIN filled AS int NOT NULL; CREATE DOMAIN preset AS int NOT NULL DEFAULT 1`,
    );
  });
  afterAll(async () => {
    await fixture[Symbol.asyncDispose]();
  });
  const check = async (schema: TableSchema, target = '', options = {}) =>
    (await fixture.open([{ ...mappingTo(schema, target), options }])).check([schema]);
  const fresh = () => `c${(count += 1)}`;
  /** A table of `id` and the given columns. */
  const shape = (table: string, ...columns: readonly ColumnSchema[]) =>
    tableOf(table, ['id'], [column('id', { nullable: false }), ...columns]);

  /** Runs every fix as a person would, and then nothing more is found. */
  async function mended(schema: TableSchema, findings: readonly Finding[]): Promise<void> {
    for (const { fix } of findings) await fixture.execute(fix ?? '');
    expect(await check(schema)).toEqual([]);
  }

  test.each<[string, Partial<ColumnSchema>, string, string]>([
    ['integer beyond smallint', { type: 'int' }, 'smallint', 'warning: numbers beyond a signed integer of 16 bits are refused'],
    [
      'unsigned bigint',
      { bits: 64, unsigned: true, type: 'bigint unsigned' },
      'bigint',
      'warning: numbers beyond a signed integer of 64 bits are refused',
    ],
    ['bigint in a float', { bits: 64, type: 'bigint' }, 'double precision', 'error: numbers beyond 2^53 would be rounded'],
    ['tinyint as boolean', { bits: 8, type: 'tinyint' }, 'boolean', 'warning: numbers other than 0 and 1 are refused'],
    ['int as boolean', { type: 'int' }, 'boolean', 'error: there is no exact way from the one to the other'],
    [
      'decimal scale',
      { kind: 'decimal', precision: 9, scale: 4, type: 'decimal(9,4)' },
      'numeric(9,2)',
      'error: digits behind the 2. decimal place would be rounded away',
    ],
    ['decimal in a float', { kind: 'decimal', precision: 9, scale: 4 }, 'double precision', 'error: digits would be rounded'],
    ['double in real', { kind: 'double' }, 'real', 'error: digits would be rounded'],
    ['double in numeric', { kind: 'double' }, 'numeric', 'warning: minus zero is refused'],
    ['double in numeric(p,s)', { kind: 'double' }, 'numeric(9,2)', 'error: digits would be rounded away'],
    ['bit(13) in bit(9)', { kind: 'bit', bits: 13 }, 'bit(9)', 'error: its number of bits differs'],
    ['bit(64) in bigint', { kind: 'bit', bits: 64 }, 'bigint', 'warning: numbers beyond a signed integer of 64 bits are refused'],
    ['varchar in char', { kind: 'string', type: 'varchar(9)', length: 9 }, 'char(9)', 'error: trailing spaces would be lost'],
    ['text in varchar', { kind: 'string', type: 'text' }, 'varchar(9)', 'warning: texts over 9 characters are refused'],
    [
      'text in jsonb',
      { kind: 'string', type: 'text' },
      'jsonb',
      'warning: texts that are not JSON, or have a name twice in one object, are refused; spaces and the order of names are not kept',
    ],
    ['text in an enum', { kind: 'string', type: 'varchar(9)', length: 9 }, 'mood', 'warning: texts of another form are refused'],
    [
      'varbinary in uuid',
      { kind: 'bytes', type: 'varbinary(16)', length: 16 },
      'uuid',
      'warning: values of another length than 16 bytes are refused',
    ],
    ['bytes in text', { kind: 'bytes', type: 'blob' }, 'text', 'error: there is no exact way from the one to the other'],
    [
      'datetime in timestamptz',
      { kind: 'datetime', scale: 6 },
      'timestamptz',
      'error: it is no instant, and the target would take it for one',
    ],
    ['datetime in date', { kind: 'datetime', scale: 0 }, 'date', 'error: the time of day would be lost'],
    [
      'timestamp(6) in timestamptz(3)',
      { kind: 'timestamp', scale: 6 },
      'timestamptz(3)',
      'error: fractions of a second beyond 3 digits would be rounded',
    ],
    ['time in time', { kind: 'time', scale: 0 }, 'time', 'warning: negative times and times beyond 24 hours are refused'],
    ['time in a restricted interval', { kind: 'time', scale: 0 }, 'interval day to hour', 'error: its fields are restricted'],
    ['json in varchar', { kind: 'json', type: 'json' }, 'varchar(10)', 'error: there is no exact way from the one to the other'],
    ['geometry in point', { kind: 'geometry', type: 'point' }, 'point', 'error: there is no exact way from the one to the other'],
    ['vector in integers', { kind: 'vector', type: 'vector(3)' }, 'integer[]', 'error: there is no exact way from the one to the other'],
  ])('%s is named with its reason, and the statement mends it', async (_name, source, type, expected) => {
    const table = fresh();
    await fixture.execute(`CREATE TABLE ${table} (id int PRIMARY KEY, value ${type})`);
    const schema = shape(table, column('value', source));
    const findings = await check(schema);
    expect(findings.map(({ level, message }) => `${level}${message.slice(message.indexOf(': '))}`)).toEqual([expected]);
    expect(findings[0]?.message).toMatch(/^column "value" is .+ in the source and .+ in the target/);
    // A type that somebody chose for what it means is not taken back by `check --statements`.
    expect(findings[0]?.fix === undefined).toBe(/^(boolean|jsonb|mood|uuid|time|numeric)$/.test(type) && expected.startsWith('warning'));
    if (findings[0]?.fix !== undefined) await mended(schema, findings);
  });

  test.each<[string, Partial<ColumnSchema>, string]>([
    ['dates', { kind: 'date' }, 'date'],
    ['json', { kind: 'json', type: 'json' }, 'jsonb'],
    ['binary(16) as uuid', { kind: 'bytes', type: 'binary(16)', length: 16 }, 'uuid'],
  ])('%s are what everybody has: nothing is said', async (_name, source, type) => {
    const table = fresh();
    await fixture.execute(`CREATE TABLE ${table} (id int PRIMARY KEY, value ${type})`);
    expect(await check(shape(table, column('value', source)))).toEqual([]);
  });

  test('an enum type that lacks labels learns them', async () => {
    const table = fresh();
    await fixture.execute(`CREATE TABLE ${table} (id int PRIMARY KEY, state mood)`);
    const schema = shape(table, state);
    const findings = await check(schema);
    expect(findings[0]?.fix).toBe("ALTER TYPE mood ADD VALUE 'it''s';\nALTER TYPE mood ADD VALUE 'a,b';");
    for (const statement of findings[0]?.fix?.split('\n') ?? []) await fixture.execute(statement);
    expect(await check(schema)).toEqual([]);
    const long = { ...state, labels: [...(state.labels ?? []), 'x'.repeat(64)] };
    expect((await check(shape(table, long)))[0]?.fix).toBe(
      `ALTER TABLE "public"."${table}" ALTER COLUMN "state" TYPE text USING "state"::text;`,
    );
  });

  test('a check that lists the labels of yesterday', async () => {
    const table = fresh();
    const old = { ...state, labels: ['new'] };
    await fixture.execute(createTableStatement(`"${table}"`, shape(table, old)));
    expect(await check(shape(table, old))).toEqual([]);
    const schema = shape(table, state);
    const findings = await check(schema);
    expect(brief(findings)).toEqual([
      `warning TARGET_CONSTRAINT check "${table}_state_check" of public.${table} refuses the labels "it's", "a,b" of column "state"`,
    ]);
    await mended(schema, findings);
    const empty = createTableStatement('e', shape('e', { ...state, labels: ['new', ''] }));
    expect(empty).toContain(`IN ('', 'new')`);
  });

  test('columns that nothing fills: NOT NULL of their own, or by their domain', async () => {
    const table = fresh();
    await fixture.execute(`CREATE TABLE ${table} (id int PRIMARY KEY, a int NOT NULL, b filled, c preset, d int NOT NULL DEFAULT 1,
      e int NOT NULL GENERATED ALWAYS AS IDENTITY, f int NOT NULL GENERATED ALWAYS AS (1) STORED)`);
    const messages = brief(await check(shape(table)));
    expect(messages).toEqual([
      `error TARGET_CONSTRAINT column "a" of public.${table} is not in the source, must not be NULL and has no default`,
      `error TARGET_CONSTRAINT column "b" of public.${table} is not in the source, must not be NULL and has no default`,
    ]);
  });

  test('names that Postgres would cut: the source has longer ones', async () => {
    const long = `${'ä'.repeat(31)}ab`;
    const schema = tableOf('t'.repeat(64), ['id'], [column('id', { nullable: false }), column(long)]);
    expect(await check(schema)).toEqual([
      expect.objectContaining({
        level: 'error',
        code: 'TARGET_TABLE_MISSING',
        message: `the name "${'t'.repeat(64)}" has 64 bytes, and Postgres cuts names at 63`,
        fix: `to: ${JSON.stringify(`"public"."${'t'.repeat(63)}"`)}`,
      }),
      expect.objectContaining({
        code: 'TARGET_COLUMN_MISSING',
        message: `the name "${long}" has 64 bytes, and Postgres cuts names at 63`,
        fix: `transforms: [{ rename: { ${JSON.stringify(long)}: ${JSON.stringify(long.slice(0, -1))} } }]`,
      }),
    ]);
    // Nothing is written to whatever bears the shortened name.
    await fixture.execute(`CREATE TABLE ${'t'.repeat(63)} (id int PRIMARY KEY); CREATE TABLE short (id int PRIMARY KEY, "${long}" int)`);
    const write = async (wide: TableSchema, target: string) => {
      const sink = await fixture.open([mappingTo(wide, target)]);
      const batches = new Batches(`long-${fresh()}#0`);
      await sink.claim([batches.partition]);
      return sink.write(batches.of([[0, wide, { op: 'insert', after: { id: 1, [long]: 1 } }]]));
    };
    await expect(write(schema, '')).rejects.toMatchObject({ code: 'TARGET_TABLE_MISSING', fault: 'fatal' });
    await expect(write(schema, 'short')).rejects.toMatchObject({ code: 'TARGET_COLUMN_MISSING', fault: 'fatal' });
  });

  test('what is no table, and what hides its rows', async () => {
    await fixture.execute(
      'CREATE TABLE hidden (id int PRIMARY KEY); CREATE VIEW looking AS SELECT * FROM hidden; ALTER TABLE hidden ENABLE ROW LEVEL SECURITY',
    );
    expect(brief(await check(shape('looking')))).toEqual([
      'error TARGET_TABLE_MISSING public.looking is a view in the target; rows are written to tables only',
    ]);
    // A superuser sees everything.
    expect(await check(shape('hidden'))).toEqual([]);
    const role = `${fixture.database.name}_small`;
    await fixture.execute(
      `CREATE ROLE ${role} LOGIN; GRANT ALL ON hidden TO ${role}; GRANT CREATE ON DATABASE ${fixture.database.name} TO ${role}`,
    );
    try {
      const sink = await fixture.open([mappingTo(shape('hidden'))], { ...fixture.settings, user: role });
      const findings = (await sink.check([shape('hidden')])).filter(({ where }) => where.includes(':'));
      expect(brief(findings)).toEqual([
        'error TARGET_PRIVILEGE row security is in force on public.hidden: rows that this user does not see would be neither changed nor deleted',
      ]);
      await fixture.execute(findings[0]?.fix ?? '');
      expect((await sink.check([shape('hidden')])).filter(({ where }) => where.includes(':'))).toEqual([]);
      await sink[Symbol.asyncDispose]();
    } finally {
      await fixture.execute(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
    }
  });

  test('keys that are longer than an index entry, and rows that are wider than a page', async () => {
    const name = column('name', { kind: 'string', type: 'varchar(768)', length: 768, nullable: false });
    const keyed = tableOf('keyed', ['name'], [name]);
    await fixture.execute(createTableStatement('keyed', keyed));
    expect(brief(await check(keyed))).toEqual([
      'warning TARGET_KEY_MISSING a key can have up to 3072 bytes, and Postgres indexes no entry beyond 2704: rows with longer keys are refused (keys that compress well pass)',
    ]);
    const sink = await fixture.open([mappingTo(keyed)]);
    const batches = new Batches('keyed#0');
    await sink.claim([batches.partition]);
    const random = Array.from({ length: 768 }, (_, index) => String.fromCodePoint(0x1_0000 + ((index * 7919) % 60_000))).join('');
    await expect(sink.write(batches.of([[0, keyed, { op: 'insert', after: { name: random } }]]))).rejects.toMatchObject({
      code: 'TARGET_VALUE_REFUSED',
      fault: 'poison',
    });
    const texts = Array.from({ length: 600 }, (_, index) => column(`t${index}`, { kind: 'string', type: 'text' }));
    const wide = shape('wide', ...texts);
    await fixture.execute(createTableStatement('wide', wide));
    expect(brief(await check(wide))).toEqual([
      'warning TARGET_COLUMN_TYPE a row of public.wide with a long value in each of its 601 columns would not fit a page of 8 kB, and is refused. Leave columns out with a `project` transform.',
    ]);
    const full = await fixture.open([mappingTo(wide)]);
    const rows = new Batches('wide#0');
    await full.claim([rows.partition]);
    const row = (text: string): Record<string, Value> => ({ id: 1, ...Object.fromEntries(texts.map(({ name: cell }) => [cell, text])) });
    await expect(full.write(rows.of([[0, wide, { op: 'insert', after: row('x'.repeat(30)) }]]))).rejects.toMatchObject({
      code: 'TARGET_VALUE_REFUSED',
    });
    expect(brief(await check(shape('absent', ...Array.from({ length: 1_700 }, (_, index) => column(`t${index}`))), 'absent'))[0]).toBe(
      'error TARGET_COLUMN_MISSING the table has 1701 columns, and Postgres takes 1600. Leave columns out with a `project` transform.',
    );
  });

  test('policies that name no column, or cannot act', async () => {
    await fixture.execute('CREATE TABLE policies (id int PRIMARY KEY, born date NOT NULL, shift time)');
    const schema = shape('policies', column('born', { kind: 'date', nullable: false }), column('shift', { kind: 'time', scale: 0 }));
    const values = { zeroDate: null, columns: { borne: { zeroDate: '0001-01-01' } } };
    expect(brief(await check(schema, '', { values }))).toEqual([
      'warning TARGET_COLUMN_TYPE column "shift" is time in the source and time without time zone in the target: negative times and times beyond 24 hours are refused',
      'error TARGET_COLUMN_MISSING `values.columns` names "borne", which the table does not have',
      'warning TARGET_COLUMN_TYPE column "born" must not be NULL in the target, so what `values` would make NULL stops the service',
    ]);
    const own = { values: { zeroDate: null, timeRange: null, columns: { born: { zeroDate: '0001-01-01' } } } };
    // What does not fit becomes NULL then, and nothing is refused.
    expect(await check(schema, '', own)).toEqual([]);
  });

  test('a foreign key that cascades: a parent’s new key would cost its children', async () => {
    await fixture.execute(
      'CREATE TABLE firms (id int PRIMARY KEY); CREATE TABLE staff (id int PRIMARY KEY, firm int REFERENCES firms ON UPDATE CASCADE ON DELETE CASCADE)',
    );
    const firms = shape('firms');
    const findings = await check(firms);
    expect(brief(findings)).toEqual([
      expect.stringMatching(/^warning TARGET_CONSTRAINT foreign key "staff_firm_fkey" of public\.staff is ON DELETE CASCADE: /),
    ]);
    expect(findings[0]?.fix).toBe(
      'ALTER TABLE "public"."staff" DROP CONSTRAINT "staff_firm_fkey", ADD CONSTRAINT "staff_firm_fkey" FOREIGN KEY (firm) REFERENCES firms(id) ON UPDATE CASCADE DEFERRABLE INITIALLY IMMEDIATE;',
    );
    const staff = shape('staff', column('firm'));
    const move = async () => {
      await fixture.execute('TRUNCATE firms, staff; INSERT INTO firms VALUES (1); INSERT INTO staff VALUES (7, 1)');
      const sink = await fixture.open([mappingTo(firms), mappingTo(staff)]);
      const batches = new Batches(`cascade-${fresh()}#0`);
      await sink.claim([batches.partition]);
      await sink.write(
        batches.of([
          [0, firms, { op: 'delete', before: { id: 1 } }],
          [0, firms, { op: 'insert', after: { id: 2 } }],
          [1, staff, { op: 'update', before: { id: 7, firm: 1 }, after: { id: 7, firm: 2 } }],
        ]),
      );
      return await fixture.rows('SELECT id, firm FROM staff');
    };
    await mended(firms, findings);
    expect(await move()).toEqual([['7', '2']]);
  });
});

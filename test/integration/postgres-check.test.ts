import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { copyFromRows } from '../../connectors/postgres/row-steps.ts';
import { createTableStatement } from '../../connectors/postgres/ddl.ts';
import type { Row, TableSchema } from '../../src/core/change.ts';
import type { Finding } from '../../src/core/ports.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

const orders = tableOf(
  'orders',
  ['id'],
  [
    column('id', { bits: 64, unsigned: true, nullable: false }),
    column('price', { kind: 'decimal', type: 'decimal(9,2)', precision: 9, scale: 2 }),
    column('placed', { kind: 'datetime', type: 'datetime(6)', scale: 6 }),
    column('state', { kind: 'enum', type: "enum('new','it''s')", labels: ['new', "it's"], nullable: false }),
  ],
);

const brief = (findings: readonly Finding[]) => findings.map(({ level, code, message }) => `${level} ${code} ${message}`);

const order = (id: number): Row => ({ id, price: '1.00', placed: null, state: "it's" });

describe('check', () => {
  let fixture: PostgresFixture;
  const check = async (schema: TableSchema | undefined, target = '', settings = fixture.settings) =>
    (await fixture.open([mappingTo(schema ?? orders, target)], settings)).check([schema]);

  beforeAll(async () => {
    fixture = await postgresFixture();
  });
  afterAll(async () => {
    await fixture[Symbol.asyncDispose]();
  });

  test('a missing table: the fix makes it, and then nothing is found', async () => {
    const findings = await check(orders);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ level: 'error', code: 'TARGET_TABLE_MISSING', where: 'service orders: shop.orders' });
    await fixture.execute(findings[0]?.fix ?? '');
    expect(await check(orders)).toEqual([]);
  });

  test('a missing schema: the fix makes both', async () => {
    const findings = await check(orders, 'fresh."the orders"');
    expect(brief(findings)).toEqual(['error TARGET_TABLE_MISSING the target has no schema fresh']);
    await fixture.execute(findings[0]?.fix ?? '');
    expect(await check(orders, 'fresh."the orders"')).toEqual([]);
  });

  test('everything that is wrong with a table at once, and the fixes mend all of it', async () => {
    await fixture.execute(
      `CREATE TABLE wrong (id bigint, price numeric(9,1), state varchar(2) NOT NULL, own int NOT NULL, own2 int NOT NULL DEFAULT 1)`,
    );
    const findings = await check(orders, 'wrong');
    expect(brief(findings)).toEqual([
      'warning TARGET_COLUMN_TYPE column "id" is int in the source and bigint in the target: numbers beyond a signed integer of 64 bits are refused',
      'error TARGET_COLUMN_TYPE column "price" is decimal(9,2) in the source and numeric(9,1) in the target: digits behind the 1. decimal place would be rounded away',
      'error TARGET_COLUMN_MISSING public.wrong has no column "placed": rows that are there get NULL, which is right where the source added it without a DEFAULT',
      `warning TARGET_COLUMN_TYPE column "state" is enum('new','it''s') in the source and character varying(2) in the target: texts over 2 characters are refused`,
      'error TARGET_CONSTRAINT column "own" of public.wrong is not in the source, must not be NULL and has no default',
      'error TARGET_KEY_MISSING public.wrong has no primary key or unique constraint on exactly (id)',
    ]);
    for (const { fix } of findings) await fixture.execute(fix ?? '');
    expect(await check(orders, 'wrong')).toEqual([]);
  });

  test('a source without the table is the source’s finding', async () => {
    expect(await check(undefined)).toEqual([]);
  });

  test('an unreachable server and a refused user are findings, not exceptions', async () => {
    expect(brief(await check(orders, '', { ...fixture.settings, port: 1 }))[0]).toMatch(/^error TARGET_UNREACHABLE /);
    expect(brief(await check(orders, '', { ...fixture.settings, user: 'nosuchuser' }))[0]).toMatch(/^error TARGET_AUTH /);
  });

  test('least privileges: the fixes of check are all that a plain role needs', async () => {
    const { name } = fixture.database;
    const role = `${name}_plain`;
    await fixture.execute(`REVOKE TEMPORARY ON DATABASE ${name} FROM PUBLIC; CREATE ROLE ${role} LOGIN; CREATE SCHEMA closed;
      ${createTableStatement('closed.orders', orders)}`);
    try {
      const plain = { ...fixture.settings, user: role };
      let rounds = 0;
      for (;;) {
        const errors = (await check(orders, 'closed.orders', plain)).filter(({ level }) => level === 'error');
        if (errors.length === 0) break;
        expect((rounds += 1)).toBeLessThan(4);
        for (const { fix } of errors) await fixture.execute(fix ?? '');
      }
      expect(rounds).toBeGreaterThan(0);
      expect(brief(await check(orders, 'closed.orders', plain))).toEqual([
        `warning TARGET_PRIVILEGE user ${role} may not create temporary tables: large batches are slower`,
      ]);
      const sink = await fixture.open([mappingTo(orders, 'closed.orders')], plain);
      const batches = new Batches('plain#0');
      await sink.claim([batches.partition]);
      const rows = Array.from({ length: copyFromRows + 1 }, (_, id) => [0, orders, { op: 'insert', after: order(id) }] as const);
      await sink.write(batches.of(rows));
      await sink.write(batches.of([[0, orders, { op: 'delete', before: order(0) }]]));
      expect(await fixture.rows('SELECT count(*) FROM closed.orders')).toEqual([[String(copyFromRows)]]);
      await sink.reset([batches.partition]);
      await sink[Symbol.asyncDispose]();
    } finally {
      await fixture.execute(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
    }
  });

  test('settings that a server should not have', async () => {
    await fixture.execute(`ALTER DATABASE ${fixture.database.name} SET synchronous_commit = off`);
    expect(brief(await check(orders))[0]).toContain('warning TARGET_SETTING synchronous_commit is off');
    await fixture.execute(`ALTER DATABASE ${fixture.database.name} RESET synchronous_commit`);
  });
});

/** The proof behind every figure of the benchmark: a target that is not the source in any one cell is told apart. */
import { PassThrough } from 'node:stream';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { isProven } from '../../bench/bench.ts';
import { bulkSet, type DataSet, tableDefinition } from '../../bench/data-set.ts';
import { Say } from '../../bench/say.ts';
import { type Digest, emptyTarget, mysqlDigest, proofOf, prove } from '../../bench/target.ts';
import { freshMysqlDatabase, freshPostgresDatabase, type MysqlDatabase, type PostgresDatabase } from '../support/servers.ts';

const table = 'bench_bulk';
const row = (id: number, note: string | null) =>
  [id, 7, `SKU-${id}`, 'glass', 'paid', '12.50', 3, '2026-11-22 01:02:03.450', '2026-11-22 01:02:03', note] as const;
const rows = [row(9, null), row(10, ''), row(11, 'as agreed')];

let mysql: MysqlDatabase;
let postgres: PostgresDatabase;
let digest: Digest;

beforeAll(async () => {
  [mysql, postgres] = await Promise.all([freshMysqlDatabase(), freshPostgresDatabase()]);
  await mysql.connection.query(`SET time_zone = '+00:00'`);
  await mysql.connection.query(tableDefinition(table));
  await mysql.connection.query(`INSERT INTO ${table} VALUES ?`, [rows]);
  digest = await mysqlDigest(mysql.url, mysql.name, table);
}, 60_000);
afterAll(async () => {
  await mysql[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const insert = async (one: readonly unknown[]) => {
  await postgres.client.query(`INSERT INTO ${table} VALUES (${one.map((_, n) => `$${n + 1}`).join(', ')})`, [...one]);
};

beforeEach(async () => {
  await postgres.client.query(`SET TimeZone = 'UTC'`);
  await emptyTarget(postgres.client, table);
  for (const one of rows) await insert(one);
});

test('the same rows are equal', async () => {
  expect(await prove(digest, postgres.client, table)).toEqual({ isEqual: true, rows: 3, difference: '' });
});

describe('differs', () => {
  test.each([
    ['a missing row', `DELETE FROM ${table} WHERE id = 9`, /^rows: 3 against 2, sumOfIds: /],
    ['a key', `UPDATE ${table} SET id = 12 WHERE id = 11`, /^sumOfIds: 30 against 31, hash: /],
    ['an amount', `UPDATE ${table} SET amount = amount + 0.01 WHERE id = 9`, /^sumOfAmounts: 37.50 against 37.51, hash: /],
    ['a quantity', `UPDATE ${table} SET quantity = 4 WHERE id = 9`, /^sumOfQuantities: 9 against 10, hash: /],
    ['an empty text where NULL was', `UPDATE ${table} SET note = '' WHERE id = 9`, /^hash: /],
    ['NULL where an empty text was', `UPDATE ${table} SET note = NULL WHERE id = 10`, /^hash: /],
    ['a customer', `UPDATE ${table} SET customer_id = 8 WHERE id = 10`, /^hash: /],
    ['a sku', `UPDATE ${table} SET sku = 'SKU-1' WHERE id = 10`, /^hash: /],
    ['a title', `UPDATE ${table} SET title = 'Glass' WHERE id = 10`, /^hash: /],
    ['a status', `UPDATE ${table} SET status = 'new' WHERE id = 10`, /^hash: /],
    ['a millisecond', `UPDATE ${table} SET created_at = created_at + interval '1 ms' WHERE id = 10`, /^hash: /],
    ['an hour', `UPDATE ${table} SET updated_at = updated_at + interval '1 hour' WHERE id = 10`, /^hash: /],
    ['two rows that changed places', `UPDATE ${table} SET sku = 'SKU-' || (21 - id) WHERE id > 9`, /^hash: /],
  ])('%s', async (_, sql, difference) => {
    await postgres.client.query(sql);
    const proof = await prove(digest, postgres.client, table);
    expect(proof.isEqual).toBe(false);
    expect(proof.difference).toMatch(difference);
  });

  test('an extra row', async () => {
    await insert(row(12, null));
    expect((await prove(digest, postgres.client, table)).difference).toMatch(/^rows: 3 against 4, /);
  });
});

test('a source whose digest misses a row is another source', async () => {
  await mysql.connection.query(`CREATE TABLE fewer LIKE ${table}`);
  await mysql.connection.query(`INSERT INTO fewer SELECT * FROM ${table} WHERE id > 9`);
  const fewer = await mysqlDigest(mysql.url, mysql.name, 'fewer');
  expect(proofOf(digest, fewer).isEqual).toBe(false);
  expect(proofOf(digest, digest).isEqual).toBe(true);
});

test('a figure is proven by equal tables with all the rows that the set promises, and by nothing less', async () => {
  const said = new PassThrough();
  const bench = { client: postgres.client, say: new Say(said as unknown as NodeJS.WriteStream) };
  const set: DataSet = { ...bulkSet(0.001), counts: { inserts: 4, updates: 0, deletes: 1, lastKey: 11 } };
  expect(await isProven(bench, { set, digest })).toBe(true);
  // Both sides are equal, and both lack a row.
  expect(await isProven(bench, { set: { ...set, counts: { ...set.counts, deletes: 0 } }, digest })).toBe(false);
  await postgres.client.query(`UPDATE ${table} SET sku = 'SKU-1' WHERE id = 10`);
  expect(await isProven(bench, { set, digest })).toBe(false);
  expect(String(said.read())).toMatch(/bench_bulk differs: hash: /);
});

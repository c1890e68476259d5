/** The oracle of the chaos tests reads real servers: any one cell that is another in a target must show. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { compareAll } from '../chaos/rig/compare.ts';
import { type Addresses, sourceTables, targetTables } from '../chaos/rig/shop.ts';
import {
  freshMysqlDatabase,
  freshPostgresDatabase,
  freshRedisPrefix,
  type MysqlDatabase,
  type PostgresDatabase,
  type RedisPrefix,
} from '../support/servers.ts';

let mysql: MysqlDatabase;
let postgres: PostgresDatabase;
let redis: RedisPrefix;
let at: Addresses;

const rows = {
  accounts: `(7, 'Ada', 12.50, 0.1, x'00ff', 'open', NULL, '2026-02-28 23:59:59.123456')`,
  people: `(7, 'Ada', 12.50, 0.1, '\\x00ff', 'open', NULL, '2026-02-28 23:59:59.123456')`,
  entries: `(7, 1, 0.2500, 'memo'), (7, 2, -1.0000, '')`,
  items: `('S-1', 3, 9.99, 'title')`,
  bulk: `(0, 1, 'row 0 of round 1')`,
};

beforeAll(async () => {
  [mysql, postgres, redis] = await Promise.all([freshMysqlDatabase(), freshPostgresDatabase(), freshRedisPrefix()]);
  for (const sql of sourceTables) await mysql.connection.query(sql);
  for (const sql of targetTables) await postgres.client.query(sql);
  const { accounts, people, ...both } = rows;
  await mysql.connection.query(`INSERT INTO accounts VALUES ${accounts}`);
  await postgres.client.query(`INSERT INTO people VALUES ${people}`);
  for (const [table, values] of Object.entries(both)) {
    await mysql.connection.query(`INSERT INTO ${table} VALUES ${values}`);
    await postgres.client.query(`INSERT INTO ${table} VALUES ${values}`);
  }
  await redis.client.hset(`${redis.prefix}item:S-1`, { sku: 'S-1', stock: '3', price: '9.99', title: 'title' });
  await redis.client.hset(`${redis.prefix}account:7`, { id: '7', name: 'Ada', state: 'open' });
  const base = mysql.url.slice(0, mysql.url.lastIndexOf('/'));
  at = { mysql: base, postgres: postgres.url, redis: redis.url, database: mysql.name, keyPrefix: redis.prefix };
}, 60_000);
afterAll(async () => {
  for (const one of [mysql, postgres, redis]) await one?.[Symbol.asyncDispose]();
});

test('the same rows on both sides are equal', async () => {
  expect(await compareAll(at)).toEqual({ differences: [], rows: 5 });
});

describe('differs in Postgres:', () => {
  test.each([
    ["UPDATE people SET full_name = 'ada'", 'people 7'],
    ['UPDATE people SET balance = balance + 0.01', 'people 7'],
    ['UPDATE people SET score = 0.10000000000000002', 'people 7'],
    ["UPDATE people SET tag = '\\x00fe'", 'people 7'],
    ["UPDATE people SET state = 'new'", 'people 7'],
    ["UPDATE people SET note = ''", 'people 7'],
    ["UPDATE people SET seen = seen + interval '1 microsecond'", 'people 7'],
    ['UPDATE entries SET amount = amount + 0.0001 WHERE line = 1', 'entries 7/1'],
    ['UPDATE entries SET memo = NULL WHERE line = 2', 'entries 7/2'],
    ['UPDATE items SET stock = 4', 'items S-1'],
    ['UPDATE items SET price = 9.98', 'items S-1'],
    ["UPDATE items SET title = 'Title'", 'items S-1'],
    ['UPDATE bulk SET round = 2', 'bulk 0'],
    ["UPDATE bulk SET body = 'row'", 'bulk 0'],
    ['DELETE FROM entries WHERE line = 2', 'entries 7/2: missing'],
    ["INSERT INTO items VALUES ('S-2', 1, 1, 'x')", 'items S-2: extra'],
  ])('%s', async (sql, place) => {
    // What is compared must be committed: it is put back from a copy.
    const table = /(?:UPDATE|FROM|INTO) (\w+)/.exec(sql)?.[1] ?? '';
    await postgres.client.query(`CREATE TEMP TABLE kept AS SELECT * FROM ${table}`);
    try {
      await postgres.client.query(sql);
      const { differences } = await compareAll(at);
      expect(differences).toHaveLength(1);
      expect(differences[0]).toContain(place);
    } finally {
      await postgres.client.query(`DELETE FROM ${table}`);
      await postgres.client.query(`INSERT INTO ${table} SELECT * FROM kept`);
      await postgres.client.query('DROP TABLE kept');
    }
  });
});

describe('differs in Redis:', () => {
  test.each([
    ['item:S-1', 'stock', '3', '4'],
    ['item:S-1', 'price', '9.99', '9.990'],
    ['item:S-1', 'title', 'title', ''],
    ['account:7', 'name', 'Ada', 'ada'],
    ['account:7', 'state', 'open', 'new'],
  ])('%s %s', async (key, field, right, wrong) => {
    await redis.client.hset(`${redis.prefix}${key}`, field, wrong);
    try {
      expect((await compareAll(at)).differences).toEqual([expect.stringMatching(/^redis (items S-1|accounts 7): .* is /)]);
    } finally {
      await redis.client.hset(`${redis.prefix}${key}`, field, right);
    }
  });

  test('a field too much where NULL is, a key that is missing, a key too much', async () => {
    await redis.client.hset(`${redis.prefix}account:7`, 'note', '');
    expect((await compareAll(at)).differences).toEqual([expect.stringMatching(/^redis accounts 7: /)]);
    await redis.client.hdel(`${redis.prefix}account:7`, 'note');
    await redis.client.rename(`${redis.prefix}item:S-1`, `${redis.prefix}item:S-9`);
    expect((await compareAll(at)).differences).toEqual(['redis items S-1: missing', 'redis items S-9: extra']);
    await redis.client.rename(`${redis.prefix}item:S-9`, `${redis.prefix}item:S-1`);
    expect((await compareAll(at)).differences).toEqual([]);
  });
});

/**
 * The independent oracle: reads everything from both sides with plain SELECTs and HGETALL and compares canonical text.
 * Shares no code with the product, so that it cannot share its mistakes.
 */
import { Redis } from 'ioredis';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import type { Addresses } from './shop.ts';

export type Table = ReadonlyMap<string, string>;

export interface Comparison {
  readonly differences: readonly string[];
  readonly rows: number;
}

export async function compareAll(at: Addresses): Promise<Comparison> {
  const [source, books, shelf] = await Promise.all([readSource(at), readBooks(at), readShelf(at)]);
  const differences = [
    ...differencesOf('people', source.accounts, books.people),
    ...differencesOf('entries', source.entries, books.entries),
    ...differencesOf('items', source.items, books.items),
    ...differencesOf('bulk', source.bulk, books.bulk),
    ...differencesOf('redis items', source.itemsInRedis, shelf.items),
    ...differencesOf('redis accounts', source.accountsInRedis, shelf.accounts),
  ];
  return { differences, rows: source.accounts.size + source.entries.size + source.items.size + source.bulk.size };
}

/** Of two tables by key, one line each: what is missing, other, or too much. */
export function differencesOf(name: string, expected: Table, actual: Table): string[] {
  const differences: string[] = [];
  for (const [key, row] of expected) {
    const other = actual.get(key);
    if (other === undefined) differences.push(`${name} ${key}: missing`);
    else if (other !== row) differences.push(`${name} ${key}: ${row} is ${other}`);
  }
  for (const key of actual.keys()) if (!expected.has(key)) differences.push(`${name} ${key}: extra`);
  return differences;
}

const cell = (value: unknown) => (value === null || value === undefined ? '~' : `=${text(value)}`);
const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
const double = (value: unknown) => (value === null ? null : Number(value));
const line = (cells: readonly unknown[]) => cells.map(cell).join('|');

async function readSource({ mysql, database }: Addresses) {
  const connection = await createConnection({
    uri: `${mysql}/${database}`,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
  });
  try {
    const select = async (sql: string) => (await connection.query({ sql, rowsAsArray: true }))[0] as unknown[][];
    // mysql2 rounds the last digit of a DOUBLE in its text protocol; as text it arrives as the server prints it.
    const accounts = await select(
      'SELECT id, name, balance, CAST(score AS CHAR), LOWER(HEX(tag)), state, note, CAST(seen AS CHAR) FROM accounts',
    );
    const entries = await select('SELECT account, line, amount, memo FROM entries');
    const items = await select('SELECT sku, stock, price, title FROM items');
    const bulk = await select('SELECT id, round, body FROM bulk');
    return {
      accounts: new Map(accounts.map((row) => [String(row[0]), line(row.with(3, double(row[3])))])),
      entries: new Map(entries.map((row) => [`${String(row[0])}/${String(row[1])}`, line(row)])),
      items: new Map(items.map((row) => [String(row[0]), line(row)])),
      bulk: new Map(bulk.map((row) => [String(row[0]), line(row)])),
      itemsInRedis: new Map(items.map((row) => [String(row[0]), line(row)])),
      accountsInRedis: new Map(accounts.map((row) => [String(row[0]), line([row[0], row[1], row[5], row[6]])])),
    };
  } finally {
    await connection.end();
  }
}

async function readBooks({ postgres }: Addresses) {
  const client = new pg.Client({ connectionString: postgres });
  await client.connect();
  try {
    const select = async (text: string) => (await client.query<unknown[]>({ text, rowMode: 'array' })).rows;
    const people = await select(
      `SELECT id::text, full_name, balance::text, score, encode(tag,'hex'), state, note, to_char(seen,'YYYY-MM-DD HH24:MI:SS.US') FROM people`,
    );
    const entries = await select('SELECT account::text, line::text, amount::text, memo FROM entries');
    const items = await select('SELECT sku, stock::text, price::text, title FROM items');
    const bulk = await select('SELECT id::text, round::text, body FROM bulk');
    return {
      people: new Map(people.map((row) => [String(row[0]), line(row.with(3, double(row[3])))])),
      entries: new Map(entries.map((row) => [`${String(row[0])}/${String(row[1])}`, line(row)])),
      items: new Map(items.map((row) => [String(row[0]), line(row)])),
      bulk: new Map(bulk.map((row) => [String(row[0]), line(row)])),
    };
  } finally {
    await client.end();
  }
}

async function readShelf({ redis, keyPrefix }: Addresses) {
  const client = new Redis(redis, { lazyConnect: true });
  await client.connect();
  try {
    const read = async (kind: string, columns: readonly string[]): Promise<Table> => {
      const prefix = `${keyPrefix}${kind}:`;
      const table = new Map<string, string>();
      for (const key of await client.keys(`${prefix}*`)) {
        const hash = await client.hgetall(key);
        table.set(key.slice(prefix.length), line(columns.map((column) => hash[column])));
      }
      return table;
    };
    return {
      items: await read('item', ['sku', 'stock', 'price', 'title']),
      accounts: await read('account', ['id', 'name', 'state', 'note']),
    };
  } finally {
    client.disconnect();
  }
}

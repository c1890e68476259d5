/**
 * A MariaDB that keeps times as servers before MySQL 5.6.4 did, and compresses its rows in the binlog: both are settings of
 * the whole server, so it is one of its own.
 */
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Stack } from '../../stack/stack.ts';
import { privateStack } from '../support/servers.ts';
import { texts } from '../support/typed-texts.ts';
import { datetimes, times, timestamps } from '../support/typed-times.ts';
import { TypedValues } from '../support/typed-values.ts';

let stack: Stack<'mariadb'>;
let values: TypedValues;

beforeAll(async () => {
  const extraArgs = { mariadb: ['--mysql56-temporal-format=OFF', '--log-bin-compress=ON', '--log-bin-compress-min-len=10'] };
  stack = await privateStack({ servers: ['mariadb'], extraArgs });
  const connection = await createConnection({
    uri: stack.urls.mariadb,
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
  });
  await connection.query('CREATE DATABASE old');
  await connection.query('USE old');
  const database = { name: 'old', url: `${stack.urls.mariadb}/old`, connection, [Symbol.asyncDispose]: () => connection.end() };
  values = await TypedValues.open('mariadb', database);
});
afterAll(async () => {
  await values[Symbol.asyncDispose]();
  await stack[Symbol.asyncDispose]();
});

const families = [times, datetimes, timestamps, texts].map((make) => make());

test.each(families)('G6: $name, the times in their old form and the rows compressed: log = SELECT = Postgres', async (family) => {
  const proof = await values.prove(family);
  expect(proof.differences).toEqual([]);
});

test('the server really wrote what this is about', async () => {
  const settings = await values.select('SELECT @@mysql56_temporal_format, @@log_bin_compress');
  expect(settings).toEqual([['0', '1']]);
  const events = await values.select('SHOW BINLOG EVENTS');
  expect(new Set(events.map(([, , type]) => type))).toContain('Write_rows_compressed_v1');
});

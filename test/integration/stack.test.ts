import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

import { freshMysqlDatabase, freshPostgresDatabase, freshRedisPrefix, privateStack } from '../support/servers.ts';

test('each suite has a database of its own on the shared MySQL, with a full row binlog and GTIDs', async () => {
  await using one = await freshMysqlDatabase();
  await using other = await freshMysqlDatabase();
  expect(one.name).not.toBe(other.name);
  await one.connection.query('CREATE TABLE t (id INT PRIMARY KEY)');
  const [tables] = await other.connection.query('SHOW TABLES');
  expect(tables).toEqual([]);
  const [settings] = await one.connection.query(
    'SELECT @@log_bin AS bin, @@binlog_format AS format, @@binlog_row_image AS image, @@binlog_row_metadata AS metadata, @@gtid_mode AS gtid, @@sync_binlog AS sync',
  );
  expect(settings).toEqual([{ bin: '1', format: 'ROW', image: 'FULL', metadata: 'FULL', gtid: 'ON', sync: '1' }]);
});

test('a dropped database is gone, whoever is still connected to it', async () => {
  const database = await freshPostgresDatabase();
  await using other = await freshPostgresDatabase();
  await database[Symbol.asyncDispose]();
  const { rows } = await other.client.query('SELECT datname FROM pg_database WHERE datname = $1', [database.name]);
  expect(rows).toEqual([]);
});

test('a key prefix takes its keys with it', async () => {
  await using other = await freshRedisPrefix();
  const suite = await freshRedisPrefix();
  await suite.client.set(`${suite.prefix}a`, '1');
  await suite.client.quit();
  await suite[Symbol.asyncDispose]();
  expect(await other.client.keys(`${suite.prefix}*`)).toEqual([]);
});

test('a private server that was killed comes back on its port with every committed row', async () => {
  await using stack = await privateStack({ servers: ['postgres', 'redis'] });
  const { postgres, redis } = stack.servers;
  const { Client } = await import('pg');
  const rows = async (sql: string) => {
    const client = new Client({ connectionString: stack.urls.postgres });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<{ n: number }>(sql)).rows;
    } finally {
      await client.end();
    }
  };
  await rows('CREATE TABLE t (n int)');
  await rows('INSERT INTO t VALUES (7)');
  const before = postgres.pid;
  await postgres.kill('SIGKILL');
  expect(postgres.pid).toBeUndefined();
  await expect(rows('SELECT n FROM t')).rejects.toThrow(/ECONNREFUSED/);
  await postgres.start();
  expect(postgres.pid).not.toBe(before);
  expect(await rows('SELECT n FROM t')).toEqual([{ n: 7 }]);
  await redis.kill('SIGKILL');
  await redis.wipe();
  await redis.start();
  expect(redis.url).toBe(stack.urls.redis);
});

test('servers end, and their data goes, although the process that started them was killed', async () => {
  const stack = fileURLToPath(new URL('../../stack/stack.ts', import.meta.url));
  const script = `import { startStack } from ${JSON.stringify(stack)};
const stack = await startStack({ servers: ['redis'], log: () => undefined, isPrivate: true });
console.log(JSON.stringify({ pid: stack.servers.redis.pid, data: stack.servers.redis.dataDir }));
setInterval(() => undefined, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = (await once(parent.stdout, 'data')) as [Buffer];
  const { pid, data } = JSON.parse(said.toString()) as { pid: number; data: string };
  expect(existsSync(`/proc/${pid}`)).toBe(true);
  parent.kill('SIGKILL');
  await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 10_000 }).toBe(false);
  await expect.poll(() => existsSync(data), { timeout: 10_000 }).toBe(false);
});

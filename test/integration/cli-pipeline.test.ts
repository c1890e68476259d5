/** From nothing to a running pipeline with the command line alone, as the README tells it. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { captures, eventually, runCli, startCli } from '../support/cli.ts';
import {
  freshMysqlDatabase,
  freshName,
  freshPostgresDatabase,
  freshRedisPrefix,
  type MysqlDatabase,
  type PostgresDatabase,
} from '../support/servers.ts';

const password = `p@ss/w:${freshName()}`;
const user = freshName();
let folder: string;
let mysql: MysqlDatabase;
let postgres: PostgresDatabase;
let sourceUrl: string;
let env: Record<string, string>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-cli-'));
  mysql = await freshMysqlDatabase();
  postgres = await freshPostgresDatabase();
  await mysql.connection.query('CREATE TABLE orders (id INT PRIMARY KEY, total DECIMAL(10,2) NOT NULL, note VARCHAR(50))');
  await mysql.connection.query('CREATE TABLE stock (sku VARCHAR(20) PRIMARY KEY, amount INT NOT NULL)');
  await mysql.connection.query('CREATE TABLE keyless (a INT)');
  await mysql.connection.query('CREATE USER ?@? IDENTIFIED BY ?', [user, '%', password]);
  await mysql.connection.query('GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT, XA_RECOVER_ADMIN ON *.* TO ?@?', [user, '%']);
  const { hostname, port } = new URL(mysql.url);
  sourceUrl = `mysql://${user}:${encodeURIComponent(password)}@${hostname}:${port}`;
  env = { MYSQL_PASSWORD: password };
});

afterAll(async () => {
  await mysql.connection.query('DROP USER IF EXISTS ?@?', [user, '%']);
  await mysql[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const cli = (...args: string[]) => runCli(args, { cwd: folder, env });

test('init writes a file without the password, prints what is missing in the target, and does not overwrite', async () => {
  const first = await runCli(['init', `${sourceUrl}/${mysql.name}`, postgres.url], { cwd: folder });
  expect(first).toMatchObject({ code: 0, stderr: '' });
  const file = readFileSync(join(folder, 'crossfade.yaml'), 'utf8');
  expect(file).toContain(`mysql: mysql://${user}:\${MYSQL_PASSWORD}@`);
  expect(file).toContain(`${mysql.name}.orders:\n`);
  expect(file).not.toContain(password);
  expect(file).not.toContain(encodeURIComponent(password));
  expect(statSync(join(folder, 'crossfade.yaml')).mode & 0o007).toBe(0);
  expect(first.stdout).toContain('export MYSQL_PASSWORD=');
  expect(first.stdout).toContain('CREATE TABLE "public"."orders"');
  expect(first.stdout).toContain(`left out ${mysql.name}.keyless`);
  const second = await runCli(['init', sourceUrl], { cwd: folder });
  expect(second.code).toBe(2);
  expect(second.stderr).toContain('is there already; --force overwrites it');
});

test('init for Redis makes key templates of the primary keys', async () => {
  await using redis = await freshRedisPrefix();
  const done = await runCli(['init', `${sourceUrl}/${mysql.name}`, redis.url, '--output', 'redis.yaml', '--json'], { cwd: folder });
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(done.stdout)).toMatchObject({
    file: 'redis.yaml',
    tables: [`${mysql.name}.orders`, `${mysql.name}.stock`],
    variables: ['MYSQL_PASSWORD'],
  });
  expect(readFileSync(join(folder, 'redis.yaml'), 'utf8')).toContain('{ shape: hash, key: "stock:{sku}" }');
  const checked = await cli('check', '--config', 'redis.yaml', '--only', 'redis', '--json');
  expect(JSON.parse(checked.stdout).findings.filter(({ level }: { level: string }) => level === 'error')).toEqual([]);
});

test('check finds the missing tables with their statements, and is content once these have run', async () => {
  const before = await cli('check', '--json');
  expect(before.code).toBe(1);
  const { ok, findings } = JSON.parse(before.stdout);
  expect(ok).toBe(false);
  expect(findings.filter(({ code }: { code: string }) => code === 'TARGET_TABLE_MISSING')).toHaveLength(2);
  const statements = await cli('check', '--statements');
  await postgres.client.query(statements.stdout);
  const after = await cli('check');
  expect(after).toMatchObject({ code: 0, stderr: '' });
  expect(after.stdout).toContain('ready: 2 tables, 1 service');
});

test('run carries changes, status tells, SIGTERM drains with 0, and rebuild replays', async () => {
  const running = startCli(['run'], { cwd: folder, env });
  try {
    await eventually('capture streams', () => captures(running));
    await mysql.connection.query("INSERT INTO orders VALUES (1, 1.50, 'first'), (2, 2.50, NULL)");
    await mysql.connection.query('UPDATE orders SET total = 9.99 WHERE id = 1');
    await mysql.connection.query("INSERT INTO stock VALUES ('a', 1)");
    await mysql.connection.query('DELETE FROM orders WHERE id = 2');
    const rows = async () => (await postgres.client.query('SELECT id, total, note FROM orders ORDER BY id')).rows;
    await eventually('the rows arrive', async () =>
      JSON.stringify(await rows()) === '[{"id":1,"total":"9.99","note":"first"}]' ? true : undefined,
    );
    const status = await eventually('the status is caught up', async () => {
      const { stdout } = await cli('status', '--json');
      const told = JSON.parse(stdout);
      return told.services[0].lagChanges === 0 && told.services[0].applied > 0 ? told : undefined;
    });
    expect(status.log.leader.who).toContain(`pid ${running.child.pid}`);
    expect(status.services[0].partitions.map(({ tables }: { tables: string[] }) => tables[0])).toEqual([
      `${mysql.name}.orders`,
      `${mysql.name}.stock`,
    ]);
    running.child.kill('SIGTERM');
    const ended = await running.finished;
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    for (const line of ended.stdout.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('message');
    expect(ended.stdout).not.toContain(password);
  } finally {
    running.child.kill('SIGKILL');
  }
  const refused = await cli('rebuild', '--service', 'wrong');
  expect(refused.code).toBe(2);
  const [{ name: service }] = JSON.parse((await cli('status', '--json')).stdout).services;
  expect((await cli('rebuild', '--service', service)).stderr).toContain('add --yes');
  await postgres.client.query('DELETE FROM orders');
  expect(await cli('rebuild', '--service', service, '--yes')).toMatchObject({ code: 0 });
  const again = startCli(['run', 'apply', '--service', service], { cwd: folder, env });
  await eventually('the replay fills the table', async () =>
    (await postgres.client.query('SELECT id FROM orders')).rowCount === 1 ? true : undefined,
  );
  again.child.kill('SIGINT');
  expect(await again.finished).toMatchObject({ code: 0 });
});

test('G1: a new pipeline name over a target that another one filled is an error of check, and with a start a warning of check and of the start', async () => {
  const file = readFileSync(join(folder, 'crossfade.yaml'), 'utf8');
  const old = /^pipeline: (\S+)$/m.exec(file)?.[1] ?? '';
  const next = file.replace(/^pipeline: .*$/m, 'pipeline: successor');
  writeFileSync(join(folder, 'next.yaml'), next);
  const named = new RegExp(`by pipeline "${old}" up to transaction \\S+:\\d+, committed 20`);
  const found = async (file: string) =>
    JSON.parse((await cli('check', '--config', file, '--json')).stdout).findings as { remedy?: string }[];
  const told = (level: string) =>
    expect.objectContaining({ level, code: 'TARGET_PROGRESS_FOREIGN', message: expect.stringMatching(named) });
  const refused = await found('next.yaml');
  expect(refused).toContainEqual(told('error'));
  const start = refused.flatMap(({ remedy = '' }) => /"start: (.*?\})"/.exec(remedy)?.[1] ?? [])[0] ?? 'none';
  writeFileSync(join(folder, 'next.yaml'), next.replace(/^ {2}mysql: (.*)$/m, `  mysql: { url: "$1", start: ${start} }`));
  expect(await found('next.yaml')).toContainEqual(told('warning'));
  expect((await cli('check', '--json')).stdout).not.toContain('TARGET_PROGRESS_FOREIGN');
  const running = startCli(['run', '--config', 'next.yaml'], { cwd: folder, env });
  await eventually('the start says so', () => (named.test(running.text().replaceAll('\\"', '"')) ? true : undefined));
  running.child.kill('SIGKILL');
  await running.finished;
});

test('G13: a watched status works without the source, and no output ever held the password', async () => {
  writeFileSync(join(folder, 'lost.yaml'), readFileSync(join(folder, 'crossfade.yaml'), 'utf8').replace(/@[^:/]+:\d+\n/, '@127.0.0.1:1\n'));
  const watching = startCli(['status', '--watch', '--config', 'lost.yaml'], { cwd: folder, env });
  await eventually('two looks', () => (watching.text().split('pipeline ').length > 2 ? true : undefined));
  watching.child.kill('SIGINT');
  const { code, stdout, stderr } = await watching.finished;
  expect(code).toBe(0);
  expect(stdout).toContain('SOURCE_UNREACHABLE');
  expect(stdout).toContain(`${mysql.name}.orders #0`);
  expect(stdout + stderr).not.toContain(password);
  expect(existsSync(join(folder, 'crossfade.yaml'))).toBe(true);
});

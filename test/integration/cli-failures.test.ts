/** What a person sees when something is wrong: a clear message, a remedy, the right exit code. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { captures, eventually, runCli, startCli } from '../support/cli.ts';
import { freshMysqlDatabase, freshName, freshPostgresDatabase, type MysqlDatabase, type PostgresDatabase } from '../support/servers.ts';

let folder: string;
let mysql: MysqlDatabase;
let postgres: PostgresDatabase;
let server: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-cli-'));
  mysql = await freshMysqlDatabase();
  postgres = await freshPostgresDatabase();
  await mysql.connection.query('CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(50))');
  server = new URL(mysql.url).host;
});
beforeEach(() =>
  postgres.client.query(
    'DROP SCHEMA IF EXISTS crossfade CASCADE; CREATE TABLE IF NOT EXISTS orders (id INT PRIMARY KEY, note VARCHAR(50))',
  ),
);
afterAll(async () => {
  await mysql[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Parts {
  readonly source?: string;
  readonly target?: string;
  readonly more?: string;
}
/** A pipeline of its own for each test, so that none finds another's log. */
function configure({ source = `mysql://root@${server}`, target = postgres.url, more = '' }: Parts = {}): string[] {
  const name = freshName();
  const text = `pipeline: ${name}\nsource: { mysql: "${source}" }\nservices: { orders: { postgres: "${target}", tables: { ${mysql.name}.orders: } } }\n${more}`;
  writeFileSync(join(folder, `${name}.yaml`), text);
  return ['--config', `${name}.yaml`];
}
/** The same pipeline with another target. */
function retarget([, file = '']: readonly string[], target: string): void {
  const path = join(folder, file);
  writeFileSync(path, readFileSync(path, 'utf8').replace(postgres.url, target));
}
const cli = (...args: string[]) => runCli(args, { cwd: folder });

describe('usage and configuration end with 2 before anything is connected', () => {
  test.each([
    [['rnu'], 'did you mean "run"?'],
    [['run', '--confg', 'x'], 'did you mean "--config"?'],
    [['run'], 'the configuration file crossfade.yaml cannot be read'],
    [['run', 'apply'], '--service NAME'],
  ])('%j', async (args, said) => {
    const { code, stdout, stderr } = await cli(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(said);
    expect(stderr).toMatch(/see docs\/runbook\.md#/);
  });

  test('the command alone shows the help on stderr', async () => {
    const { code, stderr } = await cli();
    expect(code).toBe(2);
    expect(stderr).toContain('Usage  crossfade COMMAND');
  });

  test('every problem of the file is named with its line, also as JSON', async () => {
    const config = configure({ more: 'lgo: embedded\nstreams: { a: { tables: [x], partitions: none } }\n' });
    const said = await cli('run', ...config);
    expect(said.code).toBe(2);
    expect(said.stderr).toContain('3 problems in');
    expect(said.stderr).toContain(':4:1 lgo: unknown setting; did you mean "log"?');
    const json = await cli('check', '--json', ...config);
    expect(json.code).toBe(2);
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, findings: [{ code: 'CONFIG_INVALID' }, {}, {}] });
  });
});

test('a wrong password stops run with 4, and is a finding of check', async () => {
  const config = configure({ source: `mysql://nobody:wr0ng-secret@${server}` });
  const ran = await cli('run', ...config);
  expect(ran.code).toBe(4);
  expect(ran.stderr).toContain('SOURCE_AUTH, see docs/runbook.md#source_auth');
  expect(JSON.parse(ran.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
    level: 'error',
    err: { code: 'SOURCE_AUTH', fault: 'fatal' },
  });
  const checked = await cli('check', '--json', ...config);
  expect(checked.code).toBe(1);
  expect(JSON.parse(checked.stdout).findings.map(({ code }: { code: string }) => code)).toContain('SOURCE_AUTH');
  expect(ran.stdout + ran.stderr + checked.stdout).not.toContain('wr0ng-secret');
});

test('G10: an unreachable target is a finding of check, and run waits for it until stopped', async () => {
  const config = configure();
  // The first start asks the target whether its rows are of an older log, and waits for the answer; later ones do not.
  const first = startCli(['run', 'capture', ...config], { cwd: folder });
  await eventually('the log begins', () => captures(first));
  first.child.kill('SIGTERM');
  await first.finished;
  retarget(config, 'postgres://nobody@127.0.0.1:1/none');
  const checked = await cli('check', ...config);
  expect(checked.code).toBe(1);
  expect(checked.stdout).toContain('TARGET_UNREACHABLE');
  const running = startCli(['run', ...config], { cwd: folder });
  await eventually('it says that it tries again', () => (running.text().includes('TARGET_UNREACHABLE') ? true : undefined));
  await eventually('capture goes on without it', () => captures(running));
  running.child.kill('SIGTERM');
  expect(await running.finished).toMatchObject({ code: 0, stderr: '' });
});

test('a table that vanishes from the target stops everything with 4 and says what to do', async () => {
  const config = configure();
  const running = startCli(['run', ...config], { cwd: folder });
  await eventually('capture streams', () => captures(running));
  await eventually('the service has claimed', () => (running.text().includes('"partitions claimed"') ? true : undefined));
  await postgres.client.query('DROP TABLE orders');
  await mysql.connection.query("INSERT INTO orders VALUES (1, 'x')");
  const { code, stderr } = await running.finished;
  expect(code).toBe(4);
  expect(stderr).toContain('TARGET_TABLE_MISSING');
});

describe('run does not start with what check refuses', () => {
  test('a source table that is not there would pass unseen: run and run capture end with 4 and say it', async () => {
    const config = configure();
    const path = join(folder, config[1] ?? '');
    writeFileSync(path, readFileSync(path, 'utf8').replace(`${mysql.name}.orders:`, `${mysql.name}.ordres:`));
    for (const role of [['run'], ['run', 'capture']]) {
      const { code, stdout, stderr } = await cli(...role, ...config);
      expect(code).toBe(4);
      expect(stderr).toContain(`error source: ${mysql.name}.ordres`);
      expect(stderr).toContain('SOURCE_TABLE_MISSING, see docs/runbook.md#source_table_missing');
      expect(stdout).toContain('"code":"SOURCE_TABLE_MISSING"');
      expect(stdout).not.toContain('capture leads');
    }
    expect(existsSync(join(folder, `${(config[1] ?? '').replace('.yaml', '')}.crossfade.db`))).toBe(false);
  });

  test('a target that lacks a table and one that lacks a column are both said, with their statements', async () => {
    await postgres.client.query('DROP TABLE orders');
    const missing = await cli('run', 'apply', '--service', 'orders', ...configure());
    expect(missing.code).toBe(4);
    expect(missing.stderr).toContain('CREATE TABLE "public"."orders"');
    await postgres.client.query('CREATE TABLE orders (id INT)');
    const narrow = await cli('run', ...configure());
    await postgres.client.query('DROP TABLE orders');
    expect(narrow.code).toBe(4);
    expect(narrow.stderr).toContain('TARGET_COLUMN_MISSING');
    expect(narrow.stderr).toContain('TARGET_KEY_MISSING');
    expect(narrow.stderr).toContain('not started: 2 errors');
  });

  test('run capture does not ask for the tables of a target', async () => {
    await postgres.client.query('DROP TABLE orders');
    const running = startCli(['run', 'capture', ...configure()], { cwd: folder });
    await eventually('capture streams', () => captures(running));
    running.child.kill('SIGTERM');
    expect(await running.finished).toMatchObject({ code: 0, stderr: '' });
  });

  test('G10: a source that is away does not keep a service from starting', async () => {
    const running = startCli(['run', 'apply', '--service', 'orders', ...configure({ source: 'mysql://root@127.0.0.1:1' })], {
      cwd: folder,
    });
    await eventually('the service has claimed', () => (running.text().includes('"partitions claimed"') ? true : undefined));
    running.child.kill('SIGTERM');
    expect(await running.finished).toMatchObject({ code: 0, stderr: '' });
    expect(running.text()).toContain('started with parts unchecked (SOURCE_UNREACHABLE)');
  });
});

describe('check --statements', () => {
  test('into a pipe goes what one server understands', async () => {
    await mysql.connection.query('CREATE TABLE keyless (a INT)');
    await postgres.client.query('DROP TABLE orders');
    const user = freshName();
    await mysql.connection.query('CREATE USER ?@?', [user, '%']);
    await mysql.connection.query('GRANT SELECT ON *.* TO ?@?', [user, '%']);
    const config = configure({ source: `mysql://${user}@${server}` });
    const path = join(folder, config[1] ?? '');
    writeFileSync(path, readFileSync(path, 'utf8').replace(`${mysql.name}.orders:`, `${mysql.name}.orders: , ${mysql.name}.keyless:`));
    const mixed = await cli('check', '--statements', ...config);
    expect(mixed).toMatchObject({ code: 2, stdout: '' });
    expect(mixed.stderr).toContain('for 2 servers (source, orders): name one with --only source');
    const target = await cli('check', '--statements', '--only', 'orders', ...config);
    expect(target.stdout).toMatch(/^-- run on: service orders\n/);
    expect(target.stdout).toContain('CREATE TABLE "public"."orders"');
    // What cannot come is not made, and its absence is no readiness.
    expect(target.stdout).not.toContain('keyless');
    expect((await cli('check', '--only', 'orders', ...config)).stdout).toContain('SOURCE_TABLE_KEYLESS');
    const source = await cli('check', '--statements', '--only', 'source', ...config);
    expect(source.stdout).toMatch(/^-- run on: source\n/);
    expect(source.stdout).toContain('GRANT REPLICATION SLAVE');
    await mysql.connection.query('DROP USER ?@?', [user, '%']);
  });
});

describe('init', () => {
  const init = (...urls: string[]) => cli('init', ...urls, '--output', `${freshName()}.yaml`);

  test('what cannot be reached or refuses the password gets a remedy for the one who typed the URL, and no file', async () => {
    const refused = await init(`mysql://nobody:wr0ng-secret@${server}/x`);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain('Correct user, password and database in the MySQL URL, then run init again');
    const away = await init('mysql://root@127.0.0.1:1/x');
    expect(away.stderr).toContain('Look at host and port in the MySQL URL');
    expect(away.stderr).not.toContain('by itself');
    const target = new URL(postgres.url);
    target.pathname = '/nosuch';
    const nosuch = await cli('init', `mysql://root@${server}/${mysql.name}`, target.href, '--output', 'nosuch.yaml');
    expect(nosuch.code).toBe(4);
    expect(nosuch.stderr).toContain('in the postgres URL');
    expect(existsSync(join(folder, 'nosuch.yaml'))).toBe(false);
  });

  test('a URL that is none is said before a file that is there', async () => {
    writeFileSync(join(folder, 'there.yaml'), '');
    expect((await cli('init', 'foo', '--output', 'there.yaml')).stderr).toContain('the URL is not of the form mysql://');
  });

  test('a password that was not percent-encoded is named as such, without it and without a line of a file that is not there', async () => {
    const said = await init(`mysql://u:p@ss:w/rd#1@${server}/x`);
    expect(said.code).toBe(2);
    expect(said.stderr).toMatch(/percent-encode it in this URL \(@ is %40.*in\s+MYSQL_PASSWORD\s+write/s);
    expect(said.stderr).not.toMatch(/rd#1|yaml:\d/);
  });
});

test('a second signal ends at once with 130, and nothing is lost', async () => {
  const config = configure();
  const running = startCli(['run', ...config], { cwd: folder });
  await eventually('capture streams', () => captures(running));
  await eventually('the service has claimed', () => (running.text().includes('"partitions claimed"') ? true : undefined));
  await postgres.client.query('BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE');
  await mysql.connection.query("INSERT INTO orders VALUES (77, 'held')");
  await eventually('the write waits for the lock', async () => ((await someoneWaits()) ? true : undefined));
  running.child.kill('SIGINT');
  await eventually('the first signal is heard', () => (running.text().includes('"stopping') ? true : undefined));
  running.child.kill('SIGINT');
  const { code } = await running.finished;
  expect(code).toBe(130);
  await postgres.client.query('ROLLBACK');
  const again = startCli(['run', ...config], { cwd: folder });
  await eventually('capture streams', () => captures(again));
  await eventually('the held row arrives', async () =>
    (await postgres.client.query('SELECT id FROM orders WHERE id = 77')).rowCount === 1 ? true : undefined,
  );
  again.child.kill('SIGTERM');
  expect(await again.finished).toMatchObject({ code: 0 });
});

/** Somebody waits for a lock on the target's table. */
async function someoneWaits(): Promise<boolean> {
  const { rows } = await postgres.client.query(
    "SELECT count(*)::int AS held FROM pg_locks WHERE NOT granted AND relation = 'orders'::regclass",
  );
  return rows[0].held > 0;
}

test('a reader that goes away is no error', async () => {
  const { code, stdout, stderr } = await new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    const running = startCli(['config', 'schema'], { cwd: folder });
    running.child.stdout?.once('data', () => running.child.stdout?.destroy());
    void running.finished.then(resolve);
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('{');
});

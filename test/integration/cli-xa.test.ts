/** G1 G5: kill -9 between XA PREPARE and XA COMMIT, wherever it hits, loses and doubles nothing from the source to the target. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { captures, eventually, startCli, type Running } from '../support/cli.ts';
import {
  freshMysqlDatabase,
  freshName,
  freshPostgresDatabase,
  privateStack,
  type MysqlDatabase,
  type PostgresDatabase,
} from '../support/servers.ts';
import type { Stack } from '../../stack/stack.ts';

describe.each(['mysql', 'mariadb'] as const)('%s', (flavor) => {
  let folder: string;
  /** Its own: what stays prepared here would keep every other suite's new pipeline waiting. */
  let stack: Stack<'mysql' | 'mariadb'>;
  let source: MysqlDatabase;
  let postgres: PostgresDatabase;
  let running: Running | undefined;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'crossfade-xa-'));
    stack = await privateStack({ servers: [flavor] });
    source = await freshMysqlDatabase(flavor, stack.urls[flavor]);
    postgres = await freshPostgresDatabase();
  }, 120_000);
  afterAll(async () => {
    running?.child.kill('SIGKILL');
    await source[Symbol.asyncDispose]();
    await stack[Symbol.asyncDispose]();
    await postgres[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test('G1 G5: kill -9 between XA PREPARE and XA COMMIT loses and doubles nothing', async () => {
    await source.connection.query('CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)');
    await postgres.client.query('CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)');
    const url = `mysql://root@${new URL(source.url).host}`;
    writeFileSync(
      join(folder, 'crossfade.yaml'),
      `pipeline: ${freshName()}\nsource:\n  mysql:\n    url: ${url}\nservices: { s: { postgres: "${postgres.url}", tables: { ${source.name}.t: } } }\n`,
    );
    const start = async () => {
      running = startCli(['run'], { cwd: folder });
      const now = running;
      await eventually(`capture streams: ${now.text()}`, () => captures(now));
    };
    const kill = async () => {
      running?.child.kill('SIGKILL');
      await running?.finished;
    };
    const xa = async (name: string, ...statements: string[]) => {
      const session = await createConnection({ uri: source.url });
      const xid = `${source.name}-${name}`;
      for (const statement of [`XA START '${xid}'`, ...statements, `XA END '${xid}'`, `XA PREPARE '${xid}'`])
        await session.query(statement);
      await session.end();
    };
    const end = (word: string, name: string) =>
      eventually(`XA ${word}`, () =>
        source.connection.query(`XA ${word} '${source.name}-${name}'`).then(
          () => true,
          () => undefined,
        ),
      );
    const rows = async () =>
      (await postgres.client.query('SELECT id, n FROM t ORDER BY id')).rows.map(({ id, n }) => `${id}:${n}`).join(' ');
    const holds = (wanted: string) => eventually(`the target holds ${wanted}`, async () => ((await rows()) === wanted ? true : undefined));
    const insert = (id: number) => source.connection.query('INSERT INTO t VALUES (?, 0)', [id]);

    await start();
    await insert(1);
    await holds('1:0');
    await xa('a', 'INSERT INTO t VALUES (10, 0), (11, 0)', 'UPDATE t SET n = n + 1 WHERE id = 10');
    await xa('b', 'INSERT INTO t VALUES (20, 0)');
    await insert(2);
    await holds('1:0 2:0');
    await kill();
    await insert(3);
    await start();
    await holds('1:0 2:0 3:0');
    await kill();
    // Ended while nobody reads.
    await end('COMMIT', 'a');
    await start();
    await holds('1:0 2:0 3:0 10:1 11:0');
    await kill();
    await start();
    await end('ROLLBACK', 'b');
    await xa('c', 'UPDATE t SET n = n + 1');
    await kill();
    await end('COMMIT', 'c');
    await insert(4);
    await start();
    await holds('1:1 2:1 3:1 4:0 10:2 11:1');
    running?.child.kill('SIGTERM');
    expect(await running?.finished).toMatchObject({ code: 0 });
  }, 240_000);
});

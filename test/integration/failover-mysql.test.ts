/** The source fails over to a replica behind the address that the pipeline knows, on both logs. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Stack } from '../../stack/stack.ts';
import { logKinds } from '../chaos/rig/knobs.ts';
import { portOf } from '../chaos/rig/move.ts';
import { type Proxy, startProxy } from '../chaos/rig/proxy.ts';
import { captures, eventually, runCli, type Running, startCli } from '../support/cli.ts';
import { connect, tablesSql } from '../support/mysql-history.ts';
import { freshName, freshPostgresDatabase, kafkaAddress, type PostgresDatabase, privateStack } from '../support/servers.ts';

/** Each has been the primary of the other once. */
interface Node {
  readonly stack: Stack<'mysql'>;
  sql: Connection;
}

describe.each(logKinds)('log %s', (log) => {
  let first: Node;
  let second: Node;
  let proxy: Proxy;
  let target: PostgresDatabase;
  let folder: string;
  let running: Running;

  beforeAll(async () => {
    const started = Promise.all([startNode('--server-id=1'), startNode('--server-id=2'), startProxy(), freshPostgresDatabase()]);
    [first, second, proxy, target] = await started;
    // The replica's files have other names and lengths: a place in the one's means nothing in the other's.
    await second.sql.query('FLUSH BINARY LOGS; FLUSH BINARY LOGS');
    await first.sql.query(tablesSql);
    await replicate(first, second);
    await target.client.query('CREATE TABLE t (id integer PRIMARY KEY, name text)');
    proxy.pointAt(portOf(first.stack.urls.mysql));
    folder = await mkdtemp(join(tmpdir(), 'crossfade-failover-'));
    const setting = log === 'kafka' ? `{ kafka: '${await kafkaAddress()}' }` : 'embedded';
    await writeFile(
      join(folder, 'crossfade.yaml'),
      `pipeline: ${freshName()}
source: { mysql: 'mysql://root@${proxy.address}' }
log: ${setting}
http: off
services: { books: { postgres: '${target.url}', tables: { shop.t: { to: public.t } } } }
`,
    );
    running = startCli(['run'], { cwd: folder });
    await eventually(`capture streams\n${running.text()}`, () => captures(running), 180_000);
  }, 400_000);
  afterAll(async () => {
    running?.child.kill('SIGTERM');
    await running?.finished;
    for (const node of [first, second]) node?.sql.destroy();
    for (const one of [proxy, target, first?.stack, second?.stack]) await one?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  /** The log has said that it holds all of this; before, the same loss is found as a tail that is not met. */
  const vouchedFor = (gtids: string) =>
    eventually(
      `the log is complete up to ${gtids}`,
      async () => {
        const { stdout } = await runCli(['status', '--json'], { cwd: folder });
        const { log: told } = JSON.parse(stdout) as { log: { complete?: { position: string } } };
        return told.complete?.position.replaceAll(/\s/g, '') === gtids ? true : undefined;
      },
      180_000,
    );

  const visible = (id: number) =>
    eventually(
      `row ${id} in the target`,
      async () => ((await target.client.query('SELECT 1 FROM t WHERE id = $1', [id])).rowCount === 1 ? true : undefined),
      180_000,
    ).catch((error: unknown) => expect.fail(`${String(error)}\n${running.text().slice(-3000)}`));

  test(
    'section 9: a failover to a replica that has everything: the same process goes on, an open XA transaction too',
    { timeout: 600_000 },
    async () => {
      for (let id = 1; id <= 20; id += 1) await first.sql.query(`INSERT INTO t VALUES (${id}, 'before')`);
      await visible(20);
      // Prepared on the one and committed on the other: read again from its beginning, in the other's files.
      const open = await connect(first.stack.urls.mysql);
      await open.query("USE shop; XA START 'over'; INSERT INTO t VALUES (22, 'prepared'); XA END 'over'; XA PREPARE 'over'");
      await caughtUp(first, second);
      open.destroy();
      await first.stack.servers.mysql.kill('SIGKILL');
      await second.sql.query('STOP REPLICA; RESET REPLICA ALL');
      proxy.pointAt(portOf(second.stack.urls.mysql));
      await second.sql.query(
        "USE shop; INSERT INTO t VALUES (21, 'after'); UPDATE t SET name = 'after' WHERE id = 1; DELETE FROM t WHERE id = 2",
      );
      await visible(21);
      await second.sql.query("XA COMMIT 'over'");
      await visible(22);
      const rows = async () => (await target.client.query<{ id: number; name: string }>('SELECT id, name FROM t ORDER BY id')).rows;
      await eventually('the delete is visible', async () => ((await rows()).some(({ id }) => id === 2) ? undefined : true));
      const [expected] = await second.sql.query('SELECT id, name FROM t ORDER BY id');
      expect(await rows()).toEqual((expected as { id: number; name: string }[]).map(({ id, name }) => ({ id, name })));
      expect(running.child.exitCode).toBeNull();
    },
  );

  test('section 9: a failover that lost a transaction which the log has stops, with the remedy', { timeout: 600_000 }, async () => {
    // The first comes back as the replica of the second, and is cut off before the last transaction.
    await first.stack.servers.mysql.start();
    first.sql = await connect(first.stack.urls.mysql);
    await replicate(second, first);
    await caughtUp(second, first);
    await first.sql.query('STOP REPLICA IO_THREAD');
    await second.sql.query("INSERT INTO t VALUES (30, 'lost')");
    await visible(30);
    await vouchedFor(await executed(second));
    await second.stack.servers.mysql.kill('SIGKILL');
    await first.sql.query("STOP REPLICA; RESET REPLICA ALL; USE shop; INSERT INTO t VALUES (31, 'of another history')");
    proxy.pointAt(portOf(first.stack.urls.mysql));
    const { code, stdout, stderr } = await running.finished;
    expect([code, stdout + stderr]).toEqual([4, expect.stringContaining('SOURCE_HISTORY_DIVERGED')]);
    expect(stderr).toMatch(/SOURCE_HISTORY_DIVERGED, see docs\/runbook/);
    // Nothing of the other history got through.
    expect((await target.client.query('SELECT id FROM t WHERE id >= 30')).rows).toEqual([{ id: 30 }]);
  });
});

async function startNode(serverId: string): Promise<Node> {
  const stack = await privateStack({ servers: ['mysql'], extraArgs: { mysql: [serverId] } });
  return { stack, sql: await connect(stack.urls.mysql) };
}

async function replicate(source: Node, replica: Node): Promise<void> {
  await replica.sql.query(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ${portOf(source.stack.urls.mysql)}, SOURCE_USER = 'root',
     SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1; START REPLICA`,
  );
}

/** All transactions of a server, without blanks. */
async function executed({ sql }: Node): Promise<string> {
  const [rows] = await sql.query('SELECT @@GLOBAL.gtid_executed AS gtid');
  return ((rows as { gtid: string }[])[0]?.gtid ?? '').replaceAll(/\s/g, '');
}

/** The replica has all that its source has now. */
async function caughtUp(source: Node, replica: Node): Promise<void> {
  const [waited] = await replica.sql.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 120) AS late', [await executed(source)]);
  expect(waited).toEqual([{ late: 0 }]);
}

/** Logs and targets that lost something, on both logs: what section 9 says of them, with the real program. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kafka, logLevel } from 'kafkajs';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ServerName } from '../../stack/server.ts';
import type { Stack } from '../../stack/stack.ts';
import { logKinds } from '../chaos/rig/knobs.ts';
import { captures, eventually, type Finished, runCli, startCli } from '../support/cli.ts';
import { connect } from '../support/mysql-history.ts';
import { freshPostgresDatabase, type PostgresDatabase, privateStack } from '../support/servers.ts';

describe.each(logKinds)('log %s', (log) => {
  let stack: Stack;
  let sql: Connection;
  let target: PostgresDatabase;
  let folder: string;
  const timeout = 900_000;

  beforeAll(async () => {
    // Servers of its own: this suite stops the broker and puts older data in its place.
    const servers: readonly ServerName[] = log === 'kafka' ? ['mysql', 'kafka'] : ['mysql'];
    [stack, target] = await Promise.all([privateStack({ servers }), freshPostgresDatabase()]);
    sql = await connect(stack.urls.mysql);
    await sql.query('CREATE DATABASE shop; USE shop');
    folder = await mkdtemp(join(tmpdir(), 'crossfade-failover-'));
  }, 400_000);
  afterAll(async () => {
    sql?.destroy();
    for (const one of [target, stack]) await one?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const setting = () => (log === 'kafka' ? `{ kafka: '${stack.urls.kafka}' }` : 'embedded');
  const configFile = (table: string) => join(folder, `${table}.yaml`);

  /** A pipeline and its service, called like its one table. */
  async function configure(table: string): Promise<void> {
    await sql.query(`CREATE TABLE ${table} (id INT PRIMARY KEY)`);
    await target.client.query(`CREATE TABLE ${table} (id integer PRIMARY KEY)`);
    await writeFile(
      configFile(table),
      `pipeline: ${table}
source: { mysql: '${stack.urls.mysql}' }
log: ${setting()}
http: off
services:
  ${table}: { postgres: '${target.url}', tables: { shop.${table}: { to: public.${table} } } }
`,
    );
  }
  const cli = (table: string, ...args: string[]) => runCli([...args, '--config', configFile(table)], { cwd: folder });
  const ids = async (table: string) =>
    (await target.client.query<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`)).rows.map(({ id }) => id);

  /** Runs while the rows are inserted and until the target holds what is wanted, then ends it in good order. */
  async function runUntil(table: string, insert: readonly number[], wanted: readonly number[]): Promise<void> {
    const running = startCli(['run', '--config', configFile(table)], { cwd: folder });
    try {
      await eventually(`capture streams`, () => captures(running), 240_000);
      for (const id of insert) await sql.query(`INSERT INTO ${table} VALUES (?)`, [id]);
      const held = async () => (JSON.stringify(await ids(table)) === JSON.stringify(wanted) ? true : undefined);
      await eventually(`${table} holds ${wanted.join()}`, held, 240_000).catch((error: unknown) =>
        expect.fail(`${String(error)}: it holds ${JSON.stringify(running.text().slice(-3000))}`),
      );
      running.child.kill('SIGTERM');
      expect(await running.finished).toMatchObject({ code: 0 });
    } finally {
      running.child.kill('SIGKILL');
    }
  }
  const stops = ({ code, stdout, stderr }: Finished, why: string) =>
    expect([code, stdout + stderr]).toEqual([4, expect.stringContaining(why)]);

  test(
    'section 9: a target ahead of a log that lost its end: rows are skipped by version until the log has caught up',
    { timeout },
    async () => {
      await configure('ahead');
      await runUntil('ahead', [1, 2, 3], [1, 2, 3]);
      const restore = await backup('ahead');
      await runUntil('ahead', [4, 5, 6], [1, 2, 3, 4, 5, 6]);
      // A row that is written twice would come back.
      await target.client.query('DELETE FROM ahead WHERE id = 5');
      await restore();
      await runUntil('ahead', [7], [1, 2, 3, 4, 6, 7]);
    },
  );

  test('section 9: empty is not new: a target that was emptied stops its service', { timeout }, async () => {
    await configure('emptied');
    await runUntil('emptied', [1, 2], [1, 2]);
    await target.client.query(`TRUNCATE emptied; DELETE FROM crossfade.progress WHERE pipeline = 'emptied'`);
    stops(await cli('emptied', 'run', 'apply', '--service', 'emptied'), 'TARGET_PROGRESS_LOST');
    expect(await ids('emptied')).toEqual([]);
  });

  test('section 9: a log that is gone is not begun anew at the end of the source', { timeout }, async () => {
    await configure('gone');
    await runUntil('gone', [1], [1]);
    await sql.query('INSERT INTO gone VALUES (2)');
    await loseLog('gone');
    stops(await cli('gone', 'run', 'capture'), 'LOG_LOST_HISTORY');
  });

  test('section 9: a service that is new after history was deleted stops', { timeout }, async () => {
    await configure('late');
    await runUntil('late', [1, 2, 3], [1, 2, 3]);
    await deleteHistory('late');
    const file = configFile('late');
    await target.client.query('CREATE TABLE late_copy (id integer PRIMARY KEY)');
    const more = `  copy: { postgres: '${target.url}', tables: { shop.late: { to: public.late_copy } } }\n`;
    await writeFile(file, (await readFile(file, 'utf8')) + more);
    stops(await cli('late', 'run', 'apply', '--service', 'copy'), 'LOG_LOST_HISTORY');
    expect(await ids('late_copy')).toEqual([]);
    // Who had applied it goes on.
    await sql.query('INSERT INTO late VALUES (4)');
    const capture = startCli(['run', 'capture', '--config', file], { cwd: folder });
    const apply = startCli(['run', 'apply', '--service', 'late', '--config', file], { cwd: folder });
    try {
      const written = eventually('the fourth row', async () => ((await ids('late')).includes(4) ? true : undefined), 240_000);
      const said = () => `capture: ${capture.text().slice(-3000)}\napply: ${apply.text().slice(-3000)}`;
      const ended = Promise.race([capture.finished, apply.finished]).then(() => Promise.reject(new Error('a process ended')));
      await Promise.race([written, ended]).catch((error: unknown) => expect.fail(`${String(error)}\n${said()}`));
      for (const { child } of [capture, apply]) child.kill('SIGTERM');
      const codes = (await Promise.all([capture.finished, apply.finished])).map(({ code }) => code);
      expect(codes, said()).toEqual([0, 0]);
    } finally {
      for (const { child } of [capture, apply]) child.kill('SIGKILL');
    }
  });

  /** A copy of the log as it is, with nobody at it; answers how it is put back. */
  async function backup(pipeline: string): Promise<() => Promise<void>> {
    const copy = join(folder, `${pipeline}-copy`);
    if (log === 'embedded') {
      const files = (await readdir(folder)).filter((name) => name.startsWith(`${pipeline}.crossfade.db`));
      for (const name of files) await cp(join(folder, name), join(copy, name));
      return async () => {
        await loseLog(pipeline);
        for (const name of files) await cp(join(copy, name), join(folder, name));
      };
    }
    const { kafka } = stack.servers;
    const data = kafka.dataDir ?? '';
    await kafka.stop();
    await cp(data, copy, { recursive: true });
    await kafka.start();
    return async () => {
      await kafka.stop();
      await rm(data, { recursive: true, force: true });
      await cp(copy, data, { recursive: true });
      await kafka.start();
    };
  }

  async function loseLog(pipeline: string): Promise<void> {
    if (log === 'embedded') {
      for (const name of await readdir(folder)) if (name.startsWith(`${pipeline}.crossfade.db`)) await rm(join(folder, name));
      return;
    }
    await withAdmin(stack.urls.kafka, async (admin) => {
      const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(`${pipeline}.`));
      await admin.deleteTopics({ topics });
      const gone = async () => ((await admin.listTopics()).some((topic) => topics.includes(topic)) ? undefined : true);
      await eventually('the topics are gone', gone);
    });
  }

  /** What retention does: rows that every service has applied are no more. */
  async function deleteHistory(pipeline: string): Promise<void> {
    const topic = `${pipeline}.shop.${pipeline}`;
    if (log === 'embedded') {
      using file = new DatabaseSync(join(folder, `${pipeline}.crossfade.db`));
      file.exec('DELETE FROM batches; UPDATE partitions SET start_offset = end_offset');
      return;
    }
    await withAdmin(stack.urls.kafka, async (admin) => {
      const ends = await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: ends.map(({ partition, high }) => ({ partition, offset: high })) });
    });
  }
});

async function withAdmin(broker: string, work: (admin: ReturnType<Kafka['admin']>) => Promise<void>): Promise<void> {
  const admin = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.disconnect();
  }
}

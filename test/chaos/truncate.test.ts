/** TRUNCATE under fire: a stream of three partitions, two workers for each target, kill -9 around every barrier. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection, type Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FaultPoint } from '../../src/core/fault-point.ts';
import type { ServerName } from '../../stack/server.ts';
import type { Stack } from '../../stack/stack.ts';
import { eventually } from '../support/cli.ts';
import {
  freshName,
  freshPostgresDatabase,
  freshRedisPrefix,
  privateStack,
  type PostgresDatabase,
  type RedisPrefix,
} from '../support/servers.ts';
import { FaultOrders } from './rig/faults.ts';
import { Daemon } from './rig/process.ts';
import { logKinds, seed } from './rig/knobs.ts';
import { type LogKind, viewOf } from './rig/log-view.ts';
import { seededRandom } from './rig/random.ts';
import { pause } from './rig/wait.ts';

/** One of each kind in turn: who was killed is back before it is the other's turn. */
const workers = ['books-1', 'shelf-1', 'books-2', 'shelf-2'] as const;
let daemons: Daemon[];
let faults: Map<string, FaultOrders>;
let running: Map<string, Daemon>;
let folder: string;
/** Servers of this suite's own: what others do on a shared one, and capture refuses, would end it. */
let stack: Stack;
let mysql: Connection;
/** Another one for each log: a target remembers the pipelines that filled it, and the shared Redis outlives both. */
let name: string;
let postgres: PostgresDatabase;
let redis: RedisPrefix;

async function begin(log: LogKind): Promise<void> {
  name = freshName();
  [daemons, faults, running] = [[], new Map(), new Map()];
  const servers: readonly ServerName[] = log === 'kafka' ? ['mysql', 'kafka'] : ['mysql'];
  [stack, postgres, redis] = await Promise.all([privateStack({ servers }), freshPostgresDatabase(), freshRedisPrefix()]);
  mysql = await createConnection({ uri: stack.urls.mysql });
  await mysql.query(`CREATE DATABASE ${name}`);
  await mysql.query(`USE ${name}`);
  folder = await mkdtemp(join(tmpdir(), 'crossfade-truncate-'));
  for (const table of ['carts', 'parts']) {
    await mysql.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, note VARCHAR(40))`);
    await postgres.client.query(`CREATE TABLE ${table} (id integer PRIMARY KEY, note text)`);
  }
  const { setting } = viewOf(log, { pipeline: name, folder, kafka: log === 'kafka' ? stack.urls.kafka : undefined });
  // Named, since the shared Redis may have been filled for a service of this name before.
  const [rows] = await mysql.query('SELECT @@GLOBAL.gtid_executed AS gtid');
  const gtid = String((rows as { gtid: string }[])[0]?.gtid).replaceAll(/\s/g, '');
  await writeFile(join(folder, 'crossfade.yaml'), configuration(setting, gtid));
  start('capture', 'run', 'capture');
  for (const worker of workers) start(worker, 'run', 'apply', '--service', worker.slice(0, 5));
  await eventually('capture streams', async () => ((await logs()).includes('capture streams') ? true : undefined), 120_000);
}

async function end(): Promise<void> {
  await Promise.all(daemons.map((one) => one.stop()));
  mysql?.destroy();
  for (const one of [stack, postgres, redis]) await one?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}

function configuration(log: string, gtid: string): string {
  return `pipeline: ${name}
source: { mysql: { url: '${stack.urls.mysql}', start: { gtid: ${JSON.stringify(gtid)} } } }
log: ${log}
streams: { both: { tables: [${name}.carts, ${name}.parts], partitions: 3 } }
services:
  books: { postgres: '${postgres.url}', tables: { ${name}.carts: { to: public.carts }, ${name}.parts: { to: public.parts } } }
  shelf: { redis: '${redis.url}', tables: { ${name}.carts: { key: '${redis.prefix}cart:{id}' }, ${name}.parts: { key: '${redis.prefix}part:{id}' } } }
`;
}

function start(name: string, ...args: string[]): void {
  const orders = new FaultOrders(folder, name);
  const daemon = new Daemon([...args, '--config', join(folder, 'crossfade.yaml')], join(folder, `${name}.log`), orders.env).start();
  daemons.push(daemon);
  running.set(name, daemon);
  faults.set(name, orders);
}

const logs = async () => {
  const texts = await Promise.all(['capture', ...workers].map((name) => readFile(join(folder, `${name}.log`), 'utf8').catch(() => '')));
  return texts.map((text) => text.slice(-2000)).join('\n---\n');
};

const errors = async () => {
  const texts = await Promise.all(['capture', ...workers].map((name) => readFile(join(folder, `${name}.log`), 'utf8').catch(() => '')));
  return texts
    .flatMap((text) => text.split('\n').filter((line) => /"level":"(error|fatal)"|Error/.test(line)))
    .slice(0, 10)
    .join('\n');
};

type Rows = readonly (readonly [number, string | null])[];
const sorted = (rows: Rows) => [...rows].sort((a, b) => a[0] - b[0]);

async function everywhere(table: 'carts' | 'parts') {
  const [source] = await mysql.query(`SELECT id, note FROM ${table}`);
  const target = await postgres.client.query<{ id: number; note: string | null }>(`SELECT id, note FROM ${table}`);
  const keys = await redis.client.keys(`${redis.prefix}${table.slice(0, -1)}:*`);
  const hashes = await Promise.all(keys.map((key) => redis.client.hgetall(key)));
  const plain = (row: { id: number; note: string | null }): [number, string | null] => [row.id, row.note];
  return {
    source: sorted((source as { id: number; note: string | null }[]).map(plain)),
    books: sorted(target.rows.map(plain)),
    shelf: sorted(hashes.map(({ id, note }): [number, string | null] => [Number(id), note ?? null])),
  };
}

/** Rows of both tables come and go, and every now and then one of them is emptied. */
async function work(random: ReturnType<typeof seededRandom>, statements: number): Promise<void> {
  for (let count = 0; count < statements; count += 1) {
    const table = random.pick(['carts', 'parts'] as const);
    const id = random.below(60);
    const roll = random.next();
    if (roll < 0.06) await mysql.query(`TRUNCATE TABLE ${table}`);
    else if (roll < 0.2) await mysql.query(`DELETE FROM ${table} WHERE id = ?`, [id]);
    else await mysql.query(`REPLACE INTO ${table} VALUES (?, ?)`, [id, roll < 0.3 ? null : `${count}-${random.below(1e6)}`]);
  }
}

/** A few statements a second, so that there is something to do, until it is known; answers it. */
async function workUntil(random: ReturnType<typeof seededRandom>, known: Promise<boolean> | undefined): Promise<boolean> {
  let answer: boolean | undefined;
  void known?.then((value) => (answer = value));
  const isKnown = () => answer !== undefined || known === undefined;
  while (!isKnown()) {
    await work(random, 5);
    await pause(200);
  }
  return answer ?? false;
}

describe.each(logKinds)(`TRUNCATE under fire, seed ${seed}, log %s`, (log) => {
  beforeAll(() => begin(log), 300_000);
  afterAll(end);

  it(
    'G1 G2 G3 G4: tables that are truncated in a stream of three partitions, workers killed at every point',
    { timeout: 1_800_000 },
    async () => {
      const random = seededRandom(seed);
      let kills = 0;
      const points: readonly FaultPoint[] = ['apply:read', 'sink:before-commit', 'sink:after-commit', 'apply:written'];
      for (const point of points) {
        for (const worker of workers) {
          const ordered = faults.get(worker)?.order(point, 'SIGKILL', 60_000);
          await work(random, 60);
          // A worker without a share has nothing to do at this point; then the order lapses. Who has one may still be behind.
          if (await workUntil(random, ordered)) kills += 1;
        }
      }
      running.get('capture')?.kill('SIGKILL');
      await work(random, 200);
      const same = async () => {
        const [carts, parts] = [await everywhere('carts'), await everywhere('parts')];
        const texts = [carts, parts].map(({ source, books, shelf }) => [source, books, shelf].map((rows) => JSON.stringify(rows)));
        return texts.every(([source, books, shelf]) => source === books && source === shelf) ? true : undefined;
      };
      await eventually('targets equal the source', same, 240_000).catch(async () => {
        expect.fail(`${JSON.stringify([await everywhere('carts'), await everywhere('parts')])}\n${await logs()}`);
      });
      expect(
        daemons.flatMap(({ ends }) => ends),
        await errors(),
      ).toEqual([]);
      expect(kills).toBeGreaterThan(8);
      expect(await logs()).toContain('TRUNCATE');
    },
  );
});

import { randomBytes } from 'node:crypto';

import { Redis } from 'ioredis';
import type { Connection } from 'mysql2/promise';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { inject } from 'vitest';

import type { Server, ServerName } from '../../stack/server.ts';
import type { Stack } from '../../stack/stack.ts';
import { openStack, startStack } from '../../stack/stack.ts';
import './global-setup.ts';

/** A database of one suite on the shared MySQL or MariaDB; disposing drops it. */
export interface MysqlDatabase extends AsyncDisposable {
  readonly name: string;
  /** The DSN with the database in it. */
  readonly url: string;
  /** Open, with this database chosen, as a user who may do everything. */
  readonly connection: Connection;
}

/** A database of one suite on the shared Postgres; disposing drops it, whoever is still connected. */
export interface PostgresDatabase extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  readonly client: Client;
}

/** A key prefix of one suite on the shared Redis; disposing deletes every key that begins with it. */
export interface RedisPrefix extends AsyncDisposable {
  /** Ends in a colon. */
  readonly prefix: string;
  readonly url: string;
  readonly client: Redis;
}

const started = new Map<ServerName, Promise<Stack>>();

/** The shared server of this test run; one that the run did not start (mariadb, kafka) is started once for this file. */
async function sharedServer(name: ServerName): Promise<Server> {
  // Outside a project with the global set-up nothing is provided, and `inject` then answers undefined.
  const provided = inject('stack') as ReturnType<typeof inject<'stack'>> | undefined;
  const own = provided?.[name];
  if (own) return openStack({ [name]: own }).servers[name];
  const starting = started.get(name) ?? startStack({ servers: [name], log: progress });
  started.set(name, starting);
  return (await starting).servers[name];
}

/** Servers of one suite alone, which it may kill, freeze and wipe; they end with the suite, however that ends. */
export async function privateStack<Name extends ServerName>(options: {
  readonly servers: readonly Name[];
  readonly extraArgs?: Readonly<Partial<Record<ServerName, readonly string[]>>>;
}): Promise<Stack<Name>> {
  return await startStack({ ...options, log: progress, isPrivate: true });
}

/** A new, empty database on the shared MySQL (or MariaDB), or on a server of the suite's own (`at`: its URL). */
export async function freshMysqlDatabase(server: 'mysql' | 'mariadb' = 'mysql', at?: string): Promise<MysqlDatabase> {
  const base = at ?? (await sharedServer(server)).url;
  const name = freshName();
  const connection = await createConnection({ uri: base, supportBigNumbers: true, bigNumberStrings: true, dateStrings: true });
  await connection.query(`CREATE DATABASE ${name}`);
  await connection.query(`USE ${name}`);
  return {
    name,
    url: withDatabase(base, name),
    connection,
    [Symbol.asyncDispose]: async () => {
      // The suite may have ended or broken its connection: the drop goes through one of its own.
      connection.destroy();
      const cleaner = await createConnection({ uri: base });
      await cleaner.query(`DROP DATABASE IF EXISTS ${name}`);
      await cleaner.end();
    },
  };
}

/** A new, empty database on the shared Postgres. */
export async function freshPostgresDatabase(): Promise<PostgresDatabase> {
  const base = (await sharedServer('postgres')).url;
  const name = freshName();
  const execute = async (sql: string) => {
    const admin = await connected(base);
    try {
      await admin.query(sql);
    } finally {
      await admin.end();
    }
  };
  await execute(`CREATE DATABASE ${name}`);
  const url = withDatabase(base, name);
  const client = await connected(url);
  return {
    name,
    url,
    client,
    [Symbol.asyncDispose]: async () => {
      // Already closed by the suite or by a server that was killed: either way there is nothing left to close.
      await client.end().catch(() => undefined);
      await execute(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/** A key prefix that nobody else uses, on the shared Redis. */
export async function freshRedisPrefix(): Promise<RedisPrefix> {
  const { url } = await sharedServer('redis');
  const prefix = `${freshName()}:`;
  const client = new Redis(url);
  return {
    prefix,
    url,
    client,
    [Symbol.asyncDispose]: async () => {
      client.disconnect();
      const cleaner = new Redis(url);
      let cursor = '0';
      do {
        const [next, keys] = await cleaner.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', 1000);
        if (keys.length > 0) await cleaner.unlink(...keys);
        cursor = next;
      } while (cursor !== '0');
      await cleaner.quit();
    },
  };
}

/** `host:port` of the shared Kafka. */
export async function kafkaAddress(): Promise<string> {
  return (await sharedServer('kafka')).url;
}

/** A name that no other suite uses, good as a database, a topic or a pipeline: `t_` and twelve characters. */
export function freshName(): string {
  return `t_${randomBytes(6).toString('hex')}`;
}

async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  // A connection that the server cuts is the test's subject often enough; without a listener it would end the process.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

function withDatabase(url: string, name: string): string {
  const parsed = new URL(url);
  parsed.pathname = `/${name}`;
  return parsed.href;
}

function progress(line: string): void {
  process.stderr.write(`stack: ${line}\n`);
}

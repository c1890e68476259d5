import { Redis } from 'ioredis';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';

import type { ComposeProject } from './compose-project.ts';

/** The shop of deploy/compose as its three stores see it, reached from outside of the containers. */
export interface Shop extends AsyncDisposable {
  /** Runs one statement in MySQL as root. */
  write(sql: string): Promise<void>;
  /** Orders in Postgres as `id customer total status`, in the order of their ids. */
  orders(): Promise<readonly string[]>;
  /** The quantity of one article in Redis. */
  quantity(sku: string): Promise<string | null>;
}

/** Opens a connection to each store with the project's passwords and ports. */
export async function openShop({ ports, secrets }: ComposeProject): Promise<Shop> {
  const host = '127.0.0.1';
  const secret = (name: string) => secrets.get(name) ?? '';
  await using opening = new AsyncDisposableStack();
  const mysql = await createConnection({ host, port: ports.MYSQL_PORT, user: 'root', password: secret('mysql_root'), database: 'shop' });
  opening.defer(() => mysql.destroy());
  const postgres = new Client({
    host,
    port: ports.POSTGRES_PORT,
    user: 'crossfade',
    password: secret('postgres_crossfade'),
    database: 'orders',
  });
  postgres.on('error', () => undefined);
  await postgres.connect();
  opening.defer(() => postgres.end());
  const redis = new Redis({ host, port: ports.REDIS_PORT, password: secret('redis'), lazyConnect: true });
  redis.on('error', () => undefined);
  opening.defer(() => redis.disconnect());
  await redis.connect();
  const opened = opening.move();
  return {
    write: async (sql) => void (await mysql.query(sql)),
    orders: async () => {
      const { rows } = await postgres.query<{ line: string }>(
        `SELECT concat_ws(' ', id, customer, total, status) AS line FROM orders ORDER BY id`,
      );
      return rows.map(({ line }) => line);
    },
    quantity: (sku) => redis.hget(`stock:${sku}`, 'quantity'),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

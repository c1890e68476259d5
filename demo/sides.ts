/** The demo's own eyes on MySQL, Postgres and Redis: nothing here is Crossfade's, so it can bear witness. */
import { Redis } from 'ioredis';
import { createPool, type Pool as MysqlPool, type RowDataPacket } from 'mysql2/promise';
import { Pool } from 'pg';

import type { TableRows } from './screen.ts';
import { shopDatabase, shopTables } from './shop.ts';

export interface SideUrls {
  readonly mysql: string;
  /** Of the service's own database. */
  readonly postgres: string;
  readonly redis: string;
}

export const stockPrefix = 'stock:';

export class Sides implements AsyncDisposable {
  readonly mysql: MysqlPool;
  readonly postgres: Pool;
  readonly redis: Redis;

  constructor(urls: SideUrls) {
    this.mysql = createPool({
      uri: urls.mysql,
      database: shopDatabase,
      connectionLimit: 3,
      connectTimeout: 2000,
      timezone: 'Z',
      charset: 'utf8mb4',
    });
    this.postgres = new Pool({ connectionString: urls.postgres, max: 3, connectionTimeoutMillis: 2000 });
    this.redis = new Redis(urls.redis, {
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      connectTimeout: 2000,
      retryStrategy: () => 250,
    });
    // A killed server is part of the show; the query that meets it fails and is asked again.
    this.postgres.on('error', () => undefined);
    this.redis.on('error', () => undefined);
  }

  async newestOrder(): Promise<number> {
    const { rows } = await this.postgres.query<{ id: string | null }>('SELECT max(id)::text AS id FROM orders');
    return Number(rows[0]?.id ?? 0);
  }

  async revisionOf(sku: string): Promise<number> {
    return Number((await this.redis.hget(stockPrefix + sku, 'revision')) ?? 0);
  }

  /** Rows of each table on each side; undefined where a server does not answer now. */
  async countRows(): Promise<TableRows[]> {
    const [postgres, redis] = await Promise.all([this.#postgresCounts().catch(() => undefined), this.stockKeys().catch(() => undefined)]);
    // The source last: a target that looks as if it were ahead of it would only puzzle.
    const mysql = await this.#mysqlCounts().catch(() => undefined);
    return shopTables.map(({ name, targets }) => ({
      table: name,
      mysql: mysql?.get(name),
      postgres: postgres?.get(name),
      redis: targets.includes('redis') ? redis?.length : null,
    }));
  }

  async #mysqlCounts(): Promise<Map<string, number>> {
    const [rows] = await this.mysql.query<RowDataPacket[]>(countStatement);
    return new Map(rows.map((row) => [String(row['name']), Number(row['n'])]));
  }

  async #postgresCounts(): Promise<Map<string, number>> {
    const { rows } = await this.postgres.query<{ name: string; n: string }>(countStatement);
    return new Map(rows.map((row) => [row.name, Number(row.n)]));
  }

  /** The keys of the storefront's hashes. */
  async stockKeys(): Promise<string[]> {
    const keys = new Set<string>();
    let cursor = '0';
    do {
      const [next, page] = await this.redis.scan(cursor, 'MATCH', `${stockPrefix}*`, 'COUNT', 1000);
      for (const key of page) keys.add(key);
      cursor = next;
    } while (cursor !== '0');
    return [...keys];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.redis.disconnect();
    await Promise.allSettled([this.mysql.end(), this.postgres.end()]);
  }
}

const countStatement = shopTables.map(({ name }) => `SELECT '${name}' AS name, count(*) AS n FROM ${name}`).join(' UNION ALL ');

/** How far the targets are: their own progress, read by plain clients. The same on every log. */
import { Redis } from 'ioredis';
import pg from 'pg';

/** Grows with every batch that is visible in Postgres; rejects while it is down. */
export async function appliedInPostgres(url: string, service: string): Promise<number> {
  const rows = await ask<{ sum: string | null }>(url, 'SELECT sum(next_offset) AS sum FROM crossfade.progress WHERE service = $1', [
    service,
  ]);
  return Number(rows[0]?.sum ?? 0);
}

/** Of each partition of a topic, the offset behind what is visible in Postgres. */
export async function offsetsInPostgres(url: string, service: string, topic: string): Promise<Map<string, number>> {
  const rows = await ask<{ partition: string; next_offset: string | null }>(
    url,
    'SELECT partition, next_offset FROM crossfade.progress WHERE service = $1 AND partition LIKE $2',
    [service, `${topic}#%`],
  );
  return new Map(rows.map((row) => [row.partition, Number(row.next_offset ?? 0)]));
}

/** Of each partition, the epoch of its owner. */
export async function ownersInPostgres(url: string, service: string): Promise<Map<string, string>> {
  const sql = 'SELECT partition, owner_epoch FROM crossfade.progress WHERE service = $1 ORDER BY partition';
  const rows = await ask<{ partition: string; owner_epoch: string }>(url, sql, [service]);
  return new Map(rows.map((row) => [row.partition, row.owner_epoch]));
}

async function ask<Row extends pg.QueryResultRow>(url: string, sql: string, parameters: readonly string[]): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<Row>(sql, [...parameters])).rows;
  } catch (error) {
    // The first apply makes the table: before that nothing is applied.
    if ((error as { code?: unknown }).code === '42P01') return [];
    throw error;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Grows with every batch that is visible in Redis; rejects while it is down. */
export async function appliedInRedis(url: string, service: string): Promise<number> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 2000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const keys = (await client.keys('crossfade:*:progress:*')).filter((key) => key.includes(`/${service}}`));
    const offsets = await Promise.all(keys.map((key) => client.hget(key, 'next_offset')));
    return offsets.reduce((sum, offset) => sum + Number(offset ?? 0), 0);
  } finally {
    client.disconnect();
  }
}

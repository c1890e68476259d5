/** Commit → visible at a steady rate: 5-row inserts into MySQL, a reader that looks in Postgres every millisecond. */
import { setTimeout as sleep } from 'node:timers/promises';

import { createConnection } from 'mysql2/promise';
import type { Client } from 'pg';

import { percentile } from '../demo/lag-meter.ts';
import { startCrossfade } from './end-to-end.ts';
import { benchDatabase } from './load.ts';

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly samples: number;
  readonly rowsPerSecond: number;
}

const rowsPerStatement = 5;
const warmUpSeconds = 3;

export async function measureLatency(options: {
  readonly folder: string;
  readonly mysqlUrl: string;
  readonly client: Client;
  readonly table: string;
  readonly rowsPerSecond: number;
  readonly seconds: number;
}): Promise<Latency> {
  const { folder, client, table, rowsPerSecond, seconds } = options;
  await using running = startCrossfade(folder);
  const mysql = await createConnection({ uri: options.mysqlUrl, database: benchDatabase, timezone: 'Z' });
  const stop = new AbortController();
  const sent: { lastId: number; atMs: number }[] = [];
  try {
    const writing = write(mysql, { table, rowsPerSecond, seconds: seconds + warmUpSeconds, sent });
    const reading = read(client, table, sent, stop.signal);
    const writtenSeconds = await Promise.race([writing, running.failed]);
    await Promise.race([untilEmpty(sent), running.failed, sleep(20_000, undefined, { ref: false })]);
    stop.abort();
    const seen = await reading;
    if (sent.length > 0) throw new Error(`${sent.length} inserts were not visible 20 s after the last`);
    const lags = seen.filter(({ sentMs }) => sentMs > (seen[0]?.sentMs ?? 0) + warmUpSeconds * 1000).map(({ lagMs }) => lagMs);
    const rows = ((seen.length * rowsPerStatement) / writtenSeconds) | 0;
    return {
      p50Ms: percentile(lags, 0.5) ?? Infinity,
      p99Ms: percentile(lags, 0.99) ?? Infinity,
      samples: lags.length,
      rowsPerSecond: rows,
    };
  } finally {
    stop.abort();
    await mysql.end();
  }
}

type Sent = { lastId: number; atMs: number }[];

/** Answers how many seconds it took. The clock is read before the statement is sent: MySQL's own time is part of the figure. */
async function write(
  mysql: Awaited<ReturnType<typeof createConnection>>,
  { table, rowsPerSecond, seconds, sent }: { table: string; rowsPerSecond: number; seconds: number; sent: Sent },
): Promise<number> {
  const startedMs = performance.now();
  const row = "(?,1,'SKU-1','latency probe','new',1.00,1,NOW(3),NOW(),NULL)";
  const sql = `INSERT INTO ${table} VALUES ${Array.from({ length: rowsPerStatement }, () => row).join(',')}`;
  for (let id = 1; performance.now() - startedMs < seconds * 1000; id += rowsPerStatement) {
    const waitMs = startedMs + (id / rowsPerSecond) * 1000 - performance.now();
    if (waitMs > 1) await sleep(waitMs);
    const ids = Array.from({ length: rowsPerStatement }, (_, index) => id + index);
    sent.push({ lastId: id + rowsPerStatement - 1, atMs: performance.now() });
    await mysql.query(sql, ids);
  }
  return (performance.now() - startedMs) / 1000;
}

async function read(client: Client, table: string, sent: Sent, signal: AbortSignal): Promise<{ sentMs: number; lagMs: number }[]> {
  const seen: { sentMs: number; lagMs: number }[] = [];
  while (!signal.aborted) {
    const { rows } = await client.query<{ id: string | null }>(`SELECT max(id)::text AS id FROM ${table}`);
    const nowMs = performance.now();
    while (sent[0] && sent[0].lastId <= Number(rows[0]?.id ?? 0)) {
      const { atMs } = sent.shift() as { atMs: number };
      seen.push({ sentMs: atMs, lagMs: nowMs - atMs });
    }
    await sleep(1);
  }
  return seen;
}

async function untilEmpty(sent: Sent): Promise<void> {
  while (sent.length > 0) await sleep(5);
}

import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';

import { changesOf, tableDefinition, type DataSet } from './data-set.ts';
import type { Say } from './say.ts';
import { mysqlDigest, type Digest } from './target.ts';

export const benchDatabase = 'crossfade_bench';

export interface Loaded {
  readonly set: DataSet;
  /** The source's executed GTID set before the first row. */
  readonly startGtid: string;
  /** The binlog files that hold the set, and their bytes. */
  readonly binlogs: readonly string[];
  readonly binlogBytes: number;
  /** Of the whole table, once for all figures: the source does not change any more. */
  readonly digest: Digest;
}

/** Makes the table and writes the whole set into it; the binlog then holds it for every figure that follows. */
export async function load(url: string, set: DataSet, say: Say): Promise<Loaded> {
  const connection = await createConnection({ uri: url, database: benchDatabase, multipleStatements: true, timezone: 'Z' });
  try {
    // A file of its own, so that a peer can be given exactly these bytes.
    await connection.query(`FLUSH BINARY LOGS; SET time_zone = '+00:00'`);
    await connection.query(tableDefinition(set.table));
    const before = await executedGtids(connection);
    const first = (await binlogs(connection)).at(-1)?.name ?? '';
    await withoutSync(connection, async () => await fill(connection, set, say));
    const files = (await binlogs(connection)).filter(({ name }) => name >= first);
    await connection.query('FLUSH BINARY LOGS');
    const binlogBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
    const digest = await say.during(`reading ${set.table} in full`, () => mysqlDigest(url, benchDatabase, set.table));
    return { set, digest, startGtid: before, binlogs: files.map(({ name }) => name), binlogBytes };
  } finally {
    await connection.end();
  }
}

async function fill(connection: Connection, set: DataSet, say: Say): Promise<void> {
  const startedMs = performance.now();
  let bytes = 0;
  for (const text of set.texts()) {
    await connection.query(text);
    bytes += text.length;
    say.progress(`loading ${set.name}: ${(bytes / 1e6).toFixed(0)} MB of statements`);
  }
  say.line(
    `loaded ${set.name}: ${changesOf(set).toLocaleString('en-US')} changes in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`,
  );
}

/** The load is no figure: it need not wait for the disk. What is measured later runs with the server's own settings. */
async function withoutSync(connection: Connection, work: () => Promise<void>): Promise<void> {
  const [rows] = await connection.query<RowDataPacket[]>('SELECT @@sync_binlog AS binlog, @@innodb_flush_log_at_trx_commit AS redo');
  await connection.query('SET GLOBAL sync_binlog = 0; SET GLOBAL innodb_flush_log_at_trx_commit = 2');
  try {
    await work();
  } finally {
    await connection.query(
      `SET GLOBAL sync_binlog = ${rows[0]?.['binlog']}; SET GLOBAL innodb_flush_log_at_trx_commit = ${rows[0]?.['redo']}`,
    );
  }
}

export async function executedGtids(connection: Connection): Promise<string> {
  const [rows] = await connection.query<RowDataPacket[]>('SELECT @@GLOBAL.gtid_executed AS gtid');
  return String(rows[0]?.['gtid']).replaceAll(/\s/g, '');
}

async function binlogs(connection: Connection): Promise<{ name: string; bytes: number }[]> {
  const [rows] = await connection.query<RowDataPacket[]>('SHOW BINARY LOGS');
  return rows.map((row) => ({ name: String(row['Log_name']), bytes: Number(row['File_size']) }));
}

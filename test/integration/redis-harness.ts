/** One table, one Redis, any number of sinks: what the Redis suites share. */
import type { Redis } from 'ioredis';

import { redisSchema } from '../../connectors/redis/config.ts';
import { openRedisSink } from '../../connectors/redis/sink.ts';
import type { Change, ColumnKind, Row, TableSchema } from '../../src/core/change.ts';
import type { Entry, Progress, Sink, SinkBatch } from '../../src/core/sink-port.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { versionOf, versionPrefix } from '../../src/core/version.ts';

export const quiet: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export function tableOf(columns: Readonly<Record<string, ColumnKind>>, key: readonly string[] = ['id']): TableSchema {
  return {
    id: `s${Object.keys(columns).length}`,
    table: { database: 'shop', table: 'stock' },
    key,
    columns: Object.entries(columns).map(([name, kind]) => ({ name, kind, nullable: !key.includes(name), type: kind })),
  };
}

/** The version of the row at `at` in the source's one order. */
export const versionAt = (at: number) => versionOf(versionPrefix({ epoch: 1, file: 1, offset: 4 }), at, 2);

const entryAt = (schema: TableSchema, at: number, change: Change): Entry => ({
  mapping: 0,
  event: { ...change, schema, version: versionAt(at), committedAtUs: at, transactionId: `uuid:${at}` },
});

export const progressAt = (nextOffset: number, at = nextOffset): Progress => ({
  logId: 'log-1',
  nextOffset,
  lastOffset: nextOffset - 1,
  term: 1,
  version: versionAt(at),
  transactionId: `uuid:${at}`,
  committedAtUs: at,
  mappingHash: 'hash',
});

/** The changes, as many offsets further than `from`; versions are the offsets unless `at` says otherwise. */
export function batchOf(partition: PartitionId, schema: TableSchema, from: number, changes: readonly Change[], at = from): SinkBatch {
  const entries = changes.map((change, index) => entryAt(schema, at + index, change));
  return { partition, entries, progress: progressAt(from + changes.length, at + changes.length), open: false };
}

/** A sink of one mapping with this key template. */
export function openSink(url: string, pipeline: string, key: string, schema: TableSchema): Promise<Sink> {
  const mappings = [{ source: schema.table, transforms: [], target: '', options: { shape: 'hash', key } }];
  return openRedisSink(redisSchema.parse(url), { pipeline, service: 'stock', mappings, logger: quiet });
}

/** Every hash whose key begins with `prefix`, without our version field. */
export async function hashes(client: Redis, prefix: string): Promise<Record<string, Record<string, string>>> {
  const keys = (await client.keys(`${prefix}*`)).sort();
  const found = await Promise.all(keys.map((key) => client.hgetall(key)));
  return Object.fromEntries(
    found.map(({ __version, ...fields }, at) => {
      if (__version === undefined) throw new Error('a hash without a version');
      return [keys[at] as string, fields];
    }),
  );
}

export async function removeOwnKeys(client: Redis, pipeline: string): Promise<void> {
  const keys = await client.keys(`crossfade:{${pipeline}/*`);
  if (keys.length > 0) await client.del(keys);
}

/** What the hash of a row must be. */
export function fieldsOf(row: Row): Record<string, string> {
  return Object.fromEntries(
    Object.entries(row).flatMap(([name, value]) => (value === null ? [] : [[name, String(value as string | number)]])),
  );
}

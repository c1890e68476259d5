/** What a TRUNCATE removes from a real Redis, and what it leaves alone. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

import { Barriers } from '../../connectors/redis/barrier.ts';
import { ownKeys } from '../../connectors/redis/progress.ts';
import { hashMapping } from '../../connectors/redis/row-batch.ts';
import { Sweeper } from '../../connectors/redis/sweep.ts';
import type { Change, Row } from '../../src/core/change.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Sink, SinkBatch } from '../../src/core/sink-port.ts';
import { freshRedisPrefix, type RedisPrefix } from '../support/servers.ts';
import { batchOf, openSink, progressAt, quiet, removeOwnKeys, tableOf, versionAt } from './redis-harness.ts';

const stock = tableOf({ id: 'integer', sku: 'string' });
const insert = (id: number): Change => ({ op: 'insert', after: { id, sku: `s${id}` } satisfies Row });
const many = (count: number) => Array.from({ length: count }, (_, id) => insert(id));

let redis: RedisPrefix;
let pipeline = '';
let prefix = '';
let count = 0;
const opened: Sink[] = [];
const p = 't#0';
const open = async (key: string) => {
  const sink = await openSink(redis.url, pipeline, key, stock);
  opened.push(sink);
  await sink.claim([p]);
  return sink;
};

beforeAll(async () => {
  redis = await freshRedisPrefix();
});
afterAll(() => redis[Symbol.asyncDispose]());
beforeEach(() => {
  count += 1;
  prefix = `${redis.prefix}${count}:`;
  pipeline = prefix.slice(0, -1).replace(':', '-');
});
afterEach(async () => {
  for (const sink of opened.splice(0)) await sink[Symbol.asyncDispose]();
  await removeOwnKeys(redis.client, pipeline);
});

/** A TRUNCATE behind `from` offsets, at the version of the row at `at`. */
function truncate(partition: PartitionId, from: number, at: number, all: readonly PartitionId[] = [partition]): SinkBatch {
  const batch = batchOf(partition, stock, from, [{ op: 'truncate' }], at);
  return { ...batch, progress: { ...progressAt(from + 1, at + 1), version: versionAt(at) }, barrier: all };
}

async function through(sink: Sink, batch: SinkBatch): Promise<number> {
  for (let calls = 1; calls < 1000; calls += 1) if ((await sink.write(batch)) === 'committed') return calls;
  throw new Error('it waited in vain');
}
const names = async () => (await redis.client.keys('*')).filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));

test('G4: rows older than it go; newer ones, and keys that are not of this template, stay', async () => {
  const sink = await open(`${prefix}row:{id}`);
  await sink.write(batchOf(p, stock, 0, many(3)));
  const { client } = redis;
  // All of these match the pattern row:*, and none is a row of this table that is older.
  await client.hset(`${prefix}row:1:detail`, { __version: versionAt(0), x: '1' });
  await client.hset(`${prefix}row:77`, { note: 'of another program' });
  await client.set(`${prefix}row:78`, 'a text');
  await client.hset(`${prefix}row:79`, { __version: versionAt(5000), id: '79' });
  await client.hset(`${prefix}other:1`, { __version: versionAt(0) });
  await through(sink, truncate(p, 3, 3));
  expect((await names()).sort()).toEqual(['other:1', 'row:1:detail', 'row:77', 'row:78', 'row:79']);
  await sink.write(batchOf(p, stock, 4, [insert(1)]));
  expect(await client.hget(`${prefix}row:1`, 'sku')).toBe('s1');
});

test('a template of odd characters is found as it is written', async () => {
  for (const template of [`a*b?[x]\\{id}`, `{{{id}}}`, `é.+({id})|$`]) {
    const sink = await open(prefix + template);
    await sink.write(batchOf(p, stock, 0, many(3)));
    expect((await names()).length).toBe(3);
    await redis.client.hset(`${prefix}aXb?x`, { __version: versionAt(0) });
    await through(sink, truncate(p, 3, 3));
    expect(await names()).toEqual(['aXb?x']);
    await redis.client.del(`${prefix}aXb?x`);
    await sink.reset([p]);
  }
});

test('G4: what was deleted before it is forgotten with it, and a replay brings nothing back', async () => {
  const sink = await open(`${prefix}{id}`);
  await sink.write(batchOf(p, stock, 0, many(5)));
  await sink.write(batchOf(p, stock, 5, [{ op: 'delete', before: { id: 1, sku: 's1' } }]));
  const tombstones = ownKeys(pipeline, 'stock').tombstones(p);
  expect(await redis.client.hlen(tombstones)).toBe(1);
  await through(sink, truncate(p, 6, 6));
  expect(await redis.client.exists(tombstones)).toBe(0);
  await sink.reset([p]);
  await sink.claim([p]);
  await sink.write(batchOf(p, stock, 0, many(5)));
  await sink.write(batchOf(p, stock, 5, [{ op: 'delete', before: { id: 1, sku: 's1' } }]));
  await through(sink, truncate(p, 6, 6));
  expect(await names()).toEqual([]);
  expect(await redis.client.exists(tombstones)).toBe(0);
});

test('section 9: its work goes in slices; whoever takes over in the middle ends it, and only then the progress moves', async () => {
  const [q, all] = ['t#1', ['t#0', 't#1']];
  const sink = await open(`${prefix}{id}`);
  const epochs = await sink.claim([p, q]);
  expect(epochs.size).toBe(0);
  for (let from = 0; from < 12_000; from += 2000) {
    await sink.write(batchOf(p, stock, from, many(12_000).slice(from, from + 2000)));
  }
  const keys = ownKeys(pipeline, 'stock');
  const mappings = [hashMapping({ source: stock.table, transforms: [], target: '', options: { key: `${prefix}{id}` } })];
  const patient = () => new Barriers(keys, mappings, new Sweeper(keys, quiet), 0);
  const epochOf = async (partition: PartitionId) => (await redis.client.hget(keys.progress(partition), 'owner_epoch')) ?? '';
  const [left, right] = [truncate(p, 12_000, 12_000, all), truncate(q, 0, 12_000, all)];
  const standing = { epoch: await epochOf(p), progress: (await sink.progress()).get(p) };
  const first = patient();
  expect(await first.arrive(redis.client, left, all, standing)).toBe('waiting');
  expect(await first.arrive(redis.client, right, all, { epoch: await epochOf(q), progress: undefined })).toBe('waiting');
  for (let slices = 0; slices < 3; slices += 1) expect(await first.arrive(redis.client, left, all, standing)).toBe('waiting');
  const leftOver = (await names()).length;
  expect(leftOver).toBeLessThan(12_000);
  expect(leftOver).toBeGreaterThan(0);
  expect((await sink.progress()).get(p)?.nextOffset).toBe(12_000);
  // It dies; another claims, and begins with nothing but what stands in Redis.
  const heir = await open(`${prefix}{id}`);
  await heir.claim(all);
  expect(await first.arrive(redis.client, left, all, standing)).toBe('owner');
  await through(heir, left);
  expect(await names()).toEqual([]);
  const progress = await heir.progress();
  expect([progress.get(p), progress.get(q)]).toEqual([left.progress, right.progress]);
  await through(heir, right);
});

test('section 9: who came and was set back afterwards has not come', async () => {
  const q = 't#1';
  const sink = await open(`${prefix}row:{id}`);
  await sink.claim([p, q]);
  await sink.write(batchOf(p, stock, 0, many(3)));
  const [mine, other] = [truncate(p, 3, 50, [p, q]), truncate(q, 0, 50, [p, q])];
  expect(await sink.write(mine)).toBe('waiting');
  // As a restored backup, or a hand, would leave it: the arrival stands, the progress is an older one.
  const { client } = redis;
  const stands = ownKeys(pipeline, 'stock').progress(p);
  await client.hset(stands, { next_offset: '1', version: versionAt(0) });
  expect(await sink.write(other)).toBe('waiting');
  expect((await names()).sort()).toEqual(['row:0', 'row:1', 'row:2']);
  await client.hset(stands, { next_offset: '3', version: mine.progress.version });
  await through(sink, other);
  expect(await names()).toEqual([]);
});

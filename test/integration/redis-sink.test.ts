import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from 'vitest';

import { ownKeys } from '../../connectors/redis/progress.ts';
import { Sweeper } from '../../connectors/redis/sweep.ts';
import type { Change, Row } from '../../src/core/change.ts';
import type { Sink } from '../../src/core/sink-port.ts';
import { versionOf, versionPrefix } from '../../src/core/version.ts';
import { freshRedisPrefix, type RedisPrefix } from '../support/servers.ts';
import { batchOf, fieldsOf, hashes, openSink, progressAt, quiet, removeOwnKeys, tableOf, versionAt } from './redis-harness.ts';

const stock = tableOf({ id: 'integer', sku: 'string', note: 'string' });
const row = (id: number, sku: string, note: string | null = null): Row => ({ id, sku, note });
const insert = (after: Row): Change => ({ op: 'insert', after });
const remove = (before: Row): Change => ({ op: 'delete', before });
const fenced = expect.objectContaining({ code: 'TARGET_FENCED', fault: 'retry' });

let redis: RedisPrefix;
let pipeline = '';
let prefix = '';
let count = 0;
let sink: Sink;
const opened: Sink[] = [];
const [p, q] = ['t#0', 't#1'];
/** Our keys of the pipeline in hand. */
const own = () => ownKeys(pipeline, 'stock');
const open = async (key = `${prefix}{id}`, schema = stock) => {
  const one = await openSink(redis.url, pipeline, key, schema);
  opened.push(one);
  return one;
};

beforeAll(async () => {
  redis = await freshRedisPrefix();
});
afterAll(() => redis[Symbol.asyncDispose]());
beforeEach(async () => {
  count += 1;
  prefix = `${redis.prefix}${count}:`;
  pipeline = prefix.slice(0, -1).replace(':', '-');
  sink = await open();
  await sink.claim([p, q]);
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one[Symbol.asyncDispose]();
  await removeOwnKeys(redis.client, pipeline);
});

describe('the fence', () => {
  test('G4: a late older write changes nothing after a newer one', async () => {
    await sink.write(batchOf(p, stock, 0, [insert(row(1, 'new'))], 100));
    await sink.write(batchOf(q, stock, 0, [insert(row(1, 'old')), insert(row(2, 'other'))], 50));
    expect(await hashes(redis.client, prefix)).toEqual({
      [`${prefix}1`]: { id: '1', sku: 'new' },
      [`${prefix}2`]: { id: '2', sku: 'other' },
    });
  });

  test('G4: a write after a binlog rotation or in a new epoch, at a smaller offset, is newer', async () => {
    const places = ['1 1 900000', '1 2 4', '1 2 4294967296', '2 1 3'].map((place) => place.split(' ').map(Number));
    const at = (index: number, change: Change) => {
      const batch = batchOf(p, stock, index, [change]);
      const [epoch = 0, file = 0, offset = 0] = places[index % 4] ?? [];
      const version = versionOf(versionPrefix({ epoch, file, offset }), 0, 2);
      return { ...batch, entries: batch.entries.map(({ event }) => ({ mapping: 0, event: Object.assign({}, event, { version }) })) };
    };
    for (const index of places.keys()) {
      await sink.write(at(index, insert(row(1, `${index}`))));
      expect(await redis.client.hget(`${prefix}1`, 'sku')).toBe(`${index}`);
    }
    // Round again: each of the older ones, at its larger offset, is late.
    for (const index of [4, 5, 6]) await sink.write(at(index, insert(row(1, 'late'))));
    expect(await redis.client.hget(`${prefix}1`, 'sku')).toBe('3');
  });

  test('G4: a late older write cannot resurrect what was deleted, a newer one may', async () => {
    await sink.write(batchOf(p, stock, 0, [insert(row(1, 'a'))], 100));
    await sink.write(batchOf(p, stock, 1, [remove(row(1, 'a'))], 200));
    await sink.write(batchOf(q, stock, 0, [insert(row(1, 'late'))], 150));
    expect(await redis.client.keys(`${prefix}*`)).toEqual([]);
    expect(await redis.client.hgetall(own().tombstones(p))).toEqual({ [`${prefix}1`]: versionAt(200) });
    await sink.write(batchOf(q, stock, 1, [insert(row(1, 'again'))], 300));
    expect(await hashes(redis.client, prefix)).toEqual({ [`${prefix}1`]: { id: '1', sku: 'again' } });
    expect(await redis.client.exists(own().tombstones(p))).toBe(0);
  });

  test('G4: a late older delete removes nothing, and one of a key that never was still guards it', async () => {
    await sink.write(batchOf(p, stock, 0, [insert(row(1, 'a'))], 100));
    await sink.write(batchOf(q, stock, 0, [remove(row(1, 'a')), remove(row(2, 'b'))], 50));
    await sink.write(batchOf(p, stock, 1, [insert(row(2, 'late'))], 40));
    expect(await hashes(redis.client, prefix)).toEqual({ [`${prefix}1`]: { id: '1', sku: 'a' } });
  });

  test('G4: progress that is not what this sink left there refuses the batch, and a claim tells where it stands', async () => {
    await sink.write(batchOf(p, stock, 0, [insert(row(1, 'a'))]));
    for (const [field, value] of [
      ['next_offset', '0'],
      ['log_id', 'other'],
      ['version', versionAt(0)],
    ] as const) {
      await redis.client.hset(own().progress(p), field, value);
      await expect(sink.write(batchOf(p, stock, 1, [insert(row(2, 'b'))]))).rejects.toEqual(fenced);
      expect(Object.keys(await hashes(redis.client, prefix))).toEqual([`${prefix}1`]);
      await sink.claim([p]);
    }
    expect((await sink.claim([p])).get(p)).toEqual({ ...progressAt(1), nextOffset: 0, logId: 'other', version: versionAt(0) });
  });

  test('a Redis that lost everything refuses the next batch; progress and claim say truthfully that there is none', async () => {
    await sink.write(batchOf(p, stock, 0, [insert(row(1, 'a'))]));
    await removeOwnKeys(redis.client, pipeline);
    await expect(sink.write(batchOf(p, stock, 1, [insert(row(2, 'b'))]))).rejects.toEqual(fenced);
    expect((await sink.progress()).size).toBe(0);
    expect((await sink.claim([p])).size).toBe(0);
  });

  test('G4: a takeover at any moment of a large batch: all of it is in and the new owner knows, or the old one is refused', async () => {
    const rows = Array.from({ length: 1500 }, (_, id) => row(id, `sku ${id}`));
    let taken = 0;
    for (let round = 0; round < 12; round += 1) {
      const partition = `round${round}#0`;
      const old = await open();
      const young = await open();
      await Promise.all([old.claim([partition]), young.progress()]);
      const batch = batchOf(partition, stock, 0, rows.map(insert), round * 2000);
      const turn = async () => {
        for (let ticks = 0; ticks < round; ticks += 1) await young.progress();
        return young.claim([partition]);
      };
      const [write, claim] = await Promise.allSettled([old.write(batch), turn()]);
      if (claim.status === 'rejected') throw claim.reason;
      const stands = claim.value.get(partition);
      const outcome: unknown = write.status === 'fulfilled' ? 'committed' : write.reason;
      expect([outcome, stands]).toEqual(stands ? ['committed', batch.progress] : [fenced, undefined]);
      if (!stands) {
        taken += 1;
        await young.write(batch);
      }
      expect(await hashes(redis.client, prefix)).toEqual(
        Object.fromEntries(rows.map((one) => [`${prefix}${String(one['id'] as number)}`, fieldsOf(one)])),
      );
    }
    expect(taken).toBeGreaterThan(0);
  });
});

describe('rows', () => {
  test('NULL leaves the hash, and so does a column that the table no longer has', async () => {
    await sink.write(batchOf(p, stock, 0, [insert(row(1, 'a', 'note')), insert(row(2, 'b', ''))]));
    expect(await hashes(redis.client, prefix)).toMatchObject({ [`${prefix}1`]: { note: 'note' }, [`${prefix}2`]: { note: '' } });
    await sink.write(batchOf(p, stock, 2, [{ op: 'update', before: row(1, 'a', 'note'), after: row(1, 'a') }]));
    expect((await hashes(redis.client, prefix))[`${prefix}1`]).toEqual({ id: '1', sku: 'a' });
    const narrow = tableOf({ id: 'integer', note: 'string' });
    await sink.write(batchOf(p, narrow, 3, [insert({ id: 2, note: 'x' })]));
    expect((await hashes(redis.client, prefix))[`${prefix}2`]).toEqual({ id: '2', note: 'x' });
  });

  test('a changed column of the template moves the key', async () => {
    const bySku = await open(`${prefix}{sku}`);
    await bySku.claim([p]);
    await bySku.write(batchOf(p, stock, 0, [insert(row(1, 'a', 'x')), insert(row(2, 'b'))]));
    await bySku.write(batchOf(p, stock, 2, [{ op: 'update', before: row(1, 'a', 'x'), after: row(1, 'c:d', 'x') }]));
    expect(await hashes(redis.client, prefix)).toEqual({
      [`${prefix}b`]: { id: '2', sku: 'b' },
      [`${prefix}c%3Ad`]: { id: '1', sku: 'c:d', note: 'x' },
    });
  });

  test('bytes are raw, numbers exact, text is any text', async () => {
    const wide = tableOf({ id: 'integer', raw: 'bytes', big: 'integer', flag: 'boolean', text: 'string' });
    const raw = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const text = '😀 \0 \r\n "{}" é';
    const mixed = await open(`${prefix}{id}`, wide);
    await mixed.claim([p]);
    await mixed.write(batchOf(p, wide, 0, [insert({ id: 1, raw, big: 2n ** 64n - 1n, flag: false, text })]));
    expect(await redis.client.hgetBuffer(`${prefix}1`, 'raw')).toEqual(raw);
    expect(await redis.client.hmget(`${prefix}1`, 'big', 'flag', 'text')).toEqual(['18446744073709551615', '0', text]);
  });

  test('20,000 rows in one batch, then as many deletes', async () => {
    const rows = Array.from({ length: 20_000 }, (_, id) => row(id, `sku ${id}`, id % 3 === 0 ? null : `note ${id}`));
    await sink.write(batchOf(p, stock, 0, rows.map(insert)));
    expect(await hashes(redis.client, prefix)).toEqual(
      Object.fromEntries(rows.map((one) => [`${prefix}${String(one['id'] as number)}`, fieldsOf(one)])),
    );
    await sink.write(batchOf(p, stock, 20_000, rows.map(remove)));
    expect(await redis.client.keys(`${prefix}*`)).toEqual([]);
    expect((await sink.progress()).get(p)).toEqual(progressAt(40_000));
  });

  test.each([1000, 4096])('rows of %i columns, replaced by narrower ones', async (width) => {
    const names = Array.from({ length: width - 1 }, (_, index) => `column_${index}`);
    const wide = tableOf({ id: 'integer', ...Object.fromEntries(names.map((name) => [name, 'string' as const])) });
    const full = (id: number, mark: string): Row => ({ id, ...Object.fromEntries(names.map((name) => [name, `${mark} ${name}`])) });
    const half = (id: number): Row => ({ id, ...Object.fromEntries(names.map((name, index) => [name, index % 2 === 0 ? null : name])) });
    await sink.write(
      batchOf(
        p,
        wide,
        0,
        Array.from({ length: 30 }, (_, id) => insert(full(id, 'a'))),
      ),
    );
    await sink.write(
      batchOf(
        p,
        wide,
        30,
        Array.from({ length: 30 }, (_, id) => ({ op: 'update', before: full(id, 'a'), after: id < 15 ? half(id) : full(id, 'b') })),
      ),
    );
    const expected = Array.from({ length: 30 }, (_, id) => [`${prefix}${id}`, fieldsOf(id < 15 ? half(id) : full(id, 'b'))]);
    expect(await hashes(redis.client, prefix)).toEqual(Object.fromEntries(expected));
  });

  test('G4: a key that holds something else stops the batch before anything of it is written; the key is not told', async () => {
    await redis.client.set(`${prefix}7`, 'mine');
    await expect(sink.write(batchOf(p, stock, 0, [insert(row(1, 'a')), insert(row(7, 'b')), remove(row(3, 'c'))]))).rejects.toEqual(
      expect.objectContaining({
        code: 'TARGET_FAILED',
        fault: 'fatal',
        message: `a key of the template "${prefix}{id}" holds something that is not a hash`,
      }),
    );
    expect(await redis.client.keys(`${prefix}*`)).toEqual([`${prefix}7`]);
    expect(await redis.client.get(`${prefix}7`)).toBe('mine');
    expect(await redis.client.exists(own().tombstones(p))).toBe(0);
    expect((await sink.progress()).size).toBe(0);
  });

  test('G4: a large batch whose first part fails moves no progress, whatever became of the parts behind it', async () => {
    await redis.client.set(`${prefix}7`, 'mine');
    const rows = Array.from({ length: 2000 }, (_, id) => row(id, 'x'));
    await expect(sink.write(batchOf(p, stock, 0, rows.map(insert)))).rejects.toEqual(expect.objectContaining({ code: 'TARGET_FAILED' }));
    expect((await sink.progress()).size).toBe(0);
    await redis.client.del(`${prefix}7`);
    await sink.write(batchOf(p, stock, 0, rows.map(insert)));
    expect(Object.keys(await hashes(redis.client, prefix)).length).toBe(2000);
  });

  test.each([200, 300, 500])('G4: nor does one of so few parts that all are under way at once (%i rows)', async (length) => {
    await redis.client.set(`${prefix}0`, 'mine');
    const rows = Array.from({ length }, (_, id) => row(id, 'x'));
    await expect(sink.write(batchOf(p, stock, 0, rows.map(insert)))).rejects.toMatchObject({ code: 'TARGET_FAILED' });
    expect((await sink.progress()).size).toBe(0);
  });

  test('after a reset the replay writes each row as the mapping now wants it, though its version is the same', async () => {
    await sink.write(batchOf(p, stock, 0, [insert(row(1, 'a', 'note')), remove(row(2, 'b'))]));
    await sink.reset([p]);
    const narrow = tableOf({ id: 'integer', note: 'string' });
    await sink.claim([p]);
    await sink.write(batchOf(p, narrow, 0, [insert({ id: 1, note: 'note' }), remove({ id: 2, note: null })]));
    expect(await hashes(redis.client, prefix)).toEqual({ [`${prefix}1`]: { id: '1', note: 'note' } });
  });

  test('a reset fences a worker that has claimed and not yet written', async () => {
    const admin = await open();
    await admin.reset([p]);
    await expect(sink.write(batchOf(p, stock, 0, [insert(row(1, 'a'))]))).rejects.toEqual(fenced);
  });

  test('scripts that the server forgot are sent again', async () => {
    await sink.write(batchOf(p, stock, 0, [insert(row(1, 'a'))]));
    await redis.client.script('FLUSH');
    await sink.write(batchOf(p, stock, 1, [insert(row(2, 'b'))]));
    expect(Object.keys(await hashes(redis.client, prefix))).toEqual([`${prefix}1`, `${prefix}2`]);
  });
});

const sweepAt = async (deletes: number) => {
  const sweeper = new Sweeper(own(), quiet, 1);
  await sweeper.buried(redis.client, 't', deletes);
  return redis.client.hlen(own().tombstones(p));
};

describe('tombstones', () => {
  test('G4: one goes only when every partition of its topic has passed it', async () => {
    const rows = Array.from({ length: 3000 }, (_, id) => row(id, 'x'));
    await sink.write(batchOf(p, stock, 0, rows.map(remove), 1000));
    expect(await sweepAt(1)).toBe(3000);
    await sink.write({ partition: q, entries: [], progress: progressAt(1, 2000), open: false });
    expect(await sweepAt(1)).toBe(2000);
    await sink.write({ partition: q, entries: [], progress: progressAt(2, 9000), open: false });
    await sink.write({ partition: p, entries: [], progress: progressAt(3001, 9000), open: false });
    expect(await sweepAt(1)).toBe(0);
  });

  test('a sink that deletes without end sweeps by itself', async () => {
    await sink.write({ partition: q, entries: [], progress: progressAt(1, 10 ** 9), open: false });
    let at = 0;
    for (let round = 0; round < 6; round += 1) {
      const rows = Array.from({ length: 4000 }, (_, id) => row(at + id, 'x'));
      await sink.write(batchOf(p, stock, at, rows.map(remove)));
      at += 4000;
    }
    expect(await redis.client.hlen(own().tombstones(p))).toBeLessThan(14_000);
  });
});

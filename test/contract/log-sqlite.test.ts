import { openSync, closeSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { embeddedSchema } from '../../connectors/sqlite/config.ts';
import { openSqliteLog } from '../../connectors/sqlite/log.ts';
import { Retention } from '../../connectors/sqlite/retention.ts';
import { ensureStreams, openStore } from '../../connectors/sqlite/store.ts';
import { Appender, nextTerm } from '../../connectors/sqlite/appender.ts';
import { plainAppend } from '../../connectors/sqlite/writer.ts';
import { codec } from '../../src/codec.ts';
import type { CrossfadeError } from '../../src/core/errors.ts';
import type { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import { collect, numberOf, range, rows } from './log-rows.ts';
import { peopleStream } from './log-harness.ts';
import { logContract } from './log.contract.ts';
import { appendThread, quiet, SqliteHarness } from './sqlite-harness.ts';

logContract('embedded log', async (streams) => new SqliteHarness(streams));

const never = new AbortController().signal;
const people = 'shop.people#0';

function harnessOf(): SqliteHarness {
  const harness = new SqliteHarness([peopleStream]);
  onTestFinished(() => harness[Symbol.asyncDispose]());
  return harness;
}

async function failure(promise: Promise<unknown>): Promise<CrossfadeError> {
  return promise.then(
    () => undefined as never,
    (error: unknown) => error as CrossfadeError,
  );
}

/** Three batches of ten rows, everything closed. */
async function written(harness: SqliteHarness): Promise<void> {
  const log = await harness.open();
  const writer = await log.lead(never);
  for (let n = 0; n < 30; n += 10) await writer.append([{ partition: people, batch: rows(n, n + 10, { valueBytes: 30_000 }) }]);
  await writer.complete({ position: 'thirty', throughUs: 30, writtenAtMs: 30 });
  await log[Symbol.asyncDispose]();
}

describe('damage is named and never read over', () => {
  const damages: Record<string, { sql: string; offset: number }> = {
    'a flipped bit': {
      sql: "UPDATE batches SET data = CAST(substr(data, 1, 200) || x'01' || substr(data, 202) AS BLOB) WHERE base_offset = 10",
      offset: 10,
    },
    'a cut batch': { sql: 'UPDATE batches SET data = substr(data, 1, length(data) - 5) WHERE base_offset = 10', offset: 10 },
    'an empty batch': { sql: "UPDATE batches SET data = x'' WHERE base_offset = 10", offset: 10 },
    'a missing batch': { sql: 'DELETE FROM batches WHERE base_offset = 10', offset: 10 },
    'a missing last batch': { sql: 'DELETE FROM batches WHERE base_offset = 20', offset: 20 },
    'a batch in the place of another': {
      sql: 'UPDATE batches SET data = (SELECT data FROM batches WHERE base_offset = 0) WHERE base_offset = 10',
      offset: 10,
    },
  };
  for (const [what, { sql, offset }] of Object.entries(damages)) {
    test(`G1: ${what}`, async () => {
      const harness = harnessOf();
      await written(harness);
      expect(harness.sql('', (db) => db.prepare(sql).run()).changes).toBe(1);
      const log = await harness.openWith({ delivery: { records: 10 } });
      const delivered: number[] = [];
      const error = await failure(
        (async () => {
          for await (const { records } of log.readFrom(new Map([[people, 0]]), never)) delivered.push(...records.map(numberOf));
        })(),
      );
      expect([error.code, error.fault]).toEqual(['LOG_CORRUPT', 'fatal']);
      expect(error.message).toContain(`${people}@${offset}`);
      expect(delivered).toEqual(range(0, offset));
    });
  }

  test('G1: pages of the file overwritten by a stranger', async () => {
    const harness = harnessOf();
    await written(harness);
    const page = 16_384;
    const pages = statSync(harness.path).size / page;
    const file = openSync(harness.path, 'r+');
    for (let n = 3; n < pages; n += 1) writeSync(file, Buffer.alloc(page, 0xa5), 0, page, n * page);
    closeSync(file);
    const error = await failure((async () => collect(await harness.open(), new Map([[people, 0]]), 30))());
    expect([error.code, error.fault]).toEqual(['LOG_CORRUPT', 'fatal']);
  });
});

describe('only our own file is opened', () => {
  test('a log of another pipeline', async () => {
    const harness = harnessOf();
    await written(harness);
    const error = await failure((await harness.openWith({ pipeline: 'crm' })).state());
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toContain('"shop"');
  });

  for (const [which, version] of [
    ['a later', 99],
    ['an earlier', 1],
  ] as const) {
    test(`a log of ${which} release is refused with the way out, and left as it is`, async () => {
      const harness = harnessOf();
      await written(harness);
      harness.sql('', (db) => db.exec(`PRAGMA user_version = ${version}`));
      const error = await failure((await harness.open()).state());
      expect([error.code, error.fault, error.message]).toEqual(['CONFIG_INVALID', 'fatal', expect.stringContaining(`format ${version}, `)]);
      expect(error.remedy).toContain(version === 1 ? 'the older release' : 'the newer release');
      expect((await failure((await harness.open()).lead(never))).code).toBe('CONFIG_INVALID');
      expect(harness.sql('', (db) => db.prepare('PRAGMA user_version').get()?.['user_version'])).toBe(version);
    });
  }

  test('a SQLite file of somebody else, and no SQLite file at all, are left untouched', async () => {
    const harness = harnessOf();
    const stranger = new DatabaseSync(harness.path);
    stranger.exec('CREATE TABLE theirs (a)');
    stranger.close();
    const theirs = await failure((await harness.open()).state());
    expect([theirs.code, theirs.message]).toEqual(['CONFIG_INVALID', expect.stringContaining('not a Crossfade log')]);
    rmSync(harness.path);
    writeFileSync(harness.path, 'pipeline: shop\n'.repeat(1000));
    const text = await failure((await harness.open()).state());
    expect([text.code, text.message]).toEqual(['CONFIG_INVALID', expect.stringContaining('not a Crossfade log')]);
  });

  test('a directory that does not exist is retried, and found by check with its remedy', async () => {
    const settings = { path: '/nonexistent-crossfade/shop.db', synchronous: 'full', retention: { age: 1, size: 1 } } as const;
    const log = await openSqliteLog(settings, { pipeline: 'shop', streams: [], codec, appendThread, logger: quiet });
    const error = await failure(log.lead(new AbortController().signal));
    expect([error.code, error.fault]).toEqual(['LOG_UNREACHABLE', 'retry']);
    expect(await log.check()).toEqual([
      expect.objectContaining({ level: 'error', code: 'LOG_UNREACHABLE', fix: 'mkdir -p /nonexistent-crossfade' }),
    ]);
  });

  test('check and state make nothing, and check finds a changed number of partitions', async () => {
    const harness = harnessOf();
    expect(await (await harness.open()).check()).toEqual([]);
    expect((await (await harness.open()).state()).partitions.size).toBe(0);
    expect(statSync(harness.path, { throwIfNoEntry: false })).toBeUndefined();
    await written(harness);
    const log = await harness.openWith({ streams: [{ topic: 'shop.people', partitions: 3 }] });
    expect(await log.check()).toEqual([expect.objectContaining({ level: 'error', code: 'LOG_PARTITIONS_CHANGED' })]);
  });

  test('two processes that make the log at the same time make one log', async () => {
    const harness = harnessOf();
    const logs = await Promise.all(range(0, 5).map(() => harness.open()));
    const ids = await Promise.all(logs.map(async (log) => (await log.state()).partitions.get(people)?.logId));
    expect(new Set(ids).size).toBe(1);
  });
});

test('G1: a file that is deleted while in use stops the leader at its next complete record', async () => {
  const harness = harnessOf();
  const writer = await (await harness.open()).lead(never);
  await writer.append([{ partition: people, batch: rows(0, 1) }]);
  rmSync(harness.path);
  const error = await failure(writer.complete({ position: 'p', throughUs: 1, writtenAtMs: 1 }));
  expect([error.code, error.fault]).toEqual(['LOG_LOST_HISTORY', 'fatal']);
});

test('G1: a full disk refuses the append and all behind it, and what was acknowledged stays', async () => {
  const harness = harnessOf();
  const store = await opened(harness);
  const partition = ensureStreams(store, [peopleStream]).get(people) ?? 0;
  const term = nextTerm(store);
  const append = (batch: RecordBatchBuilder) => ({ kind: 'append', appends: [plainAppend(partition, batch)] }) as const;
  const appender = new Appender(store, codec, term);
  expect(appender.write([append(rows(0, 10))])).toEqual({ done: 1 });
  store.db.exec('PRAGMA max_page_count = 20');
  const noise = { ...codec, compress: (bytes: Uint8Array) => bytes };
  const large = append(rows(12, 22, { valueBytes: 100_000 }));
  const { done, failure } = new Appender(store, noise, term).write([append(rows(10, 12)), large, append(rows(22, 23))]);
  expect([done, (failure as CrossfadeError).code, (failure as CrossfadeError).fault]).toEqual([1, 'LOG_FULL', 'retry']);
  expect((await collect(await harness.open(), new Map([[people, 0]]), 12)).map(numberOf)).toEqual(range(0, 12));
  store.db.exec('PRAGMA max_page_count = 100000');
  expect(appender.write([append(rows(12, 14))])).toEqual({ done: 1 });
  expect((await collect(await harness.open(), new Map([[people, 0]]), 14)).map(numberOf)).toEqual(range(0, 14));
});

async function opened(harness: SqliteHarness) {
  const store = await openStore({ path: harness.path, synchronous: 'full', busyMs: 1000 }, 'shop');
  onTestFinished(() => store[Symbol.dispose]());
  return store;
}

async function startOf(harness: SqliteHarness): Promise<number | undefined> {
  return (await (await harness.open()).state()).partitions.get(people)?.startOffset;
}

describe('retention', () => {
  test('by age it deletes what every group has applied, in whole batches, and nothing more', async () => {
    const harness = harnessOf();
    await written(harness);
    const store = await opened(harness);
    const retention = new Retention({ age: -1, size: 1e12 }, 0);
    retention.step(store, new Map([[people, 0]]));
    expect(await startOf(harness)).toBe(0);
    retention.step(store, new Map([[people, 19]]));
    expect(await startOf(harness)).toBe(10);
    retention.step(store, new Map([[people, 20]]));
    expect(await startOf(harness)).toBe(20);
    expect((await collect(await harness.open(), new Map([[people, 20]]), 10)).map(numberOf)).toEqual(range(20, 30));
  });

  test('young changes stay, until the log is larger than it may be', async () => {
    const harness = harnessOf();
    await written(harness);
    const store = await opened(harness);
    new Retention({ age: 1, size: 1e12 }, 0).step(store, new Map([[people, 30]]));
    expect(await startOf(harness)).toBe(0);
    new Retention({ age: 1, size: 1 }, 0).step(store, new Map([[people, 30]]));
    expect(await startOf(harness)).toBe(30);
  });

  test('nothing behind the last complete record is deleted, whatever the groups say', async () => {
    const harness = harnessOf();
    await written(harness);
    const writer = await (await harness.open()).lead(never);
    await writer.append([{ partition: people, batch: rows(30, 40) }]);
    new Retention({ age: -1, size: 1 }, 0).step(await opened(harness), new Map());
    expect(await startOf(harness)).toBe(30);
  });

  test('the leader does it by itself, and a group that only joined counts as one that applied nothing', async () => {
    const harness = harnessOf();
    await written(harness);
    const slow = await harness.open();
    const stop = new AbortController();
    for await (const _ of slow.read('slow', async (ids) => new Map(ids.map((id) => [id, { offset: 10, term: 0 }])), stop.signal))
      stop.abort();
    const log = await harness.openWith({ groups: [{ name: 'later', topics: ['shop.people'] }] }, { age: -1, size: 1e12 });
    const writer = await log.lead(never);
    await writer.complete({ position: 'thirty', throughUs: 31, writtenAtMs: 31 });
    expect(await startOf(harness)).toBe(0);
    await writer[Symbol.asyncDispose]();
    await log.forget('later');
    const next = await harness.openWith({}, { age: -1, size: 1e12 });
    await (await next.lead(never)).complete({ position: 'thirty', throughUs: 32, writtenAtMs: 32 });
    expect(await startOf(harness)).toBe(10);
  });
});

test('G1: what is acknowledged is synced to disk, unless a person says otherwise', async () => {
  const harness = harnessOf();
  const synchronous = async (settings: { readonly synchronous: 'full' | 'normal' }) => {
    using store = await openStore({ path: harness.path, ...settings, busyMs: 2000 }, 'shop');
    return store.db.prepare('PRAGMA synchronous').get()?.['synchronous'];
  };
  expect(await synchronous({ synchronous: embeddedSchema.parse({}).synchronous })).toBe(2);
  expect(await synchronous({ synchronous: 'normal' })).toBe(1);
});

test('G13: no error of the log carries a value of a row', async () => {
  const harness = harnessOf();
  await written(harness);
  harness.sql('', (db) => db.prepare("UPDATE batches SET data = x'00' WHERE base_offset = 0").run());
  const error = await failure(collect(await harness.open(), new Map([[people, 0]]), 1));
  expect(`${error.message} ${error.remedy}`).not.toContain('"n"');
});

test('G9: a delivery is bounded by the bytes that its records are, not by those that they take in the log', async () => {
  const harness = harnessOf();
  const log = await harness.open();
  const writer = await log.lead(never);
  const [batches, each] = [24, 1000];
  for (let n = 0; n < batches * each; n += each)
    await writer.append([{ partition: people, batch: rows(n, n + each, { valueBytes: 1000 }) }]);
  const stored = harness.sql('', (db) => Number(db.prepare('SELECT sum(length(data)) AS bytes FROM batches').get()?.['bytes']));
  const sizes: number[] = [];
  let records = 0;
  for await (const delivery of log.read('g', async () => new Map([[people, { offset: 0, term: 0 }]]), never)) {
    sizes.push(delivery.records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0));
    if ((records += delivery.records.length) === batches * each) break;
  }
  expect(stored).toBeLessThan(batches * 100_000);
  expect(Math.max(...sizes)).toBeLessThan(8 * 1024 * 1024);
  expect(sizes.length).toBeLessThan(batches);
});

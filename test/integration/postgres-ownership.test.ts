import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { postgresSchema, type PostgresSettings } from '../../connectors/postgres/config.ts';
import { startPostgresProxy } from '../contract/postgres-proxy.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

const items = tableOf('items', ['id'], [column('id', { nullable: false })]);
const put = (id: number) => [0, items, { op: 'insert' as const, after: { id } }] as const;

describe('who may write', () => {
  let fixture: PostgresFixture;
  beforeAll(async () => {
    fixture = await postgresFixture();
    await fixture.execute('CREATE TABLE items (id int PRIMARY KEY)');
  });
  afterAll(async () => {
    await fixture[Symbol.asyncDispose]();
  });

  const attempt = async (change: Partial<PostgresSettings>) => (await fixture.open([], { ...fixture.settings, ...change })).claim(['x#0']);

  test('the table of progress is created once, however many start together', async () => {
    const sinks = await Promise.all(Array.from({ length: 6 }, () => fixture.open([mappingTo(items)])));
    await Promise.all(sinks.map((sink, index) => sink.claim([`race${index}#0`, 'race#0'])));
    expect(await fixture.rows(`SELECT count(*) FROM crossfade.progress WHERE partition = 'race#0'`)).toEqual([['1']]);
  });

  test('G3: a frozen owner in the middle of a transaction does not keep its successor out, and cannot commit later', async () => {
    const frozen = await fixture.open([mappingTo(items)]);
    const batches = new Batches('frozen#0');
    await frozen.claim([batches.partition]);
    expect(await frozen.write(batches.of([put(1)], true))).toBe('open');
    const successor = await fixture.open([mappingTo(items)]);
    expect((await successor.claim([batches.partition])).size).toBe(0);
    await successor.write(new Batches('frozen#0').of([put(2)]));
    // The connection is gone, but that is not what happened to it.
    await expect(frozen.write(batches.of([put(3)]))).rejects.toMatchObject({
      code: 'TARGET_FENCED',
      fault: 'retry',
      message: expect.stringContaining('another owner took frozen#0') as string,
    });
    expect(await fixture.rows('SELECT id FROM items')).toEqual([['2']]);
  });

  test('G3: an owner that only takes its time in the middle of a transaction may finish, and its successor waits', async () => {
    const slow = await fixture.open([mappingTo(items)]);
    const batches = new Batches('slow#0');
    await slow.claim([batches.partition]);
    expect(await slow.write(batches.of([put(-70)], true))).toBe('open');
    const successor = await fixture.open([mappingTo(items)]);
    const claiming = successor.claim([batches.partition]);
    const tookItsTime = `SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction' AND state_change < clock_timestamp() - interval '4 seconds'
      AND pid = (SELECT owner_pid FROM crossfade.progress WHERE partition = 'slow#0')`;
    await vi.waitUntil(async () => (await fixture.rows(tookItsTime)).length > 0, { timeout: 20_000 });
    expect(await slow.write(batches.of([put(-71)]))).toBe('committed');
    expect((await claiming).get(batches.partition)?.nextOffset).toBe(2);
    expect(await fixture.rows('SELECT id FROM items WHERE id < 0 ORDER BY id')).toEqual([['-71'], ['-70']]);
    // And then it is fenced as ever, on a connection of its own.
    await expect(slow.write(batches.of([put(-72)]))).rejects.toMatchObject({ code: 'TARGET_FENCED' });
  });

  test('G10: a connection that the server ends is a retry, and the sink stays unusable', async () => {
    const sink = await fixture.open([mappingTo(items)]);
    const batches = new Batches('killed#0');
    await sink.claim([batches.partition]);
    await fixture.execute(`SELECT pg_terminate_backend(owner_pid) FROM crossfade.progress WHERE partition = 'killed#0'`);
    await expect(sink.write(batches.of([put(10)]))).rejects.toMatchObject({ code: 'TARGET_UNREACHABLE', fault: 'retry' });
    await expect(sink.claim([batches.partition])).rejects.toMatchObject({ code: 'TARGET_UNREACHABLE', fault: 'retry' });
    const next = await fixture.open([mappingTo(items)]);
    expect((await next.claim([batches.partition])).size).toBe(0);
  });

  test('progress that somebody moved by hand is not overwritten', async () => {
    const sink = await fixture.open([mappingTo(items)]);
    const batches = new Batches('hand#0');
    await sink.claim([batches.partition]);
    await sink.write(batches.of([put(20)]));
    await fixture.execute(`UPDATE crossfade.progress SET next_offset = 0 WHERE partition = 'hand#0'`);
    await expect(sink.write(batches.of([put(21)]))).rejects.toMatchObject({ code: 'TARGET_FENCED', fault: 'retry' });
    expect(await fixture.rows('SELECT id FROM items WHERE id > 19')).toEqual([['20']]);
  });

  test('G3: emptying or restoring the table of progress never gives an old owner its rights back', async () => {
    const [old, young] = [await fixture.open([mappingTo(items)]), await fixture.open([mappingTo(items)])];
    await old.claim(['restored#0']);
    await fixture.execute(`DELETE FROM crossfade.progress WHERE partition = 'restored#0'`);
    await young.claim(['restored#0']);
    await expect(old.write(new Batches('restored#0').of([put(40)]))).rejects.toMatchObject({ code: 'TARGET_FENCED' });
    await young.write(new Batches('restored#0').of([put(41)]));
    expect(await fixture.rows('SELECT id FROM items WHERE id IN (40, 41)')).toEqual([['41']]);
  });

  test('G3: a COMMIT that is not answered with COMMIT is not believed', async () => {
    await using proxy = await startPostgresProxy(fixture.database.url);
    const sink = await fixture.open([mappingTo(items)], postgresSchema.parse(proxy.url));
    const batches = new Batches('spoilt#0');
    await sink.claim([batches.partition]);
    proxy.spoilNextCommitAnswer();
    await expect(sink.write(batches.of([put(50)]))).rejects.toMatchObject({ code: 'TARGET_BUSY', fault: 'retry' });
    // What really happened is only known by reading: here the server did commit, behind the spoilt answer.
    expect((await sink.claim([batches.partition])).get(batches.partition)?.nextOffset).toBe(1);
  });

  test('disposing under a write in flight ends it, and nothing half remains', async () => {
    const sink = await fixture.open([mappingTo(items)]);
    const batches = new Batches('cut#0');
    await sink.claim([batches.partition]);
    await fixture.execute(`BEGIN; LOCK TABLE items IN EXCLUSIVE MODE`);
    const writing = sink.write(batches.of([put(60)]));
    await vi.waitUntil(
      async () => (await fixture.rows(`SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'items'::regclass`)).length > 0,
      { timeout: 10_000 },
    );
    await sink[Symbol.asyncDispose]();
    await expect(writing).rejects.toMatchObject({ fault: 'retry' });
    await fixture.execute('COMMIT');
    const next = await fixture.open([mappingTo(items)]);
    const applied = (await next.claim([batches.partition])).get(batches.partition)?.nextOffset ?? 0;
    expect((await fixture.rows('SELECT id FROM items WHERE id = 60')).length).toBe(applied);
  });

  test.each([
    ['off', 'on'],
    ['remote_apply', 'remote_apply'],
  ])('G1: where the database has synchronous_commit = %s, our rows are committed with %s', async (database, session) => {
    const { name } = fixture.database;
    await fixture.execute(`
      CREATE TABLE IF NOT EXISTS noted (id int PRIMARY KEY, setting text);
      CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN NEW.setting := current_setting(''synchronous_commit''); RETURN NEW; END';
      CREATE OR REPLACE TRIGGER note BEFORE INSERT ON noted FOR EACH ROW EXECUTE FUNCTION note();
      TRUNCATE noted; ALTER DATABASE ${name} SET synchronous_commit = ${database}`);
    const noted = tableOf('noted', ['id'], [column('id', { nullable: false })]);
    try {
      const sink = await fixture.open([mappingTo(noted)]);
      const batches = new Batches(`noted-${database}#0`);
      await sink.claim([batches.partition]);
      await sink.write(batches.of([[0, noted, { op: 'insert' as const, after: { id: 1 } }]]));
      expect(await fixture.rows('SELECT setting FROM noted')).toEqual([[session]]);
    } finally {
      await fixture.execute(`ALTER DATABASE ${name} RESET synchronous_commit`);
    }
  });

  test('the commit time is kept to the microsecond', async () => {
    const sink = await fixture.open([mappingTo(items)]);
    const batches = new Batches('clock#0');
    await sink.claim([batches.partition]);
    await sink.write(batches.of([put(30)]));
    expect(await fixture.rows(`SELECT committed_at FROM crossfade.progress WHERE partition = 'clock#0'`)).toEqual([
      ['2025-11-21 04:40:00.123456+00'],
    ]);
    expect((await sink.progress()).get('clock#0')?.committedAtUs).toBe(1_763_700_000_123_456);
  });

  test('a wrong password, a missing database and a closed port: the right code each', async () => {
    await expect(attempt({ database: 'nosuchdatabase' })).rejects.toMatchObject({ code: 'TARGET_SETTING', fault: 'fatal' });
    await expect(attempt({ user: 'nosuchuser' })).rejects.toMatchObject({ code: 'TARGET_AUTH', fault: 'fatal' });
    await expect(attempt({ port: 1 })).rejects.toMatchObject({ code: 'TARGET_UNREACHABLE', fault: 'retry' });
    await expect(attempt({ host: 'no.such.host.invalid' })).rejects.toMatchObject({ code: 'TARGET_UNREACHABLE', fault: 'retry' });
    await expect(attempt({ tls: true })).rejects.toMatchObject({ code: 'TARGET_AUTH', fault: 'fatal' });
  });
});

/** A TRUNCATE in a stream of several partitions, where Postgres itself has a say. */
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import type { PartitionId } from '../../src/core/log-port.ts';
import type { Sink, SinkBatch, WriteOutcome } from '../../src/core/sink-port.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

const items = tableOf('items', ['id'], [column('id', { nullable: false })]);
const put = (id: number) => [0, items, { op: 'insert' as const, after: { id } }] as const;

let fixture: PostgresFixture;
let count = 0;
let all: readonly PartitionId[] = [];

beforeAll(async () => {
  fixture = await postgresFixture();
  await fixture.execute('CREATE TABLE items (id int PRIMARY KEY)');
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
});
beforeEach(async () => {
  count += 1;
  all = [`b${count}#0`, `b${count}#1`];
  await fixture.execute('DELETE FROM items');
});

/** Both partitions have a row and stand before the barrier. */
async function begin(
  partitions: readonly PartitionId[] = all,
): Promise<{ readonly sink: Sink; readonly left: SinkBatch; readonly right: SinkBatch }> {
  all = partitions;
  const sink = await fixture.open([mappingTo(items)]);
  await sink.claim(all);
  const [left, right] = all.map((partition) => new Batches(partition)) as [Batches, Batches];
  await sink.write(left.of([put(1)]));
  await sink.write(right.of([put(2)]));
  const barrier = (batches: Batches) => ({ ...batches.of([[0, items, { op: 'truncate' }]]), barrier: all });
  return { sink, left: barrier(left), right: barrier(right) };
}
const ids = async () => (await fixture.rows('SELECT id FROM items ORDER BY id')).flat();
const offsets = async (sink: Sink) => all.map(async (partition) => (await sink.progress()).get(partition)?.nextOffset);

test('a table of progress from before there were barriers gets its column with the next claim', async () => {
  await begin();
  await fixture.execute('ALTER TABLE crossfade.progress DROP COLUMN arrival');
  const { sink, left, right } = await begin([`${all[0]}x`, `${all[1]}x`]);
  expect(await sink.write(left)).toBe('waiting');
  expect(await sink.write(right)).toBe('committed');
  expect(await sink.write(left)).toBe('committed');
  expect(await ids()).toEqual([]);
});

test('waiting writes nothing: asking again is no transaction', async () => {
  const { sink, left } = await begin();
  expect(await sink.write(left)).toBe('waiting');
  const xids = async () => (await fixture.rows(`SELECT xmin, xmax FROM crossfade.progress WHERE partition = '${all[0]}'`)).flat();
  const before = await xids();
  for (let asked = 0; asked < 5; asked += 1) expect(await sink.write(left)).toBe('waiting');
  expect(await xids()).toEqual(before);
});

test('a partition whose row another session holds is waited for, but holds nobody up', async () => {
  const { sink, left, right } = await begin();
  expect(await sink.write(left)).toBe('waiting');
  const other = new Client({ connectionString: fixture.database.url });
  await other.connect();
  try {
    await other.query('BEGIN');
    await other.query('SELECT 1 FROM crossfade.progress WHERE partition = $1 FOR UPDATE', [all[0]]);
    // Longer than this only if it waited for the lock.
    const asked = await Promise.race<WriteOutcome | 'blocked'>([
      sink.write(right),
      new Promise((resolve) => setTimeout(() => resolve('blocked'), 5000).unref()),
    ]);
    expect(asked).toBe('waiting');
    expect(await sink.write(left)).toBe('waiting');
    expect(await ids()).toEqual(['1', '2']);
    await other.query('ROLLBACK');
  } finally {
    await other.end();
  }
  expect(await sink.write(left)).toBe('committed');
  expect(await sink.write(right)).toBe('committed');
  expect(await ids()).toEqual([]);
});

test('G3: what the target refuses is rolled back with all progress, and done when it is mended', async () => {
  const { sink, left, right } = await begin();
  await fixture.execute('CREATE TABLE notes (item int REFERENCES items ON DELETE CASCADE); INSERT INTO notes VALUES (1)');
  try {
    expect(await sink.write(left)).toBe('waiting');
    await expect(sink.write(right)).rejects.toMatchObject({ code: 'TARGET_CONSTRAINT', fault: 'fatal' });
    expect(await ids()).toEqual(['1', '2']);
    expect(await Promise.all(await offsets(sink))).toEqual([1, 1]);
    await fixture.execute('DELETE FROM notes');
    const next = await fixture.open([mappingTo(items)]);
    await next.claim(all);
    expect(await next.write(right)).toBe('committed');
    expect(await ids()).toEqual([]);
    expect(await Promise.all(await offsets(next))).toEqual([2, 2]);
  } finally {
    await fixture.execute('DROP TABLE notes');
  }
});

test('behind a barrier each partition has its own batch’s progress, with the hash of its mappings', async () => {
  const { sink, left, right } = await begin();
  const hashed = (batch: SinkBatch, mappingHash: string): SinkBatch => ({ ...batch, progress: { ...batch.progress, mappingHash } });
  const [one, other] = [hashed(left, 'new left'), hashed(right, 'new right')];
  expect(await sink.write(one)).toBe('waiting');
  expect(await sink.write(other)).toBe('committed');
  const progress = await sink.progress();
  expect(all.map((partition) => progress.get(partition))).toEqual([one.progress, other.progress]);
});

test('a note counts only while its partition stands where it stood when it came', async () => {
  const { sink, left, right } = await begin();
  expect(await sink.write(left)).toBe('waiting');
  // As a rebuild does: the partition begins anew, and the note of its former life is still there.
  await fixture.execute(`UPDATE crossfade.progress SET next_offset = 0 WHERE partition = '${all[0]}'`);
  expect(await sink.write(right)).toBe('waiting');
  expect(await ids()).toEqual(['1', '2']);
  await fixture.execute(`UPDATE crossfade.progress SET next_offset = NULL WHERE partition = '${all[0]}'`);
  expect(await sink.write(right)).toBe('waiting');
  expect(await ids()).toEqual(['1', '2']);
});

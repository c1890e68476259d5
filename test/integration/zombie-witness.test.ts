/** The witness of the chaos tests itself: it must see what a sink without its fence would do. */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { moveStep, type Held } from '../../connectors/postgres/progress.ts';
import type { Progress } from '../../src/core/sink-port.ts';
import { auditedMoves, auditProgress, zombieMoves } from '../chaos/rig/audit.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

const items = tableOf('items', ['id'], [column('id', { nullable: false })]);
const put = (id: number) => [0, items, { op: 'insert' as const, after: { id } }] as const;

let fixture: PostgresFixture;
beforeAll(async () => {
  fixture = await postgresFixture();
  await fixture.execute('CREATE TABLE items (id int PRIMARY KEY)');
  await (await fixture.open([mappingTo(items)])).claim([]);
  await auditProgress(fixture.database.url);
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
});

/** The sink's own statement without its comparison of epochs, by whoever asks. */
async function moveUnfenced(partition: string, held: Held, progress: Progress): Promise<void> {
  const { text, values = [] } = moveStep({ pipeline: 'test', service: 'orders' }, partition, held, progress);
  const fence = 'AND owner_epoch = $4::bigint ';
  expect(text).toContain(fence);
  await fixture.database.client.query(text.replace(fence, 'AND $4::bigint IS NOT NULL '), [...values]);
}

test('G3: a commit of an owner whose place was taken is seen, and one at the same offset too', async () => {
  const batches = new Batches('taken#0');
  const [old, young] = [await fixture.open([mappingTo(items)]), await fixture.open([mappingTo(items)])];
  await old.claim([batches.partition]);
  await old.write(batches.of([put(1)]));
  await young.claim([batches.partition]);
  expect(zombieMoves(await auditedMoves(fixture.database.url))).toEqual([]);
  // Nobody has moved since the claim, so that only the epoch tells the two apart.
  await moveUnfenced(batches.partition, { ownerEpoch: '1', nextOffset: 1 }, batches.of([put(2)]).progress);
  expect(zombieMoves(await auditedMoves(fixture.database.url))).toEqual([
    expect.stringMatching(/^orders taken#0 at 2: moved by session \d+, which session \d+ had followed$/),
  ]);
});

test('takeovers, several batches in one transaction and a common step over a barrier are not taken for one', async () => {
  const all = ['a#0', 'a#1'];
  const [one = new Batches(''), other = new Batches('')] = all.map((partition) => new Batches(partition));
  const [first, second] = [await fixture.open([mappingTo(items)]), await fixture.open([mappingTo(items)])];
  await first.claim(all);
  expect(await first.write(one.of([put(11)], true))).toBe('open');
  expect(await first.write(other.of([put(12)]))).toBe('open');
  expect(await first.write(one.of([put(13)]))).toBe('committed');
  await second.claim(['a#1']);
  const barrier = { ...one.of([[0, items, { op: 'truncate' }]]), barrier: all };
  const { partition, entries, progress } = other.of([[0, items, { op: 'truncate' }]]);
  expect(await first.write(barrier)).toBe('waiting');
  // The same barrier: what stands in both partitions has one version.
  const there = { partition, entries, progress: { ...progress, version: barrier.progress.version }, open: false, barrier: all };
  expect(await second.write(there)).toBe('committed');
  const moves = (await auditedMoves(fixture.database.url)).filter(({ partition }) => partition.startsWith('orders a#'));
  expect(moves.some(({ mover, owner, isAgreed }) => mover !== owner && isAgreed)).toBe(true);
  expect(zombieMoves(moves)).toEqual([]);
});

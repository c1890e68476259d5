/** Held queues are read a page at a time: no verdict may hang on which page a change is on. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readQueues } from '../../connectors/postgres/queues.ts';
import type { RefusalTools } from '../../connectors/postgres/refusal.ts';
import { Session } from '../../connectors/postgres/session.ts';
import { openPostgresSink } from '../../connectors/postgres/sink.ts';
import type { Operation } from '../contract/sink-histories.ts';
import type { PoisonPolicy } from '../../src/core/quarantine-port.ts';
import type { Sink } from '../../src/core/sink-port.ts';
import { Batches, column, mappingTo, postgresFixture, type PostgresFixture, tableOf } from './postgres-fixture.ts';

const parents = tableOf('parents', ['id'], [column('id', { nullable: false }), column('up')]);
const children = tableOf('children', ['id'], [column('id', { nullable: false }), column('parent'), column('n')]);
const mappings = [mappingTo(parents), mappingTo(children)];
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
type Change = [mapping: number, table: typeof parents, operation: Operation];

const parent = (id: number, up: number | null): Change => [0, parents, { op: 'insert', after: { id, up } }];
const child = (id: number, of: number): Change => [1, children, { op: 'insert', after: { id, parent: of, n: 0 } }];
/** One child, written so often. */
const writes = (times: number, of: number): Change[] =>
  Array.from({ length: times }, (_, n) =>
    n === 0 ? child(1, of) : [1, children, { op: 'update', before: { id: 1, parent: of, n: n - 1 }, after: { id: 1, parent: of, n } }],
  );
const families = (count: number): Change[] => [
  ...Array.from({ length: count }, (_, id) => child(id, 1000 + id)),
  ...Array.from({ length: count }, (_, id) => parent(1000 + id, 1)),
];

describe('held queues over several pages', () => {
  let fixture: PostgresFixture;
  beforeAll(async () => {
    fixture = await postgresFixture();
  });
  afterAll(() => fixture[Symbol.asyncDispose]());
  beforeEach(() =>
    fixture.execute(`DROP SCHEMA IF EXISTS crossfade CASCADE; DROP TABLE IF EXISTS children, parents;
      CREATE TABLE parents (id int PRIMARY KEY, up int REFERENCES parents (id));
      CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents (id), n int)`),
  );
  const open = async (partitions: string[], onPoison: PoisonPolicy): Promise<Sink> => {
    const sink = await openPostgresSink(fixture.settings, {
      pipeline: 'test',
      service: 'orders',
      mappings,
      logger: quiet,
      onPoison,
      partitions,
    });
    await sink.claim(partitions);
    return sink;
  };
  const counts = async () => (await fixture.rows('SELECT (SELECT count(*) FROM children), (SELECT count(*) FROM parents)'))[0]?.map(Number);
  const kept = async () => Number((await fixture.rows('SELECT count(*) FROM crossfade.quarantine'))[0]?.[0]);

  test.each([40, 120])(
    'G2: %i children before their parents, whose own parent comes in a later part, are one transaction',
    async (count) => {
      await using sink = await open(['a#0'], 'halt');
      const batches = new Batches('a#0');
      await sink.write(batches.of(families(count), true));
      await sink.write(batches.of([parent(1, null)]));
      expect([await counts(), await kept()]).toEqual([[count, count + 1], 0]);
    },
  );

  test('G2: a key that is written sixty times before its parent comes ends with its last value in the same transaction', async () => {
    await using sink = await open(['a#0'], 'halt');
    const batches = new Batches('a#0');
    await sink.write(batches.of(writes(60, 7), true));
    await sink.write(batches.of([parent(7, null)]));
    expect([await fixture.rows('SELECT n FROM children'), await kept()]).toEqual([[['59']], 0]);
  });

  test.each([40, 120])('section 9: the commit that frees %i families is also the one that passes their deadline', async (count) => {
    await using sink = await open(['a#0', 'b#0'], 'quarantine');
    const [left, right] = [new Batches('a#0'), new Batches('b#0')];
    await sink.write(right.of([parent(2, null)]));
    await sink.write(left.of(families(count)));
    const ends = new Map([
      ['a#0', 2 * count],
      ['b#0', 2],
    ]);
    await sink.tend?.(ends);
    await sink.write(right.of([parent(1, null)]));
    for (let round = 0; round < 10 && sink.holds; round += 1) await sink.tend?.(ends);
    expect([await counts(), await kept()]).toEqual([[count, count + 2], 0]);
  });

  test.each([49, 50])('section 9: a change behind %i others of its key is not judged by what was complete before it', async (before) => {
    await using sink = await open(['a#0', 'b#0'], 'halt');
    const [left, right] = [new Batches('a#0'), new Batches('b#0')];
    await sink.write(right.of([parent(1, null)]));
    await sink.write(left.of(writes(before, 7)));
    await sink.write(right.of([parent(7, null)]));
    const ends = new Map([
      ['a#0', before],
      ['b#0', 2],
    ]);
    const moved: Operation = { op: 'update', before: { id: 1, parent: 7, n: before - 1 }, after: { id: 1, parent: 8, n: 99 } };
    await sink.write(left.of([[1, children, moved]]));
    for (let round = 0; round < 4; round += 1) await sink.tend?.(ends);
    await sink.write(right.of([parent(8, null)]));
    await sink.tend?.(ends);
    expect([await fixture.rows('SELECT parent, n FROM children'), await kept()]).toEqual([[['8', '99']], 0]);
  });

  test('twelve hundred keys that are due are tried and judged in transactions of a thousand at most, each key twice', async () => {
    const count = 1200;
    await using sink = await open(['a#0', 'b#0'], 'quarantine');
    const [left, right] = [new Batches('a#0'), new Batches('b#0')];
    await sink.write(right.of([parent(1, null)]));
    await sink.write(left.of(Array.from({ length: count }, (_, id) => child(id, 1000 + id))));
    const ends = new Map([
      ['a#0', count],
      ['b#0', 1],
    ]);
    const tried: number[] = [];
    while (sink.holds && tried.length < 20) {
      const before = (await fixture.rows('SELECT clock_timestamp()'))[0]?.[0] ?? '';
      await sink.tend?.(ends);
      tried.push(Number((await fixture.rows(`SELECT count(*) FROM crossfade.quarantine WHERE tried_at > '${before}'`))[0]?.[0]));
    }
    expect(Math.max(...tried)).toBeLessThanOrEqual(1000);
    expect(tried.length).toBeLessThanOrEqual(3);
    expect(await fixture.rows('SELECT state, count(*) FROM crossfade.quarantine GROUP BY state')).toEqual([['quarantined', String(count)]]);
  });

  test('G2: large changes make small pages, and no head is judged before all of them were tried', async () => {
    await fixture.execute('ALTER TABLE children ADD note text');
    const noted = tableOf('children', ['id'], [...children.columns, column('note', { kind: 'string', type: 'longtext' })]);
    const note = 'x'.repeat(3 * 1024 * 1024);
    const large = (id: number, of: number): Change => [1, noted, { op: 'insert', after: { id, parent: of, n: 0, note } }];
    await using sink = await open(['a#0', 'b#0'], 'quarantine');
    const [left, right] = [new Batches('a#0'), new Batches('b#0')];
    await sink.write(right.of([parent(2, null)]));
    // The first seven wait for a parent that is held behind them all: three large ones to a page, it is on the third.
    await sink.write(left.of([...Array.from({ length: 7 }, (_, id) => large(id, 5)), parent(5, 1)]));
    await using session = await Session.open(fixture.settings, 'pages');
    const tools = { owner: { pipeline: 'test', service: 'orders' }, mappings } as unknown as RefusalTools;
    const page = await readQueues(session, tools, ['a#0']);
    expect(page.map(({ units }) => units.length)).toEqual([1, 1, 1]);
    const ends = new Map([
      ['a#0', 8],
      ['b#0', 2],
    ]);
    await sink.tend?.(ends);
    await sink.write(right.of([parent(1, null)]));
    for (let round = 0; round < 10 && sink.holds; round += 1) await sink.tend?.(ends);
    expect([await counts(), await kept()]).toEqual([[7, 3], 0]);
  });

  test('a change that is larger than a page is a page', async () => {
    await fixture.execute('ALTER TABLE children ADD note text');
    const noted = tableOf('children', ['id'], [...children.columns, column('note', { kind: 'string', type: 'longtext' })]);
    const after = { id: 1, parent: 5, n: 0, note: 'x'.repeat(9 * 1024 * 1024) };
    await using sink = await open(['a#0', 'b#0'], 'quarantine');
    await sink.write(new Batches('a#0').of([[1, noted, { op: 'insert', after }]]));
    expect([await counts(), await kept()]).toEqual([[0, 0], 1]);
    await sink.write(new Batches('b#0').of([parent(5, null)]));
    await sink.tend?.(undefined);
    expect([await counts(), await kept()]).toEqual([[1, 1], 0]);
  });
});

import { expect, test } from 'vitest';
import type { SourceFixture } from '../support/source-fixture.ts';
import { changesOf, type PlainBatch, readBatches, untilChanges } from '../support/source-harness.ts';

/** What comes out of a source: which changes, in which order, in which batches. */
export function rowTests(fixture: SourceFixture): void {
  const { table, insert, set, remove, open } = fixture;

  test('changes come in commit order with their images and keys', async () => {
    const source = await open();
    const start = await source.start();
    await fixture.harness.execute([insert('people', 1), insert('orders', 7)]);
    await fixture.harness.execute([set('people', 1, { name: 'Zoë "Z" \\ ☃', score: null })]);
    await fixture.harness.execute([remove('orders', 7)]);
    const changes = changesOf(await readBatches(source, start, untilChanges(4)));
    const first = { id: 1, name: 'n1', score: 10 };
    const order = { id: 7, name: 'n7', score: 70 };
    expect(changes).toMatchObject([
      { op: 'c', table: 'people', before: null, after: first, key: { id: 1 }, oldKey: null, ordinal: 0 },
      { op: 'c', table: 'orders', before: null, after: order, key: { id: 7 }, oldKey: null, ordinal: 1 },
      { op: 'u', table: 'people', before: first, after: { id: 1, name: 'Zoë "Z" \\ ☃', score: null }, key: { id: 1 }, oldKey: null },
      { op: 'd', table: 'orders', before: order, after: null, key: { id: 7 }, oldKey: null },
    ]);
    expect(changes[0]?.transaction).toBe(changes[1]?.transaction);
    expect(new Set(changes.map((change) => change.transaction)).size).toBe(3);
  });

  test('an update that changes the key carries both keys', async () => {
    const source = await open();
    const start = await source.start();
    await fixture.harness.execute([insert('people', 1)]);
    await fixture.harness.execute([set('people', 1, { id: 2 }), insert('people', 1, 'again')]);
    const [, moved, again] = changesOf(await readBatches(source, start, untilChanges(3)));
    expect(moved).toMatchObject({ op: 'u', key: { id: 2 }, oldKey: { id: 1 }, before: { id: 1 }, after: { id: 2 } });
    expect(again).toMatchObject({ op: 'c', key: { id: 1 }, after: { id: 1, name: 'again' } });
  });

  test('what was rolled back never comes', async () => {
    const source = await open();
    const start = await source.start();
    await fixture.harness.rollback([insert('people', 1), insert('orders', 1)]);
    await fixture.harness.execute([insert('people', 2)]);
    expect(changesOf(await readBatches(source, start, untilChanges(1)))).toMatchObject([{ key: { id: 2 } }]);
  });

  test('rows of tables that nobody maps are left out and counted', async () => {
    const source = await open(['people']);
    const start = await source.start();
    await fixture.harness.execute([insert('audit', 1), insert('people', 1), insert('audit', 2), insert('orders', 3), insert('people', 2)]);
    await fixture.harness.execute([insert('audit', 3)]);
    await fixture.harness.execute([insert('people', 3)]);
    const changes = changesOf(await readBatches(source, start, untilChanges(3)));
    expect(changes.map(({ table, ordinal }) => [table, ordinal])).toEqual([
      ['people', 1],
      ['people', 4],
      ['people', 0],
    ]);
  });

  test('versions strictly increase, over files too, and are the same when read again', async () => {
    const source = await open();
    const start = await source.start();
    for (let id = 1; id <= 6; id += 1) {
      await fixture.harness.execute([insert('people', id), insert('people', id + 100), insert('orders', id)]);
      if (id % 2 === 0) await fixture.harness.rotate();
    }
    const first = changesOf(await readBatches(source, start, untilChanges(18)));
    const versions = first.map((change) => change.version);
    expect(versions).toEqual([...new Set(versions)].sort());
    const again = changesOf(await readBatches(await open(), start, untilChanges(18)));
    expect(again).toEqual(first);
  });

  test('resuming from any position yields exactly the rest', async () => {
    const source = await open(['people', 'orders'], { batchBytes: 400 });
    const start = await source.start();
    for (let id = 1; id <= 12; id += 1) {
      if (id === 7) await fixture.harness.rotate();
      const rows = id === 5 ? Array.from({ length: 20 }, (_, index) => insert('people', 100 + index)) : [insert('people', id)];
      await fixture.harness.execute([...rows, insert(id % 3 === 0 ? 'audit' : 'orders', id)]);
    }
    const count = 11 + 20 + 8;
    const batches = await readBatches(source, start, untilChanges(count));
    const all = changesOf(batches);
    expect(all).toHaveLength(count);
    for (let index = 0; index < batches.length; index += 1) {
      const { position, open: cut } = batches[index] as PlainBatch;
      const handed = changesOf(batches.slice(0, index + 1));
      // The position of a cut transaction lies before it.
      const done = cut ? handed.filter((change) => change.transaction !== handed.at(-1)?.transaction) : handed;
      if (done.length === count) continue;
      const rest = await readBatches(source, position, untilChanges(count - done.length));
      expect(changesOf(rest), `after batch ${index}`).toEqual(all.slice(done.length));
    }
  });

  test('a transaction is whole in one batch, or comes in parts that say so', async () => {
    const source = await open(['people'], { batchBytes: 1000 });
    const start = await source.start();
    await fixture.harness.execute([insert('people', 1), insert('people', 2)]);
    await fixture.harness.execute(Array.from({ length: 200 }, (_, index) => insert('people', 10 + index, 'x'.repeat(100))));
    await fixture.harness.execute([insert('people', 3), insert('people', 4)]);
    const batches = await readBatches(source, start, untilChanges(204));
    expect(batches.filter((batch) => batch.open).length).toBeGreaterThan(1);
    expect(changesOf(batches).map((change) => change.ordinal)).toEqual([0, 1, ...Array.from({ length: 200 }, (_, index) => index), 0, 1]);
    for (let index = 0; index + 1 < batches.length; index += 1) {
      const end = batches[index]?.changes.at(-1)?.transaction;
      const next = changesOf(batches.slice(index + 1))[0]?.transaction;
      const goesOn = end === undefined ? batches[index]?.open : end === next;
      expect(batches[index]?.open, `batch ${index}`).toBe(goesOn);
    }
    for (const batch of batches) expect(batch.bytes).toBeLessThan(64 * 1024);
  });

  test('all rows of a transaction name the same object, over all its parts', async () => {
    const source = await open(['people'], { batchBytes: 1000 });
    const start = await source.start();
    await fixture.harness.execute(Array.from({ length: 100 }, (_, index) => insert('people', index, 'x'.repeat(100))));
    const seen = new Set<unknown>();
    let count = 0;
    let batches = 0;
    for await (const batch of source.read(start, AbortSignal.timeout(10_000))) {
      batches += 1;
      for (const change of batch.changes) seen.add(change.transaction);
      count += batch.changes.length;
      if (count >= 100) break;
    }
    expect(batches).toBeGreaterThan(1);
    expect(seen.size).toBe(1);
  });

  test('TRUNCATE of a captured table is a change of its own, alone in its transaction; of others it is nothing', async () => {
    const source = await open(['people', 'orders'], { batchBytes: 400 });
    const start = await source.start();
    // Before any row of the table was read, too.
    await fixture.harness.truncate(table('orders'));
    await fixture.harness.execute([insert('people', 1), insert('people', 2)]);
    await fixture.harness.truncate(table('audit'));
    await fixture.harness.truncate(table('people'));
    await fixture.harness.rotate();
    await fixture.harness.execute([insert('people', 1)]);
    const batches = await readBatches(source, start, untilChanges(5));
    const changes = changesOf(batches);
    expect(changes.map(({ op, table }) => `${op} ${table}`)).toEqual(['t orders', 'c people', 'c people', 't people', 'c people']);
    for (const change of changes.filter(({ op }) => op === 't')) {
      expect(change).toMatchObject({ before: null, after: null, key: undefined, oldKey: null });
      expect(changes.filter(({ transaction }) => transaction === change.transaction)).toHaveLength(1);
    }
    const versions = changes.map((change) => change.version);
    expect(versions).toEqual([...new Set(versions)].sort());
    for (const [index, { position, open: cut }] of batches.entries()) {
      const handed = changesOf(batches.slice(0, index + 1)).length;
      if (cut || handed === changes.length) continue;
      expect(changesOf(await readBatches(source, position, untilChanges(changes.length - handed)))).toEqual(changes.slice(handed));
    }
  });

  test('a new column is in the schema of the rows that follow', async () => {
    const source = await open(['people']);
    const start = await source.start();
    await fixture.harness.execute([insert('people', 1)]);
    await fixture.harness.addColumn(table('people'), 'city');
    await fixture.harness.execute([{ op: 'insert', table: table('people'), row: { id: 2, name: 'b', score: 1, city: 'Bern' } }]);
    const [old, fresh] = changesOf(await readBatches(source, start, untilChanges(2)));
    expect(old?.after).toEqual({ id: 1, name: 'n1', score: 10 });
    expect(fresh?.after).toEqual({ id: 2, name: 'b', score: 1, city: 'Bern' });
    const [schema] = await source.schemas([table('people')]);
    expect(schema?.columns.map((column) => column.name)).toEqual(['id', 'name', 'score', 'city']);
  });
}

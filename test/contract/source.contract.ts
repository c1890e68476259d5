import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TableId } from '../../src/core/change.ts';
import type { CrossfadeError } from '../../src/core/errors.ts';
import type { Source } from '../../src/core/ports.ts';
import { changesOf, type PlainBatch, readBatches, type SourceHarness, type Statement, untilChanges } from '../support/source-harness.ts';

/** The promises of the Source port; `makeHarness` answers a server with three empty tables and its history so far. */
export function sourceContract(name: string, makeHarness: () => Promise<SourceHarness>): void {
  describe(`source contract: ${name}`, () => {
    let harness: SourceHarness;
    let sources: Source[];
    const table = (name: string): TableId => ({ database: harness.database, table: name });
    const insert = (into: string, id: number, name = `n${id}`): Statement => ({
      op: 'insert',
      table: table(into),
      row: { id, name, score: id * 10 },
    });
    const set = (of: string, id: number, set: Readonly<Record<string, string | number | null>>): Statement => ({
      op: 'update',
      table: table(of),
      key: { id },
      set,
    });
    const remove = (from: string, id: number): Statement => ({ op: 'delete', table: table(from), key: { id } });
    const open = async (tables = ['people', 'orders'], options?: { batchBytes?: number }): Promise<Source> => {
      const source = await harness.open(
        tables.map((name) => table(name)),
        options,
      );
      sources.push(source);
      return source;
    };
    const failureOf = async (reading: Promise<unknown>): Promise<CrossfadeError> => {
      const error: unknown = await reading.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ name: 'CrossfadeError' });
      return error as CrossfadeError;
    };

    beforeEach(async () => {
      sources = [];
      harness = await makeHarness();
    });
    afterEach(async () => {
      for (const source of sources) await source[Symbol.asyncDispose]();
      await harness[Symbol.asyncDispose]();
    });

    test('changes come in commit order with their images and keys', async () => {
      const source = await open();
      const start = await source.start();
      await harness.execute([insert('people', 1), insert('orders', 7)]);
      await harness.execute([set('people', 1, { name: 'Zoë "Z" \\ ☃', score: null })]);
      await harness.execute([remove('orders', 7)]);
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
      await harness.execute([insert('people', 1)]);
      await harness.execute([set('people', 1, { id: 2 }), insert('people', 1, 'again')]);
      const [, moved, again] = changesOf(await readBatches(source, start, untilChanges(3)));
      expect(moved).toMatchObject({ op: 'u', key: { id: 2 }, oldKey: { id: 1 }, before: { id: 1 }, after: { id: 2 } });
      expect(again).toMatchObject({ op: 'c', key: { id: 1 }, after: { id: 1, name: 'again' } });
    });

    test('what was rolled back never comes', async () => {
      const source = await open();
      const start = await source.start();
      await harness.rollback([insert('people', 1), insert('orders', 1)]);
      await harness.execute([insert('people', 2)]);
      expect(changesOf(await readBatches(source, start, untilChanges(1)))).toMatchObject([{ key: { id: 2 } }]);
    });

    test('rows of tables that nobody maps are left out and counted', async () => {
      const source = await open(['people']);
      const start = await source.start();
      await harness.execute([insert('audit', 1), insert('people', 1), insert('audit', 2), insert('orders', 3), insert('people', 2)]);
      await harness.execute([insert('audit', 3)]);
      await harness.execute([insert('people', 3)]);
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
        await harness.execute([insert('people', id), insert('people', id + 100), insert('orders', id)]);
        if (id % 2 === 0) await harness.rotate();
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
        if (id === 7) await harness.rotate();
        const rows = id === 5 ? Array.from({ length: 20 }, (_, index) => insert('people', 100 + index)) : [insert('people', id)];
        await harness.execute([...rows, insert(id % 3 === 0 ? 'audit' : 'orders', id)]);
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
      await harness.execute([insert('people', 1), insert('people', 2)]);
      await harness.execute(Array.from({ length: 200 }, (_, index) => insert('people', 10 + index, 'x'.repeat(100))));
      await harness.execute([insert('people', 3), insert('people', 4)]);
      const batches = await readBatches(source, start, untilChanges(204));
      expect(batches.filter((batch) => batch.open).length).toBeGreaterThan(1);
      expect(changesOf(batches).map((change) => change.ordinal)).toEqual([0, 1, ...Array.from({ length: 200 }, (_, index) => index), 0, 1]);
      for (let index = 0; index + 1 < batches.length; index += 1) {
        const end = batches[index]?.changes.at(-1)?.transaction;
        const next = changesOf(batches.slice(index + 1))[0]?.transaction;
        if (end !== undefined) expect(batches[index]?.open, `batch ${index}`).toBe(end === next);
      }
      for (const batch of batches) expect(batch.bytes).toBeLessThan(64 * 1024);
    });

    test('all rows of a transaction name the same object, over all its parts', async () => {
      const source = await open(['people'], { batchBytes: 1000 });
      const start = await source.start();
      await harness.execute(Array.from({ length: 100 }, (_, index) => insert('people', index, 'x'.repeat(100))));
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

    test('a new column is in the schema of the rows that follow', async () => {
      const source = await open(['people']);
      const start = await source.start();
      await harness.execute([insert('people', 1)]);
      await harness.addColumn(table('people'), 'city');
      await harness.execute([{ op: 'insert', table: table('people'), row: { id: 2, name: 'b', score: 1, city: 'Bern' } }]);
      const [old, fresh] = changesOf(await readBatches(source, start, untilChanges(2)));
      expect(old?.after).toEqual({ id: 1, name: 'n1', score: 10 });
      expect(fresh?.after).toEqual({ id: 2, name: 'b', score: 1, city: 'Bern' });
      const [schema] = await source.schemas([table('people')]);
      expect(schema?.columns.map((column) => column.name)).toEqual(['id', 'name', 'score', 'city']);
    });

    test('schemas() and check() name what is there and what is missing', async () => {
      const source = await open(['people', 'nowhere']);
      const schemas = await source.schemas([table('people'), table('nowhere')]);
      expect(schemas).toMatchObject([{ table: { table: 'people' }, key: ['id'] }]);
      expect(await source.check()).toContainEqual(expect.objectContaining({ level: 'error', code: 'SOURCE_TABLE_MISSING' }));
      const good = await open(['people', 'orders']);
      expect((await good.check()).filter((finding) => finding.level === 'error')).toEqual([]);
    });

    test('end() is behind everything committed, and both positions have a form for people', async () => {
      const source = await open();
      const start = await source.start();
      await harness.execute([insert('people', 1)]);
      const end = await source.end();
      await harness.execute([insert('people', 2)]);
      expect(changesOf(await readBatches(source, end, untilChanges(1)))).toMatchObject([{ key: { id: 2 } }]);
      expect(changesOf(await readBatches(source, start, untilChanges(2)))).toHaveLength(2);
      expect(source.describe(end)).not.toBe(source.describe(start));
      expect(source.describe(end)).not.toBe('');
    });

    test('an idle source beats, and everything committed before a beat has come', async () => {
      const source = await open();
      const start = await source.start();
      await harness.execute([insert('people', 1)]);
      const batches = await readBatches(source, start, (all) => changesOf(all).length > 0 && all.filter((b) => b.changes.length === 0).length >= 3);
      const beats = batches.filter((batch) => batch.changes.length === 0).slice(-2);
      expect(beats[1]?.throughUs).toBeGreaterThan(beats[0]?.throughUs as number);
      expect(changesOf(await readBatches(source, start, untilChanges(1)))).toHaveLength(1);
      const resumed = await readBatches(source, beats[1]?.position as string, (all) => all.length >= 1);
      expect(changesOf(resumed)).toEqual([]);
    });

    test('abort ends the reading soon: before it, while idle, and while the consumer is busy', async () => {
      const source = await open();
      const start = await source.start();
      const endOf = async (signal: AbortSignal, busy?: () => void) => {
        try {
          for await (const batch of source.read(start, signal)) if (batch.changes.length > 0) busy?.();
        } catch (error) {
          if (error !== signal.reason) throw error;
        }
      };
      await endOf(AbortSignal.abort(new Error('stopped')));
      const idle = new AbortController();
      const idleEnd = endOf(idle.signal);
      await new Promise((resolve) => setImmediate(resolve));
      const before = performance.now();
      idle.abort(new Error('stopped'));
      await idleEnd;
      await harness.execute([insert('people', 1)]);
      const busy = new AbortController();
      await endOf(busy.signal, () => busy.abort(new Error('stopped')));
      expect(performance.now() - before).toBeLessThan(5000);
    });

    test('sessions follow one another on one source, over a cut connection too', async () => {
      const source = await open();
      let position = await source.start();
      const seen: unknown[] = [];
      for (let round = 1; round <= 4; round += 1) {
        await harness.execute([insert('people', round)]);
        const batches = await readBatches(source, position, untilChanges(1));
        seen.push(...changesOf(batches).map((change) => change.key));
        position = batches.at(-1)?.position as string;
        const cut = failureOf(readBatches(source, position, () => false));
        // The first beat shows that the session is up; a cut before it would only meet the handshake.
        await readBatches(await open(), position, (all) => all.length >= 1);
        await harness.disconnect();
        expect((await cut).fault).toBe('retry');
      }
      expect(seen).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }]);
    });

    test('a consumer that stops pulling bounds what the source holds, and misses nothing', async () => {
      const source = await open();
      const start = await source.start();
      const stop = new AbortController();
      const reading = source.read(start, AbortSignal.any([stop.signal, AbortSignal.timeout(30_000)]))[Symbol.asyncIterator]();
      await harness.execute([insert('people', 1)]);
      let count = 0;
      const pull = async () => (count += ((await reading.next()).value as { changes: readonly unknown[] }).changes.length);
      while (count < 1) await pull();
      for (let round = 0; round < 40; round += 1) {
        await harness.execute(Array.from({ length: 25 }, (_, index) => insert('people', 100 + round * 25 + index, 'y'.repeat(3000))));
        if (harness.buffer) expect(harness.buffer.bytes()).toBeLessThanOrEqual(harness.buffer.ceilingBytes);
      }
      while (count < 1001) await pull();
      expect(count).toBe(1001);
      stop.abort(new Error('stopped'));
      await reading.return?.();
    });

    test('a purged position stops with SOURCE_POSITION_PURGED', async () => {
      const source = await open();
      const start = await source.start();
      await harness.execute([insert('people', 1)]);
      await harness.purge();
      const error = await failureOf(readBatches(source, start, () => false));
      expect(error).toMatchObject({ code: 'SOURCE_POSITION_PURGED', fault: 'fatal' });
      const end = await source.end();
      await harness.execute([insert('people', 2)]);
      expect(changesOf(await readBatches(source, end, untilChanges(1)))).toMatchObject([{ key: { id: 2 } }]);
    });

    test('a server that lost what was read stops with SOURCE_HISTORY_DIVERGED', async (context) => {
      if (!harness.loseLast) return context.skip();
      const source = await open();
      await harness.execute([insert('people', 1)]);
      await harness.execute([insert('people', 2)]);
      const end = await source.end();
      await harness.loseLast();
      expect(await failureOf(readBatches(source, end, () => false))).toMatchObject({ code: 'SOURCE_HISTORY_DIVERGED', fault: 'fatal' });
      // The same number of transactions, but the last is another one: only its fingerprint tells.
      await harness.execute([insert('people', 3)]);
      expect(await failureOf(readBatches(source, end, () => false))).toMatchObject({ code: 'SOURCE_HISTORY_DIVERGED', fault: 'fatal' });
    });

    test('text that is no position of its own stops with SOURCE_POSITION_INVALID', async () => {
      const source = await open();
      for (const text of ['', '{}', 'binlog.000001:4', '[1]', 'null']) {
        const error = await failureOf(readBatches(source, text, () => false));
        expect(error, text).toMatchObject({ code: 'SOURCE_POSITION_INVALID', fault: 'fatal' });
      }
    });

    test('disposing twice is allowed', async () => {
      const source = await open();
      await source.start();
      await source[Symbol.asyncDispose]();
      await source[Symbol.asyncDispose]();
    });
  });
}

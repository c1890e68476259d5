import { expect, test } from 'vitest';
import { failureOf, type SourceFixture } from '../support/source-fixture.ts';
import { changesOf, readBatches, untilChanges } from '../support/source-harness.ts';

/** How a source begins, idles, ends and fails. */
export function sessionTests(fixture: SourceFixture): void {
  const { table, insert, open } = fixture;

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
    await fixture.harness.execute([insert('people', 1)]);
    const end = await source.end();
    await fixture.harness.execute([insert('people', 2)]);
    expect(changesOf(await readBatches(source, end, untilChanges(1)))).toMatchObject([{ key: { id: 2 } }]);
    expect(changesOf(await readBatches(source, start, untilChanges(2)))).toHaveLength(2);
    expect(source.describe(end)).not.toBe(source.describe(start));
    expect(source.describe(end)).not.toBe('');
  });

  test('an idle source beats, and everything committed before a beat has come', async () => {
    const source = await open();
    const start = await source.start();
    await fixture.harness.execute([insert('people', 1)]);
    const batches = await readBatches(
      source,
      start,
      (all) => changesOf(all).length > 0 && all.filter((b) => b.changes.length === 0).length >= 3,
    );
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
    await fixture.harness.execute([insert('people', 1)]);
    const busy = new AbortController();
    await endOf(busy.signal, () => busy.abort(new Error('stopped')));
    expect(performance.now() - before).toBeLessThan(5000);
  });

  test('sessions follow one another on one source, over a cut connection too', async () => {
    const source = await open();
    let position = await source.start();
    const seen: unknown[] = [];
    for (let round = 1; round <= 4; round += 1) {
      await fixture.harness.execute([insert('people', round)]);
      const batches = await readBatches(source, position, untilChanges(1));
      seen.push(...changesOf(batches).map((change) => change.key));
      position = batches.at(-1)?.position as string;
      const cut = failureOf(readBatches(source, position, () => false));
      // The first beat shows that the session is up; a cut before it would only meet the handshake.
      await readBatches(await open(), position, (all) => all.length >= 1);
      await fixture.harness.disconnect();
      expect((await cut).fault).toBe('retry');
    }
    expect(seen).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }]);
  });

  test('section 9: caughtUp comes with the last of what was there at the beginning, and not before', async () => {
    const source = await open();
    const start = await source.start();
    await fixture.harness.execute([insert('people', 1)]);
    await fixture.harness.execute([insert('people', 2), insert('people', 3)]);
    const batches = await readBatches(source, start, (all) => all.at(-1)?.caughtUp === true);
    expect(changesOf(batches).map((change) => change.key)).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
    let rows = 0;
    for (const { changes, caughtUp } of batches) {
      rows += changes.length;
      expect(caughtUp).toBe(rows === 3);
    }
    // At the end from the beginning on: the first sign of life says so, and traffic of others does not hide it.
    const again = await readBatches(source, batches.at(-1)?.position as string, (all) => all.at(-1)?.caughtUp === true);
    expect(changesOf(again)).toEqual([]);
  });

  test('a consumer that stops pulling bounds what the source holds, and misses nothing', async () => {
    const source = await open();
    const start = await source.start();
    const stop = new AbortController();
    const reading = source.read(start, AbortSignal.any([stop.signal, AbortSignal.timeout(30_000)]))[Symbol.asyncIterator]();
    await fixture.harness.execute([insert('people', 1)]);
    let count = 0;
    const pullUntil = async (wanted: number) => {
      while (count < wanted) count += ((await reading.next()).value as { changes: readonly unknown[] }).changes.length;
    };
    await pullUntil(1);
    for (let round = 0; round < 40; round += 1) {
      await fixture.harness.execute(Array.from({ length: 25 }, (_, index) => insert('people', 100 + round * 25 + index, 'y'.repeat(3000))));
      const { buffer = { bytes: () => 0, ceilingBytes: 0 } } = fixture.harness;
      expect(buffer.bytes()).toBeLessThanOrEqual(buffer.ceilingBytes);
    }
    await pullUntil(1001);
    expect(count).toBe(1001);
    stop.abort(new Error('stopped'));
    await reading.return?.();
  });

  test('a purged position stops with SOURCE_POSITION_PURGED', async () => {
    const source = await open();
    const start = await source.start();
    await fixture.harness.execute([insert('people', 1)]);
    await fixture.harness.purge();
    const error = await failureOf(readBatches(source, start, () => false));
    expect(error).toMatchObject({ code: 'SOURCE_POSITION_PURGED', fault: 'fatal' });
    // A check that is told where the log stands says the same, and nothing where all is well.
    expect(await source.check(start)).toContainEqual(expect.objectContaining({ level: 'error', code: 'SOURCE_POSITION_PURGED' }));
    const end = await source.end();
    expect((await source.check(end)).filter((finding) => finding.level === 'error')).toEqual([]);
    await fixture.harness.execute([insert('people', 2)]);
    expect(changesOf(await readBatches(source, end, untilChanges(1)))).toMatchObject([{ key: { id: 2 } }]);
  });

  test('a server that lost what was read stops with SOURCE_HISTORY_DIVERGED', async (context) => {
    context.skip(!fixture.harness.loseLast, 'this server cannot be made to lose what it committed');
    const source = await open();
    await fixture.harness.execute([insert('people', 1)]);
    await fixture.harness.execute([insert('people', 2)]);
    const end = await source.end();
    await fixture.harness.loseLast?.();
    expect(await source.check(end)).toContainEqual(expect.objectContaining({ level: 'error', code: 'SOURCE_HISTORY_DIVERGED' }));
    expect(await failureOf(readBatches(source, end, () => false))).toMatchObject({ code: 'SOURCE_HISTORY_DIVERGED', fault: 'fatal' });
    // The same number of transactions, but the last is another one: only its fingerprint tells.
    await fixture.harness.execute([insert('people', 3)]);
    expect(await failureOf(readBatches(source, end, () => false))).toMatchObject({ code: 'SOURCE_HISTORY_DIVERGED', fault: 'fatal' });
  });

  test('text that is no position of its own stops with SOURCE_POSITION_INVALID', async () => {
    const source = await open();
    for (const text of ['', '{}', 'binlog.000001:4', '[1]', 'null']) {
      const error = await failureOf(readBatches(source, text, () => false));
      expect(error).toMatchObject({ code: 'SOURCE_POSITION_INVALID', fault: 'fatal' });
      expect(await source.check(text)).toContainEqual(expect.objectContaining({ level: 'error', code: 'SOURCE_POSITION_INVALID' }));
    }
  });

  test('disposing twice is allowed', async () => {
    const source = await open();
    await source.start();
    await source[Symbol.asyncDispose]();
    await expect(source[Symbol.asyncDispose]()).resolves.toBeUndefined();
  });
}

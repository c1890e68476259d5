/** Appending, and who may. */
import { describe, expect, test } from 'vitest';
import type { StreamSpec, Writer } from '../../src/core/log-port.ts';
import { ascends, consume, expectCode, type MakeHarness, never, orders, ordersStream, people, startHarness } from './log-harness.ts';
import { collect, numberOf, peopleSchema, range, rows, tombstone, until, valueOf, versionAt } from './log-rows.ts';

export function writingContract(name: string, makeHarness: MakeHarness): void {
  const start = (streams?: readonly StreamSpec[]) => startHarness(makeHarness, streams);

  describe(`${name}: writing`, () => {
    test('rows come back in order, exactly as they were appended, tombstones too', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append([{ partition: people, batch: rows(0, 3, { term: writer.term }) }]);
      await writer.append([{ partition: people, batch: tombstone(3, writer.term) }]);
      const records = await collect(log, new Map([[people, 0]]), 4);
      expect(records.map((record) => Buffer.from(record.key ?? []).toString())).toEqual(['{"id":0}', '{"id":1}', '{"id":2}', '{"id":3}']);
      expect(records.map((record) => record.value && Buffer.from(record.value).toString())).toEqual([...range(0, 3).map(valueOf), null]);
      expect(
        records.map(({ version, term, committedAtUs, schemaId, open, timestampMs }) => [
          version,
          term,
          committedAtUs,
          schemaId,
          open,
          timestampMs,
        ]),
      ).toEqual(range(0, 4).map((n) => [versionAt(n), writer.term, n * 1000, peopleSchema.id, false, n]));
      expect(ascends(records.map(({ offset }) => offset))).toBe(true);
    });

    test('several outstanding appends become durable and resolve in order', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      const resolved: number[] = [];
      await Promise.all(
        range(0, 20).map((n) => writer.append([{ partition: people, batch: rows(n, n + 1) }]).then(() => resolved.push(n))),
      );
      expect(resolved).toEqual(range(0, 20));
      expect((await collect(log, new Map([[people, 0]]), 20)).map(numberOf)).toEqual(range(0, 20));
    });

    test('one append may go to many partitions, and to one twice', async () => {
      const harness = await start([ordersStream]);
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append([
        { partition: orders(0), batch: rows(0, 2) },
        { partition: orders(3), batch: rows(2, 3) },
        { partition: orders(0), batch: rows(3, 5) },
      ]);
      expect((await collect(log, new Map([[orders(0), 0]]), 4)).map(numberOf)).toEqual([0, 1, 3, 4]);
      expect((await collect(log, new Map([[orders(3), 0]]), 1)).map(numberOf)).toEqual([2]);
    });

    test('an append that names a stream which was not opened is refused as a whole', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      const before = (await log.state()).partitions.get(people);
      const refused = writer.append([
        { partition: people, batch: rows(0, 1) },
        { partition: 'shop.unknown#0', batch: rows(1, 2) },
      ]);
      await expectCode(refused, 'INVARIANT');
      expect((await log.state()).partitions.get(people)).toEqual(before);
      expect(before?.last).toBeUndefined();
    });

    test('after a failed append nothing follows it, or the log would have a gap', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      const end = (await log.state()).partitions.get(people)?.endOffset;
      const failed = writer.append([{ partition: 'shop.unknown#0', batch: rows(0, 1) }]);
      const behind = writer.append([{ partition: people, batch: rows(1, 2) }]);
      await expectCode(failed, 'INVARIANT');
      await expectCode(behind, 'LOG_FAILED');
      await expectCode(writer.complete({ position: 'p', throughUs: 1, writtenAtMs: 1 }), 'LOG_FAILED');
      expect((await log.state()).partitions.get(people)?.endOffset).toBe(end);
    });

    test('a builder is free for reuse once its append resolved', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      const batch = rows(0, 50);
      await writer.append([{ partition: people, batch }]);
      batch.reset();
      await writer.append([{ partition: people, batch: rows(50, 51) }]);
      expect((await collect(log, new Map([[people, 0]]), 51)).map(numberOf)).toEqual(range(0, 51));
    });

    test('a large batch and a huge record go through whole', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append([{ partition: people, batch: rows(0, 30_000) }]);
      await writer.append([{ partition: people, batch: rows(30_000, 30_001, { valueBytes: 20 * 1024 * 1024 }) }]);
      const records = await collect(log, new Map([[people, 0]]), 30_001);
      expect(records.map(numberOf)).toEqual(range(0, 30_001));
      expect(records.at(-1)?.value?.length).toBe(20 * 1024 * 1024);
    });

    test('a thousand partitions are written and read together', async () => {
      const wide: StreamSpec = { topic: 'shop.wide', partitions: 1000 };
      const harness = await start([wide]);
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append(range(0, 1000).map((n) => ({ partition: `shop.wide#${n}`, batch: rows(n, n + 1) })));
      const reader = consume(await harness.open(), 'g');
      await until('all partitions delivered', () => reader.numbers().length === 1000);
      expect(reader.numbers().sort((a, b) => a - b)).toEqual(range(0, 1000));
      expect(new Set(reader.claimed).size).toBe(1000);
    }, 240_000);
  });

  describe(`${name}: leading`, () => {
    test('one leads, the other stands by until the first is gone, and the term grows', async () => {
      const harness = await start();
      const first = await harness.open();
      const writer = await first.lead(never);
      const second = await harness.open();
      let leads = false;
      const standby = second.lead(never).then((next) => {
        leads = true;
        return next;
      });
      await writer.append([{ partition: people, batch: rows(0, 1) }]);
      expect(leads).toBe(false);
      await writer[Symbol.asyncDispose]();
      expect((await standby).term).toBeGreaterThan(writer.term);
    });

    test('a killed leader frees its place', async () => {
      const harness = await start();
      const first = await harness.open();
      const writer = await first.lead(never);
      const standby = (await harness.open()).lead(never);
      await harness.kill(first);
      expect((await standby).term).toBeGreaterThan(writer.term);
    });

    test('a fenced writer writes nothing by append, define, start or complete', async () => {
      const harness = await start();
      const old = await harness.open();
      const writes: ((writer: Writer) => Promise<void>)[] = [
        (writer) => writer.append([{ partition: people, batch: rows(7, 8) }]),
        (writer) => writer.define(peopleSchema),
        (writer) => writer.start({ position: 'stolen', writtenAtMs: 1 }),
        (writer) => writer.complete({ position: 'stolen', throughUs: 1, writtenAtMs: 1 }),
      ];
      for (const write of writes) {
        const frozen = await old.lead(never);
        await harness.depose();
        const log = await harness.open();
        const next = await log.lead(never);
        await expectCode(write(frozen), 'LOG_FENCED');
        const { start, complete, partitions } = await next.tail();
        // The takeover itself may have moved the end, but no record is there.
        expect([start, complete, partitions.get(people)?.last]).toEqual([undefined, undefined, undefined]);
        expect(await log.schema(peopleSchema.id)).toBeUndefined();
        await frozen[Symbol.asyncDispose]();
        await next[Symbol.asyncDispose]();
      }
    });

    test('a fenced writer that is disposed late does not take the place of its successor', async () => {
      const harness = await start();
      const frozen = await (await harness.open()).lead(never);
      await harness.depose();
      const writer = await (await harness.open()).lead(never);
      await frozen[Symbol.asyncDispose]();
      await writer.append([{ partition: people, batch: rows(0, 1, { term: writer.term }) }]);
      const third = new AbortController();
      const standby = (await harness.open()).lead(third.signal);
      third.abort();
      await expect(standby).rejects.toThrow('aborted');
    });

    test('state names who leads', async () => {
      const harness = await start();
      const log = await harness.open();
      expect((await log.state()).leader).toBeUndefined();
      const writer = await log.lead(never);
      expect((await log.state()).leader?.who).toContain(String(writer.term));
      await writer[Symbol.asyncDispose]();
      expect((await log.state()).leader).toBeUndefined();
    });
  });
}

/** Control records, tails, streams and history: what a successor finds. */
import { describe, expect, test } from 'vitest';
import type { CrossfadeError } from '../../src/core/errors.ts';
import type { StreamSpec } from '../../src/core/log-port.ts';
import {
  ascends,
  consume,
  expectCode,
  type MakeHarness,
  never,
  orders,
  ordersStream,
  people,
  peopleStream,
  startHarness,
  watchFaultPoints,
} from './log-harness.ts';
import { collect, until, numberOf, peopleSchema, range, rows, tombstone, transactionAt, versionAt } from './log-rows.ts';

export function controlContract(name: string, makeHarness: MakeHarness): void {
  const start = (streams?: readonly StreamSpec[]) => startHarness(makeHarness, streams);

  describe(`${name}: control records and tails`, () => {
    test('a new log has no start, no complete record and empty tails', async () => {
      const harness = await start([peopleStream, ordersStream]);
      const tail = await (await (await harness.open()).lead(never)).tail();
      expect([tail.start, tail.complete]).toEqual([undefined, undefined]);
      expect(tail.partitions.size).toBe(5);
      for (const partition of tail.partitions.values()) expect(partition.last).toBeUndefined();
    });

    test('the start record is written once and stays', async () => {
      const harness = await start();
      const first = await harness.open();
      const writer = await first.lead(never);
      await writer.start({ position: 'gtid:1', writtenAtMs: 5 });
      await expectCode(writer.start({ position: 'gtid:2', writtenAtMs: 6 }), 'INVARIANT');
      await harness.kill(first);
      const log = await harness.open();
      expect((await log.state()).start).toEqual({ position: 'gtid:1', writtenAtMs: 5 });
      expect((await (await log.lead(never)).tail()).start).toEqual({ position: 'gtid:1', writtenAtMs: 5 });
    });

    test('G7: a definition is there for ever once define resolved', async () => {
      const harness = await start();
      const first = await harness.open();
      const writer = await first.lead(never);
      await writer.define(peopleSchema);
      await writer.define(peopleSchema);
      await harness.kill(first);
      const log = await harness.open();
      expect(await log.schema(peopleSchema.id)).toEqual(peopleSchema);
      expect(await log.schema('unknown')).toBeUndefined();
      await (await log.lead(never)).define(peopleSchema);
    });

    test('the last complete record names the end of every partition that has any', async () => {
      const harness = await start([ordersStream]);
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append([{ partition: orders(0), batch: rows(0, 5) }]);
      await writer.complete({ position: 'one', throughUs: 1, writtenAtMs: 1 });
      const zero = (await writer.tail()).partitions.get(orders(0))?.endOffset;
      await writer.append([{ partition: orders(1), batch: rows(5, 7) }]);
      await writer.complete({ position: 'two', throughUs: 2, writtenAtMs: 2 });
      const one = (await writer.tail()).partitions.get(orders(1))?.endOffset;
      await writer.append([{ partition: orders(0), batch: rows(7, 9) }]);
      const expected = { position: 'two', throughUs: 2, writtenAtMs: 2, term: writer.term, ends: { [orders(0)]: zero, [orders(1)]: one } };
      expect((await log.state()).complete).toEqual(expected);
      expect((await writer.tail()).complete).toEqual(expected);
    });

    test('after a crash the tail tells what lies behind the last complete record', async () => {
      const harness = await start([peopleStream, ordersStream]);
      const first = await harness.open();
      const writer = await first.lead(never);
      await writer.start({ position: 'begin', writtenAtMs: 1 });
      await writer.append([{ partition: people, batch: rows(0, 3) }]);
      await writer.complete({ position: 'three', throughUs: 3, writtenAtMs: 3 });
      await writer.append([{ partition: people, batch: rows(3, 4) }]);
      await writer.append([{ partition: people, batch: tombstone(4, 1, transactionAt(3)) }]);
      await harness.kill(first);
      const { complete, partitions } = await (await (await harness.open()).lead(never)).tail();
      expect(complete?.position).toBe('three');
      const tail = partitions.get(people);
      expect(tail?.last).toEqual({
        offset: expect.any(Number) as number,
        term: writer.term,
        version: versionAt(4),
        transactionId: transactionAt(3),
      });
      expect(tail?.last?.offset).toBeGreaterThanOrEqual(complete?.ends[people] ?? Infinity);
      expect(tail?.endOffset).toBeGreaterThan(complete?.ends[people] ?? Infinity);
      expect(partitions.get(orders(0))?.last).toBeUndefined();
    });

    test('what was acknowledged survives every crash, and the successor writes on behind it', async () => {
      const harness = await start();
      for (let turn = 0; turn < 5; turn += 1) {
        const log = await harness.open();
        const writer = await log.lead(never);
        await writer.append([{ partition: people, batch: rows(turn * 2, turn * 2 + 2, { term: writer.term }) }]);
        await harness.kill(log);
      }
      const records = await collect(await harness.open(), new Map([[people, 0]]), 10);
      expect(records.map(numberOf)).toEqual(range(0, 10));
      expect(ascends(records.map(({ offset }) => offset))).toBe(true);
    });

    test('the fault points of a commit come before and after it becomes visible', async () => {
      const harness = await start();
      using watched = harness.faultPoints?.() ?? watchFaultPoints();
      const log = await harness.open();
      const writer = await log.lead(never);
      const before = watched.passed.length;
      await writer.append([{ partition: people, batch: rows(0, 1) }]);
      expect(watched.passed.slice(before)).toEqual(['log:before-commit', 'log:after-commit']);
    });
  });

  describe(`${name}: streams`, () => {
    test('a new stream is added to a log that has rows', async () => {
      const harness = await start();
      const first = await harness.open();
      const writer = await first.lead(never);
      await writer.append([{ partition: people, batch: rows(0, 1) }]);
      await harness.kill(first);
      const log = await harness.open({ streams: [peopleStream, ordersStream] });
      await (await log.lead(never)).append([{ partition: orders(2), batch: rows(1, 2) }]);
      expect((await log.state()).partitions.size).toBe(5);
      expect((await collect(log, new Map([[people, 0]]), 1)).map(numberOf)).toEqual([0]);
    });

    test('another number of partitions is refused with the remedy', async () => {
      const harness = await start([ordersStream]);
      const log = await harness.open();
      await (await log.lead(never)).append([{ partition: orders(3), batch: rows(0, 1) }]);
      const changed = (async () => (await harness.open({ streams: [{ topic: 'shop.orders', partitions: 8 }] })).state())();
      const error = await expectCode(changed, 'LOG_PARTITIONS_CHANGED');
      expect(error.remedy).toContain('4');
    });
  });

  describe(`${name}: history`, () => {
    test('applied offsets are kept until they are forgotten', async () => {
      const harness = await start([ordersStream]);
      const log = await harness.open();
      await using _writer = await (await harness.open()).lead(never);
      await log.applied(
        'g',
        new Map([
          [orders(0), 3],
          [orders(1), 4],
        ]),
      );
      await log.applied('g', new Map([[orders(0), 5]]));
      await log.applied('h', new Map([[orders(0), 1]]));
      const { groups } = await (await harness.open()).state();
      expect(groups.get('g')).toEqual(
        new Map([
          [orders(0), 5],
          [orders(1), 4],
        ]),
      );
      await log.forget('g');
      expect([...(await log.state()).groups.keys()]).toEqual(['h']);
    });

    test('who leads and who reads is told, with how long each has been silent, and nobody once they are gone', async () => {
      const harness = await start();
      const log = await harness.open();
      expect((await log.state()).members).toEqual(new Map());
      const [leading, reading] = [await harness.open(), await harness.open()];
      const writer = await leading.lead(never);
      await writer.append([{ partition: people, batch: rows(0, 1) }]);
      const reader = consume(reading, 'g');
      await until('the reader reads', () => reader.numbers().length === 1);
      const state = await log.state();
      expect(state.members).toEqual(new Map([['g', [{ who: expect.stringMatching(/./), silentSeconds: expect.any(Number) }]]]));
      for (const { silentSeconds } of [state.leader, ...(state.members.get('g') ?? [])].filter((member) => member !== undefined)) {
        expect(silentSeconds).toBeGreaterThanOrEqual(0);
        expect(silentSeconds).toBeLessThan(60);
      }
      expect(state.leader?.who).toMatch(/./);
      await harness.kill(leading);
      await harness.kill(reading);
      const after = await (await harness.open()).state();
      expect([after.leader, after.members.size]).toEqual([undefined, 0]);
    });

    test('a trouble is kept beyond the process that noted it, until it is taken back', async () => {
      const harness = await start();
      const first = await harness.open();
      await first.trouble('apply g', { code: 'TARGET_FULL', fault: 'retry', message: 'there is no room', sinceMs: 1 });
      await first.trouble('apply g', { code: 'TARGET_VALUE_REFUSED', fault: 'poison', message: 'too long', sinceMs: 2 });
      await first.trouble('capture', { code: 'SOURCE_AUTH', fault: 'fatal', message: 'refused', sinceMs: 3 });
      await harness.kill(first);
      const log = await harness.open();
      expect((await log.state()).troubles).toEqual(
        new Map([
          ['apply g', { code: 'TARGET_VALUE_REFUSED', fault: 'poison', message: 'too long', sinceMs: 2 }],
          ['capture', { code: 'SOURCE_AUTH', fault: 'fatal', message: 'refused', sinceMs: 3 }],
        ]),
      );
      await log.trouble('apply g', undefined);
      await log.trouble('apply h', undefined);
      expect([...(await log.state()).troubles.keys()]).toEqual(['capture']);
    });

    test('partitions that wait are told with their time, beyond the process that noted it, until they wait no more', async () => {
      const harness = await start();
      const first = await harness.open();
      await first.waits(
        'g',
        new Map([
          ['t#0', 5],
          ['t#1', 6],
          ['t#2', undefined],
        ]),
      );
      await first.waits('h', new Map([['t#0', 7]]));
      await harness.kill(first);
      const log = await harness.open();
      await log.waits(
        'g',
        new Map([
          ['t#0', undefined],
          ['t#1', 8],
        ]),
      );
      await log.waits('h', new Map([['t#0', undefined]]));
      expect((await log.state()).waits).toEqual(new Map([['g', new Map([['t#1', 8]])]]));
      // Taken back again, when another has noted it in between and died: who takes over says the same as before, and it counts.
      const second = await harness.open();
      await second.waits('h', new Map([['t#0', 9]]));
      await harness.kill(second);
      await log.waits('h', new Map([['t#0', undefined]]));
      expect((await log.state()).waits).toEqual(new Map([['g', new Map([['t#1', 8]])]]));
    });

    test('reading from before the start or behind the end is an error, never a silent move', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      for (let n = 0; n < 10; n += 1) await writer.append([{ partition: people, batch: rows(n, n + 1) }]);
      const offsets = (await collect(log, new Map([[people, 0]]), 10)).map(({ offset }) => offset);
      await harness.truncateBelow(people, offsets[5] ?? -1);
      const end = (await log.state()).partitions.get(people)?.endOffset ?? -1;
      for (const offset of [0, offsets[4] ?? -1, end + 1]) {
        const reader = consume(log, `g${offset}`, new Map([[people, offset]]));
        await reader.ended;
        expect((reader.error as CrossfadeError).code).toBe('LOG_LOST_HISTORY');
        await expectCode(collect(log, new Map([[people, offset]]), 1), 'LOG_LOST_HISTORY');
      }
      expect((await collect(log, new Map([[people, offsets[5] ?? -1]]), 5)).map(numberOf)).toEqual(range(5, 10));
    });

    test('empty is not new: a log whose rows are gone still has its start record, its offsets and its tail', async () => {
      const harness = await start();
      const first = await harness.open();
      const writer = await first.lead(never);
      await writer.start({ position: 'begin', writtenAtMs: 1 });
      await writer.append([{ partition: people, batch: rows(0, 5) }]);
      await writer.complete({ position: 'five', throughUs: 5, writtenAtMs: 5 });
      const { logId } = (await first.state()).partitions.get(people) ?? { logId: '' };
      await harness.truncateBelow(people, (await writer.tail()).partitions.get(people)?.endOffset ?? -1);
      await harness.kill(first);
      const log = await harness.open();
      const state = await log.state();
      const partition = state.partitions.get(people);
      expect(logId).not.toBe('');
      expect([partition?.logId, state.start?.position, state.complete?.position]).toEqual([logId, 'begin', 'five']);
      expect(partition?.startOffset).toBeGreaterThan(0);
      expect(partition?.startOffset).toBe(partition?.endOffset);
      await expectCode(collect(log, new Map([[people, 0]]), 1), 'LOG_LOST_HISTORY');
      const tail = await (await log.lead(never)).tail();
      expect(tail.partitions.get(people)?.last?.version).toBe(versionAt(4));
    });
  });
}

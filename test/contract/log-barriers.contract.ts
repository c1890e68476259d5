/** What a barrier needs of a log: its own kind of record, and partitions that rest. */
import { describe, expect, test } from 'vitest';
import { Pauses } from '../../src/core/pauses.ts';
import { consume, type MakeHarness, never, orders, ordersStream, startHarness } from './log-harness.ts';
import { barrier, collect, range, rows, until } from './log-rows.ts';

export function barriersContract(name: string, makeHarness: MakeHarness): void {
  const start = () => startHarness(makeHarness, [ordersStream]);

  describe(`${name}: barriers`, () => {
    test('a partition that rests is not delivered, the others are, and then it goes on where it was', async () => {
      const harness = await start();
      const writer = await (await harness.open()).lead(never);
      const pauses = new Pauses();
      const reader = consume(await harness.open({ deliveryRecords: 1 }), 'g', new Map(), 0, pauses);
      await writer.append([{ partition: orders(0), batch: rows(0, 1) }]);
      await until('the first came', () => reader.numbers().length === 1);
      pauses.pause(orders(0));
      for (let n = 1; n < 5; n += 1) {
        await writer.append([{ partition: orders(0), batch: rows(n, n + 1) }]);
        await writer.append([{ partition: orders(1), batch: rows(n + 10, n + 11) }]);
        await until('the other came', () => reader.numbers(orders(1)).length === n);
      }
      // One that was being fetched when it came to rest may still come.
      expect(reader.numbers(orders(0)).length).toBeLessThanOrEqual(2);
      pauses.resume(orders(0));
      await until('the rest came, though nothing new was written', () => reader.numbers(orders(0)).length === 5);
      expect(reader.numbers(orders(0))).toEqual(range(0, 5));
      expect(reader.claims).toHaveLength(1);
    });

    test('a barrier comes without a key, and with the number of partitions that hold it', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      await writer.append(range(0, 4).map((n) => ({ partition: orders(n), batch: barrier(7, 4) })));
      await writer.append([{ partition: orders(0), batch: rows(8, 9) }]);
      const [record, next] = await collect(log, new Map([[orders(0), 0]]), 2);
      expect(record).toMatchObject({ key: null, barrier: 4, open: false });
      expect(next?.barrier).toBeUndefined();
    });
  });
}

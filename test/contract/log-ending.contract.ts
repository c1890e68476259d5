/** How reading and leading end: by an abort, by disposal, by a claim that fails. */
import { describe, expect, test } from 'vitest';
import type { PartitionId } from '../../src/core/log-port.ts';
import { consume, drain, expectCode, type MakeHarness, never, people, startHarness } from './log-harness.ts';
import { rows, until } from './log-rows.ts';

const fromZero = async (partitions: readonly PartitionId[]) => new Map(partitions.map((id) => [id, { offset: 0, term: 0 }]));

export function endingContract(name: string, makeHarness: MakeHarness): void {
  const start = () => startHarness(makeHarness);

  describe(`${name}: ending`, () => {
    test('an abort ends read, readFrom and lead soon', async () => {
      const harness = await start();
      const log = await harness.open();
      await (await harness.open()).lead(never);
      const stop = new AbortController();
      const ended = [
        drain(log.read('g', fromZero, stop.signal)),
        drain(log.readFrom(new Map([[people, 0]]), stop.signal)),
        log.lead(stop.signal),
      ].map((promise) =>
        promise.then(
          () => 'ended',
          () => 'ended',
        ),
      );
      await until('the group is joined', async () => (await log.state()).partitions.get(people) !== undefined);
      stop.abort();
      expect(await Promise.all(ended)).toEqual(['ended', 'ended', 'ended']);
    });

    test('disposing twice is fine, ends what runs, and everything after says so', async () => {
      const harness = await start();
      const log = await harness.open();
      const writer = await log.lead(never);
      const reader = consume(log, 'g');
      await until('claimed', () => reader.claims.length > 0);
      await log[Symbol.asyncDispose]();
      await reader.ended;
      await writer[Symbol.asyncDispose]();
      await writer[Symbol.asyncDispose]();
      await log[Symbol.asyncDispose]();
      await expectCode(log.state(), 'LOG_UNREACHABLE');
      await expectCode(writer.append([{ partition: people, batch: rows(0, 1) }]), 'LOG_UNREACHABLE');
      expect((await (await harness.open()).lead(never)).term).toBeGreaterThan(writer.term);
    });

    test('a reader that is left early gives its partitions back', async () => {
      const harness = await start();
      const first = await harness.open();
      await (await first.lead(never)).append([{ partition: people, batch: rows(0, 1) }]);
      for await (const delivery of first.read('g', fromZero, never)) {
        expect(delivery.records.length).toBe(1);
        break;
      }
      const reader = consume(await harness.open(), 'g');
      await until('the next member has it', () => reader.numbers().length === 1);
      expect(reader.claims.at(-1)).toEqual([people]);
    });

    test('a failing claim ends the reader with its own error', async () => {
      const harness = await start();
      const log = await harness.open();
      await log.lead(never);
      const failing = drain(log.read('g', () => Promise.reject(new RangeError('target is down')), never));
      await expect(failing).rejects.toThrow('target is down');
    });
  });
}

/** The part of the sinks' contract for those who write small batches of several partitions in one transaction. */
import { describe, expect, test } from 'vitest';

import type { Sink, SinkBatch } from '../../src/core/sink-port.ts';
import type { TransactionStage } from './sink-transactions.contract.ts';
import { byJson, History, insert, person, update } from './sink-histories.ts';

const together = (sink: Sink, batches: readonly SinkBatch[]) => {
  if (!sink.writeTogether) throw new Error('this sink does not write together');
  return sink.writeTogether(batches);
};

export function togetherTests(stage: TransactionStage): void {
  describe('several partitions together', () => {
    const names = () => [stage.partition(), `${stage.partition()}-two`, `${stage.partition()}-three`] as const;
    const histories = () => names().map((name, index) => new History(name, { transaction: 1 + index * 500 }));

    test('G3: their rows and the progress of each become durable, and each goes on from there', async () => {
      const sink = await stage.open();
      await sink.claim(names());
      const [one, two, three] = histories() as [History, History, History];
      const batches = [one.batch([insert(person(1, 'a'))]), two.batch([insert(person(2, 'b'))]), three.batch([])];
      expect(await together(sink, batches)).toBe('committed');
      const more = [two.batch([update(person(2, 'b'), person(2, 'c'))]), one.batch([insert(person(4, 'd'))])];
      expect(await together(sink, more)).toBe('committed');
      expect(await sink.write(one.batch([update(person(1, 'a'), person(1, 'e'))]))).toBe('committed');
      expect(await stage.people()).toEqual(byJson([person(1, 'e'), person(2, 'c'), person(4, 'd')]));
      const next = await stage.open();
      const progress = await next.claim(names());
      expect(names().map((name) => progress.get(name)?.nextOffset)).toEqual([3, 2, 0]);
      expect(progress.get(names()[1])).toEqual(more[0]?.progress);
    });

    test('G4: where one of them was taken by another, nothing is written; by themselves the others go on', async () => {
      const sink = await stage.open();
      await sink.claim(names());
      const [one, two] = histories() as [History, History];
      const other = await stage.open();
      await other.claim([names()[1]]);
      const batches = [one.batch([insert(person(1, 'a'))]), two.batch([insert(person(2, 'b'))])] as const;
      expect(await together(sink, batches)).toBe('apart');
      expect(await stage.people()).toEqual(byJson([]));
      expect(await sink.write(batches[0])).toBe('committed');
      await expect(sink.write(batches[1])).rejects.toEqual(expect.objectContaining({ code: 'TARGET_FENCED' }));
      expect(await stage.people()).toEqual(byJson([person(1, 'a')]));
    });

    test('G3: where the answer to their commit is lost, the next claim sees all of them', async () => {
      const sink = await stage.open();
      await sink.claim(names());
      const [one, two] = histories() as [History, History];
      stage.harness().loseNextReply();
      const batches = [one.batch([insert(person(1, 'a'))]), two.batch([insert(person(2, 'b'))])];
      await expect(together(sink, batches)).rejects.toEqual(expect.objectContaining({ fault: 'retry' }));
      const progress = await (await stage.open()).claim(names());
      expect(names().map((name) => progress.get(name)?.nextOffset)).toEqual([1, 1, undefined]);
      expect(await stage.people()).toEqual(byJson([person(1, 'a'), person(2, 'b')]));
    });

    test('G2: they stay apart from a transaction that is open', async () => {
      const sink = await stage.open();
      await sink.claim(names());
      const [one, two, three] = histories() as [History, History, History];
      expect(await sink.write(one.batch([insert(person(1, 'a'))], true))).toBe('open');
      const batches = [two.batch([insert(person(2, 'b'))]), three.batch([insert(person(3, 'c'))])];
      expect(await together(sink, batches)).toBe('apart');
      for (const batch of batches) expect(await sink.write(batch)).toBe('open');
      expect(await stage.people()).toEqual(byJson([]));
      expect(await sink.write(one.batch([]))).toBe('committed');
      expect(await stage.people()).toEqual(byJson([person(1, 'a'), person(2, 'b'), person(3, 'c')]));
    });
  });
}

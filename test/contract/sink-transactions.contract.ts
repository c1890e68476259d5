/** The part of the sinks' contract that only a store with transactions can keep. */
import { describe, expect, test } from 'vitest';

import type { Sink } from '../../src/core/sink-port.ts';
import { togetherTests } from './sink-together.contract.ts';
import { byJson, History, insert, person, remove, update } from './sink-histories.ts';

export interface TransactionStage {
  /** The test's own partition. */
  partition(): string;
  open(): Promise<Sink>;
  /** What a stranger reads in the table of people. */
  people(): Promise<string[]>;
  harness(): { loseNextReply(): void };
}

export function openTransactionTests(stage: TransactionStage): void {
  togetherTests(stage);
  describe('open transactions', () => {
    test('G2: an open transaction is not seen before its last part', async () => {
      const sink = await stage.open();
      await sink.claim([stage.partition()]);
      const history = new History(stage.partition());
      expect(await sink.write(history.batch([insert(person(1, 'a')), insert(person(2, 'b'))], true))).toBe('open');
      expect(await stage.people()).toEqual(byJson([]));
      expect((await sink.progress()).get(stage.partition())).toBeUndefined();
      expect(await sink.write(history.batch([update(person(1, 'a'), person(1, 'c'))], true))).toBe('open');
      expect(await stage.people()).toEqual(byJson([]));
      const last = history.batch([insert(person(3, 'd'))]);
      expect(await sink.write(last)).toBe('committed');
      expect(await stage.people()).toEqual(byJson([person(1, 'c'), person(2, 'b'), person(3, 'd')]));
      expect((await sink.progress()).get(stage.partition())).toEqual(last.progress);
      await sink.write(history.batch([remove(person(2, 'b'))]));
      expect(await stage.people()).toEqual(byJson([person(1, 'c'), person(3, 'd')]));
    });

    test('G2: other partitions join the open transaction and are committed with it', async () => {
      const sink = await stage.open();
      const q = `${stage.partition()}-two`;
      await sink.claim([stage.partition(), q]);
      const [left, right] = [new History(stage.partition()), new History(q, { transaction: 500 })];
      expect(await sink.write(left.batch([insert(person(1, 'a'))], true))).toBe('open');
      expect(await sink.write(right.batch([insert(person(2, 'b'))]))).toBe('open');
      expect(await sink.write(right.batch([insert(person(3, 'c'))], true))).toBe('open');
      expect(await sink.write(left.batch([insert(person(4, 'd'))]))).toBe('open');
      expect(await stage.people()).toEqual(byJson([]));
      expect(await sink.write(right.batch([]))).toBe('committed');
      expect(await stage.people()).toEqual(byJson([person(1, 'a'), person(2, 'b'), person(3, 'c'), person(4, 'd')]));
      expect((await sink.progress()).get(stage.partition())?.nextOffset).toBe(2);
      expect((await sink.progress()).get(q)?.nextOffset).toBe(2);
    });

    test('G3: an open transaction is rolled back by a claim and by disposing', async () => {
      const sink = await stage.open();
      await sink.claim([stage.partition()]);
      await sink.write(new History(stage.partition()).batch([insert(person(1, 'a'))], true));
      expect((await sink.claim([stage.partition()])).get(stage.partition())).toBeUndefined();
      await sink.write(new History(stage.partition()).batch([insert(person(2, 'b'))], true));
      await sink[Symbol.asyncDispose]();
      const next = await stage.open();
      expect((await next.claim([stage.partition()])).get(stage.partition())).toBeUndefined();
      expect(await stage.people()).toEqual(byJson([]));
      await next.write(new History(stage.partition()).batch([insert(person(3, 'c'))]));
      expect(await stage.people()).toEqual(byJson([person(3, 'c')]));
    });

    test('G3: an error inside an open transaction rolls all of it back', async () => {
      const sink = await stage.open();
      await sink.claim([stage.partition()]);
      const history = new History(stage.partition());
      await sink.write(history.batch([insert(person(1, 'a'))], true));
      await expect(sink.write(history.batch([[7, { op: 'insert', after: person(2, 'b') }]]))).rejects.toEqual(
        expect.objectContaining({ fault: 'fatal' }),
      );
      expect(await stage.people()).toEqual(byJson([]));
      expect((await sink.progress()).get(stage.partition())).toBeUndefined();
      await sink.claim([stage.partition()]);
      await sink.write(new History(stage.partition()).batch([insert(person(1, 'again'))]));
      expect(await stage.people()).toEqual(byJson([person(1, 'again')]));
    });
  });
}

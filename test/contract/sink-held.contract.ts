/**
 * The part of the sinks' contract about changes that are held: refused by a constraint which another partition may still
 * satisfy. See sink-quarantine.contract.ts for the table that refuses.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { PartitionId } from '../../src/core/log-port.ts';
import type { PoisonPolicy } from '../../src/core/quarantine-port.ts';
import type { Sink } from '../../src/core/sink-port.ts';
import { byJson, History, insert, person, remove, update } from './sink-histories.ts';

export interface HeldStage {
  readonly people: () => Promise<string[]>;
  /** The test's two. */
  partitions(): readonly [PartitionId, PartitionId];
  readonly open: (onPoison?: PoisonPolicy, partitions?: readonly PartitionId[]) => Promise<Sink>;
  constrain(isOn: boolean): Promise<void>;
}

const rich = (id: number, balance: string) => person(id, `p${id}`, { balance });

export function heldTests(stage: HeldStage): void {
  let p = '';
  let q = '';
  const { open } = stage;
  const heads = async (sink: Sink) => (await sink.quarantine?.list('heads')) ?? [];
  /** Of the log, in which other services have their partitions too. */
  const ends = (left: number, right: number) =>
    new Map([
      [p, left],
      [q, right],
      [`${p.split('#')[0]}-of-others#0`, 1000],
    ]);

  describe('held', () => {
    beforeEach(async () => {
      [p, q] = stage.partitions();
      await stage.constrain(true);
    });
    afterEach(() => stage.constrain(false));
    const begin = async (onPoison: PoisonPolicy = 'quarantine') => {
      const sink = await open(onPoison);
      await sink.claim([p, q]);
      const [left, right] = [new History(p, { transaction: 500 }), new History(q)];
      await sink.write(left.batch([insert(rich(1, '1.00'))]));
      await sink.write(right.batch([insert(rich(2, '2.00'))]));
      return { sink, left, right };
    };

    test('section 9: a unique value that another partition still has is held, with later changes of its key behind it, and then applied', async () => {
      const { sink, left, right } = await begin();
      expect(sink.holds).toBe(false);
      expect(await sink.write(left.batch([update(rich(1, '1.00'), rich(1, '2.00'))]))).toBe('committed');
      expect(sink.holds).toBe(true);
      await sink.write(left.batch([update(rich(1, '2.00'), person(1, 'named', { balance: '2.00' })), insert(rich(3, '3.00'))]));
      expect(await heads(sink)).toMatchObject([{ state: 'held', code: 'TARGET_CONSTRAINT', behind: 1 }]);
      expect(await stage.people()).toEqual(byJson([rich(1, '1.00'), rich(2, '2.00'), rich(3, '3.00')]));
      expect(await sink.tend?.(undefined)).toBe(0);
      await sink.write(right.batch([update(rich(2, '2.00'), rich(2, '9.00'))]));
      expect(await sink.tend?.(undefined)).toBe(1);
      expect(sink.holds).toBe(false);
      expect(await stage.people()).toEqual(byJson([person(1, 'named', { balance: '2.00' }), rich(2, '9.00'), rich(3, '3.00')]));
      await sink.write(left.batch([update(person(1, 'named', { balance: '2.00' }), rich(1, '7.00'))]));
      expect(await stage.people()).toContain(byJson([rich(1, '7.00')])[0]);
    });

    test('section 9: it is poison only when all partitions have passed what any had reached when it failed', async () => {
      const { sink, left, right } = await begin();
      await sink.write(left.batch([update(rich(1, '1.00'), rich(1, '2.00'))]));
      // Not before a complete record holds all that was reached, nor before every partition is at its ends.
      await sink.tend?.(ends(1, 1));
      await sink.tend?.(ends(2, 2));
      expect(await heads(sink)).toMatchObject([{ state: 'held' }]);
      await sink.write(right.batch([insert(rich(4, '4.00'))]));
      await sink.tend?.(ends(2, 2));
      expect(await heads(sink)).toMatchObject([{ state: 'quarantined', code: 'TARGET_CONSTRAINT' }]);
      expect(sink.holds).toBe(false);
      expect(await stage.people()).toContain(byJson([rich(4, '4.00')])[0]);
    });

    test('section 9: with halt the verdict stops the service, and what is mended goes on where it was', async () => {
      const { sink, left } = await begin('halt');
      await sink.write(left.batch([update(rich(1, '1.00'), rich(1, '2.00'))]));
      await expect(sink.tend?.(ends(2, 1))).rejects.toMatchObject({ code: 'TARGET_CONSTRAINT', fault: 'fatal' });
      const next = await open('halt');
      await next.claim([p, q]);
      expect(next.holds).toBe(true);
      await stage.constrain(false);
      expect(await next.tend?.(ends(2, 1))).toBe(1);
      expect(await stage.people()).toEqual(byJson([rich(1, '2.00'), rich(2, '2.00')]));
      await next.write(left.batch([remove(rich(1, '2.00'))]));
    });

    test('section 9: what is held moves along with its partition to another worker', async () => {
      const { sink, left, right } = await begin();
      await sink.write(left.batch([update(rich(1, '1.00'), rich(1, '2.00'))]));
      const [one, two] = [await open(), await open()];
      await one.claim([p]);
      await two.claim([q]);
      expect([one.holds, two.holds]).toEqual([true, false]);
      // Who lost it leaves it alone.
      expect(await sink.tend?.(undefined)).toBe(0);
      expect(await heads(one)).toHaveLength(1);
      await one.write(left.batch([update(rich(1, '2.00'), rich(1, '5.00')), insert(rich(6, '6.00'))]));
      await two.write(right.batch([remove(rich(2, '2.00'))]));
      expect(await one.tend?.(undefined)).toBe(1);
      expect(await stage.people()).toEqual(byJson([rich(1, '5.00'), rich(6, '6.00')]));
    });

    test('section 9: what is held is looked after again when a person has changed another queue of its partition', async () => {
      const { sink, left, right } = await begin();
      await sink.write(left.batch([update(rich(1, '1.00'), rich(1, '2.00')), insert(person(5, 'x'.repeat(41), { balance: '5.00' }))]));
      const poison = (await heads(sink)).find(({ state }) => state === 'quarantined');
      const operator = await open();
      expect(await operator.quarantine?.discard(poison?.id ?? '')).toMatchObject({ left: 0 });
      // No record of this partition may ever come again, so only this can notice.
      await expect(sink.tend?.(undefined)).rejects.toMatchObject({ code: 'TARGET_FENCED', fault: 'retry' });
      const next = await open();
      await next.claim([p, q]);
      expect(next.holds).toBe(true);
      await next.write(right.batch([update(rich(2, '2.00'), rich(2, '9.00'))]));
      expect(await next.tend?.(undefined)).toBe(1);
      expect(await stage.people()).toEqual(byJson([rich(1, '2.00'), rich(2, '9.00')]));
    });

    test('G2: in a single partition a refused row is poison at once, and a swap inside it is none', async () => {
      const sink = await open('quarantine', [p]);
      await sink.claim([p]);
      const history = new History(p);
      await sink.write(history.batch([insert(rich(1, '1.00')), insert(rich(2, '2.00'))]));
      await sink.write(
        history.batch([
          update(rich(1, '1.00'), rich(1, '9.00')),
          update(rich(2, '2.00'), rich(2, '1.00')),
          update(rich(1, '9.00'), rich(1, '2.00')),
        ]),
      );
      expect(await stage.people()).toEqual(byJson([rich(1, '2.00'), rich(2, '1.00')]));
      expect(await heads(sink)).toEqual([]);
      await sink.write(history.batch([insert(rich(3, '1.00')), insert(rich(4, '4.00'))]));
      expect(await heads(sink)).toMatchObject([{ state: 'quarantined', code: 'TARGET_CONSTRAINT' }]);
      expect(await stage.people()).toEqual(byJson([rich(1, '2.00'), rich(2, '1.00'), rich(4, '4.00')]));
    });
  });
}

/** What a TRUNCATE does in a sink: alone, and as a barrier that several partitions and several workers share. */
import { describe, expect, test } from 'vitest';

import type { PartitionId } from '../../src/core/log-port.ts';
import type { Sink, SinkBatch } from '../../src/core/sink-port.ts';
import { byJson, History, insert, member, person, remove, update } from './sink-histories.ts';
import type { SinkHarness } from './sink.contract.ts';
import type { TransactionStage } from './sink-transactions.contract.ts';

export interface BarrierStage extends TransactionStage {
  /** What a stranger reads in the table of members. */
  others(): Promise<string[]>;
  harness(): Pick<SinkHarness, 'loseNextReply'>;
}

const fenced = expect.objectContaining({ code: 'TARGET_FENCED', fault: 'retry' });

/** Asks until it is through: a sink may take several steps. */
async function through(sink: Sink, batch: SinkBatch): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const outcome = await sink.write(batch);
    if (outcome === 'committed') return;
    expect(outcome).toBe('waiting');
  }
  expect.fail('it waited in vain');
}

export function barrierTests(stage: BarrierStage, promises: { readonly atomicTransactions: boolean }): void {
  /** Two partitions of one stream, each with a row in the table; versions rise: 1, 2 the rows, 100 the barrier, 200 what follows. */
  const begin = async () => {
    const p = stage.partition();
    const q = `${p.slice(0, -1)}1`;
    const all: readonly PartitionId[] = [p, q];
    return { p, q, all, left: new History(p), right: new History(q, { transaction: 50 }) };
  };
  const rows = { left: person(1, 'left'), right: person(2, 'right') };

  describe('truncate', () => {
    test('G2: the table is empty, others are not, and what comes behind it is there', async () => {
      const sink = await stage.open();
      const p = stage.partition();
      await sink.claim([p]);
      const history = new History(p);
      await sink.write(history.batch([insert(person(1, 'a')), insert(person(2, 'b')), [1, { op: 'insert', after: member(1, 'chess') }]]));
      const truncate = history.truncate(100);
      await through(sink, truncate);
      expect(await stage.people()).toEqual([]);
      expect(await stage.others()).toEqual(byJson([member(1, 'chess')]));
      expect((await sink.progress()).get(p)).toEqual(truncate.progress);
      await sink.write(history.batch([insert(person(2, 'again')), insert(person(3, 'c'))]));
      expect(await stage.people()).toEqual(byJson([person(2, 'again'), person(3, 'c')]));
      await sink.write(history.batch([update(person(2, 'again'), person(2, 'changed')), remove(person(3, 'c'))]));
      await through(sink, history.truncate(200));
      await through(sink, history.truncate(300));
      await sink.write(history.batch([insert(person(9, 'last'))]));
      expect(await stage.people()).toEqual(byJson([person(9, 'last')]));
    });

    test('comes as a barrier, never among rows: every sink refuses it there alike, before anything is written', async () => {
      const sink = await stage.open();
      await sink.claim([stage.partition()]);
      const history = new History(stage.partition());
      await sink.write(history.batch([insert(person(1, 'a'))]));
      const { barrier: _, ...among } = history.truncate(100);
      await expect(sink.write(among)).rejects.toEqual(expect.objectContaining({ code: 'INVARIANT' }));
      expect(await stage.people()).toEqual(byJson([person(1, 'a')]));
    });

    test('G3: an owner whose partition was taken empties nothing', async () => {
      const [old, young] = [await stage.open(), await stage.open()];
      const history = new History(stage.partition());
      await old.claim([stage.partition()]);
      await old.write(history.batch([insert(person(1, 'a'))]));
      await young.claim([stage.partition()]);
      await expect(old.write(history.truncate(100))).rejects.toEqual(fenced);
      expect(await stage.people()).toEqual(byJson([person(1, 'a')]));
    });

    test('G3: one whose answer was lost is seen by the next claim', async () => {
      const sink = await stage.open();
      const p = stage.partition();
      await sink.claim([p]);
      const history = new History(p);
      await sink.write(history.batch([insert(person(1, 'a'))]));
      const truncate = history.truncate(100);
      stage.harness().loseNextReply();
      await expect(through(sink, truncate)).rejects.toEqual(expect.objectContaining({ fault: 'retry' }));
      const next = await stage.open();
      // Whichever of its steps lost the answer: doing it again from where the target stands ends the same.
      if ((await next.claim([p])).get(p)?.nextOffset !== truncate.progress.nextOffset) await through(next, truncate);
      expect(await stage.people()).toEqual([]);
      await next.write(history.batch([insert(person(1, 'b'))]));
      expect(await stage.people()).toEqual(byJson([person(1, 'b')]));
    });
  });

  describe('barriers', () => {
    test('section 9: nothing happens before every partition has come, then all of it once, and all progress moves', async () => {
      const { p, q, all, left, right } = await begin();
      const sink = await stage.open();
      await sink.claim(all);
      await sink.write(left.batch([insert(rows.left)]));
      const first = left.truncate(100, all);
      for (let asked = 0; asked < 3; asked += 1) expect(await sink.write(first)).toBe('waiting');
      await sink.write(right.batch([insert(rows.right)]));
      expect(await stage.people()).toEqual(byJson([rows.left, rows.right]));
      expect((await sink.progress()).get(p)?.nextOffset).toBe(1);
      const second = right.truncate(100, all);
      await through(sink, second);
      expect(await stage.people()).toEqual([]);
      const progress = await sink.progress();
      expect([progress.get(p), progress.get(q)]).toEqual([first.progress, second.progress]);
      await sink.write(right.batch([insert(person(4, 'behind'))]));
      // It is told that it was moved, and nothing is done a second time.
      expect(await sink.write(first)).toBe('committed');
      await sink.write(left.batch([insert(person(5, 'behind'))]));
      expect(await stage.people()).toEqual(byJson([person(4, 'behind'), person(5, 'behind')]));
    });

    test('section 9: several workers share a barrier; who came first is moved by who comes last', async () => {
      const { p, q, all, left, right } = await begin();
      const [one, two] = [await stage.open(), await stage.open()];
      await one.claim([p]);
      await two.claim([q]);
      await one.write(left.batch([insert(rows.left)]));
      await two.write(right.batch([insert(rows.right)]));
      const [first, second] = [left.truncate(100, all), right.truncate(100, all)];
      expect(await one.write(first)).toBe('waiting');
      await through(two, second);
      expect(await stage.people()).toEqual([]);
      await two.write(right.batch([insert(person(4, 'behind'))]));
      await through(one, first);
      await one.write(left.batch([insert(person(5, 'behind'))]));
      expect(await stage.people()).toEqual(byJson([person(4, 'behind'), person(5, 'behind')]));
      // The next barrier is another one.
      expect(await two.write(right.truncate(300, all))).toBe('waiting');
      expect(await stage.people()).toHaveLength(2);
    });

    test('section 9: workers that come at the same time do it once', async () => {
      const { all, left, right } = await begin();
      const [one, two] = [await stage.open(), await stage.open()];
      await one.claim(all.slice(0, 1));
      await two.claim(all.slice(1));
      for (let round = 1; round <= 10; round += 1) {
        await one.write(left.batch([insert(rows.left)]));
        await two.write(right.batch([insert(rows.right)]));
        const [first, second] = [left.truncate(round * 100, all), right.truncate(round * 100, all)];
        await Promise.all([through(one, first), through(two, second)]);
        expect(await stage.people()).toEqual([]);
      }
    });

    test('section 9: who came and died has come: his successor need not come again before the work is done', async () => {
      const { p, q, all, left, right } = await begin();
      const [dead, other, heir] = [await stage.open(), await stage.open(), await stage.open()];
      await dead.claim([p]);
      await other.claim([q]);
      await dead.write(left.batch([insert(rows.left)]));
      const [first, second] = [left.truncate(100, all), right.truncate(100, all)];
      expect(await dead.write(first)).toBe('waiting');
      await dead[Symbol.asyncDispose]();
      const stands = (await heir.claim([p])).get(p);
      expect(stands?.nextOffset).toBe(1);
      await through(other, second);
      expect(await stage.people()).toEqual([]);
      await through(heir, first);
      await heir.write(left.batch([insert(rows.left)]));
      expect(await stage.people()).toEqual(byJson([rows.left]));
      expect((await heir.claim([p])).get(p)?.nextOffset).toBe(3);
    });

    test('section 9: an arrival at another barrier, or from another place, is none at this one', async () => {
      const { p, q, all, left, right } = await begin();
      const sink = await stage.open();
      await sink.claim(all);
      await sink.write(left.batch([insert(rows.left)]));
      expect(await sink.write(left.truncate(100, all))).toBe('waiting');
      expect(await sink.write(right.truncate(90, all))).toBe('waiting');
      expect(await stage.people()).toEqual(byJson([rows.left]));
      // The partition is applied anew: what was noted before is void.
      await sink.reset([p]);
      await sink.claim([p]);
      const again = new History(p);
      await sink.claim([q]);
      expect(await sink.write(new History(q).truncate(100, all))).toBe('waiting');
      await sink.write(again.batch([insert(rows.left)]));
      expect(await stage.people()).toEqual(byJson([rows.left]));
      await through(sink, again.truncate(100, all));
      expect(await stage.people()).toEqual([]);
    });

    test('G3: who lost his partition does not come to a barrier any more', async () => {
      const { p, all, left, right } = await begin();
      const [old, young] = [await stage.open(), await stage.open()];
      await old.claim(all);
      await old.write(left.batch([insert(rows.left)]));
      await young.claim([p]);
      await expect(old.write(left.truncate(100, all))).rejects.toEqual(fenced);
      const late = await stage.open();
      await late.claim(all.slice(1));
      expect(await late.write(right.truncate(100, all))).toBe('waiting');
      expect(await stage.people()).toEqual(byJson([rows.left]));
    });

    if (promises.atomicTransactions) openElsewhere(stage, begin);
  });
}

interface Beginning {
  readonly p: PartitionId;
  readonly all: readonly PartitionId[];
  readonly left: History;
  readonly right: History;
}

/** Only where whole transactions are promised is anything ever open. */
function openElsewhere(stage: BarrierStage, begin: () => Promise<Beginning>): void {
  test('G2: what is open in another partition is not committed by a barrier, nor rolled back', async () => {
    const { p, all, left, right } = await begin();
    const [one, two] = [await stage.open(), await stage.open()];
    const r = `${p}-r`;
    await one.claim([p, r]);
    await two.claim(all.slice(1));
    const other = new History(r, { transaction: 2000 });
    await one.write(left.batch([insert(person(1, 'left'))]));
    expect(await one.write(other.batch([[1, { op: 'insert', after: member(1, 'open') }]], true))).toBe('open');
    const [first, second] = [left.truncate(100, all), right.truncate(100, all)];
    expect(await one.write(first)).toBe('waiting');
    expect(await two.write(second)).toBe('waiting');
    expect(await stage.others()).toEqual([]);
    expect(await one.write(other.batch([[1, { op: 'insert', after: member(2, 'closed') }]]))).toBe('committed');
    expect(await stage.others()).toEqual(byJson([member(1, 'open'), member(2, 'closed')]));
    await through(one, first);
    await through(two, second);
    expect(await stage.people()).toEqual([]);
  });
}

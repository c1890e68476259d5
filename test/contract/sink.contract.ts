/** What every sink promises. The harness names the differences: Redis shows transactions in parts. */
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { Row } from '../../src/core/change.ts';
import type { Mapping, Sink } from '../../src/core/sink-port.ts';
import { byJson, contractTables, History, insert, member, people, person, realise, remove, update, wishes } from './sink-histories.ts';
import { barrierTests } from './sink-barriers.contract.ts';
import { quarantineTests, type RefusingHarness } from './sink-quarantine.contract.ts';
import { pipelineTests } from './sink-pipelines.contract.ts';
import { openTransactionTests } from './sink-transactions.contract.ts';

export interface SinkHarness extends AsyncDisposable {
  /** A sink like one in a process of its own, on the one store, with the mappings of `contractTables`; `pipeline`: of another one. */
  open(pipeline?: string): Promise<Sink>;
  /** What a stranger reads now, in the forms of the source's schema; in any order. */
  rows(mapping: number): Promise<readonly Row[]>;
  /** Empties both tables behind everybody's back. */
  clear(): Promise<void>;
  /** The next commit through sinks of this harness happens, but its answer never arrives. */
  loseNextReply(): void;
  readonly propertyRuns: number;
  /** Of a sink that can keep what its target refuses. */
  readonly refusing?: RefusingHarness;
}

export const contractMapping = (index: number, target: string): Mapping => ({
  source: contractTables[index]?.table ?? people.table,
  transforms: [],
  target,
  options: {},
});

const fenced = expect.objectContaining({ code: 'TARGET_FENCED', fault: 'retry' });

/**
 * `atomicTransactions`: the store promises whole source transactions; `quarantine`: it can keep what it refuses. One that does
 * not has no tests of it.
 */
export function sinkContract(
  name: string,
  promises: { readonly atomicTransactions: boolean; readonly quarantine?: boolean },
  makeHarness: () => Promise<SinkHarness>,
): void {
  describe(`sink contract: ${name}`, () => {
    let harness: SinkHarness;
    let p = '';
    const sinks: Sink[] = [];
    let count = 0;

    // One harness for all: starting one costs more than every test together.
    beforeAll(async () => {
      harness = await makeHarness();
    });
    afterAll(async () => {
      await harness[Symbol.asyncDispose]();
    });
    beforeEach(async () => {
      await harness.clear();
      p = `t${(count += 1)}#0`;
    });
    afterEach(async () => {
      for (const sink of sinks.splice(0)) await sink[Symbol.asyncDispose]();
    });

    const open = async (pipeline?: string) => {
      const sink = await harness.open(pipeline);
      sinks.push(sink);
      return sink;
    };
    const readPeople = async () => byJson(await harness.rows(0));

    test('a partition that was never applied has no progress, and then has what was written', async () => {
      const sink = await open();
      expect((await sink.claim([p])).get(p)).toBeUndefined();
      const batch = new History(p).batch([insert(person(1, 'Ada', { balance: '10.50' }))]);
      expect(await sink.write(batch)).toBe('committed');
      expect(await readPeople()).toEqual(byJson([person(1, 'Ada', { balance: '10.50' })]));
      expect((await sink.progress()).get(p)).toEqual(batch.progress);
      expect((await (await open()).claim([p])).get(p)).toEqual(batch.progress);
    });

    test('order per key: insert, delete, insert and update in one batch and across batches', async () => {
      const sink = await open();
      await sink.claim([p]);
      const history = new History(p);
      const [a, b, c] = [person(1, 'a'), person(1, 'b'), person(1, 'c')] as const;
      await sink.write(history.batch([insert(a), remove(a), insert(b)]));
      expect(await readPeople()).toEqual(byJson([b]));
      await sink.write(history.batch([remove(b), insert(a), update(a, c), remove(c)]));
      expect(await readPeople()).toEqual(byJson([]));
      await sink.write(history.batch([insert(a)]));
      await sink.write(history.batch([update(a, b)]));
      await sink.write(history.batch([remove(b)]));
      expect(await readPeople()).toEqual(byJson([]));
      await sink.write(history.batch([insert(c)]));
      expect(await readPeople()).toEqual(byJson([c]));
    });

    test('a changed key moves the row, and two rows may swap their keys through a third', async () => {
      const sink = await open();
      await sink.claim([p]);
      const history = new History(p);
      await sink.write(history.batch([insert(person(1, 'one')), insert(person(2, 'two'))]));
      await sink.write(history.batch([update(person(1, 'one'), person(9, 'nine'))]));
      expect(await readPeople()).toEqual(byJson([person(9, 'nine'), person(2, 'two')]));
      await sink.write(
        history.batch([
          update(person(9, 'nine'), person(100, 'nine')),
          update(person(2, 'two'), person(9, 'two')),
          update(person(100, 'nine'), person(2, 'nine')),
        ]),
      );
      expect(await readPeople()).toEqual(byJson([person(9, 'two'), person(2, 'nine')]));
    });

    test('a column that becomes NULL is NULL, an empty text is an empty text', async () => {
      const sink = await open();
      await sink.claim([p]);
      const history = new History(p);
      const full = person(1, 'x', { note: 'something', balance: '1.00' });
      await sink.write(history.batch([insert(full), insert(person(2, '', { note: '' }))]));
      await sink.write(history.batch([update(full, person(1, 'x'))]));
      expect(await readPeople()).toEqual(byJson([person(1, 'x'), person(2, '', { note: '' })]));
    });

    test('composite keys and several tables in one batch', async () => {
      const sink = await open();
      await sink.claim([p]);
      const history = new History(p);
      await sink.write(
        history.batch([
          insert(person(1, 'Ada')),
          [1, { op: 'insert', after: member(1, 'a|b', '2026-11-21') }],
          [1, { op: 'insert', after: member(1, 'a') }],
          [1, { op: 'insert', after: member(11, 'a') }],
        ]),
      );
      await sink.write(history.batch([[1, { op: 'delete', before: member(1, 'a') }], remove(person(1, 'Ada'))]));
      expect(byJson(await harness.rows(1))).toEqual(byJson([member(1, 'a|b', '2026-11-21'), member(11, 'a')]));
      expect(await readPeople()).toEqual(byJson([]));
    });

    test('a batch without entries moves only the progress', async () => {
      const sink = await open();
      await sink.claim([p]);
      const batch = new History(p, { from: 7 }).batch([]);
      expect(await sink.write(batch)).toBe('committed');
      expect((await sink.progress()).get(p)).toEqual(batch.progress);
    });

    test('G3: a partition that this sink never claimed is refused', async () => {
      const sink = await open();
      await sink.claim([`${p}-other`]);
      await expect(sink.write(new History(p).batch([insert(person(1, 'x'))]))).rejects.toEqual(fenced);
      expect(await readPeople()).toEqual(byJson([]));
    });

    test('G3: an owner whose partition was taken cannot write any more, and changes nothing', async () => {
      const [old, young] = [await open(), await open()];
      const [before, after] = [new History(p), new History(p)];
      await old.claim([p]);
      await old.write(before.batch([insert(person(1, 'old'))]));
      await young.claim([p]);
      await expect(old.write(before.batch([insert(person(2, 'zombie'))]))).rejects.toEqual(fenced);
      expect(await readPeople()).toEqual(byJson([person(1, 'old')]));
      after.batch([insert(person(1, 'old'))]);
      await young.write(after.batch([insert(person(3, 'young'))]));
      await expect(old.write(before.batch([insert(person(4, 'zombie'))]))).rejects.toEqual(fenced);
      expect(await readPeople()).toEqual(byJson([person(1, 'old'), person(3, 'young')]));
    });

    test('G3: the same owner may take its partition again and go on', async () => {
      const sink = await open();
      const history = new History(p);
      await sink.claim([p]);
      const first = history.batch([insert(person(1, 'a'))]);
      await sink.write(first);
      expect((await sink.claim([p])).get(p)).toEqual(first.progress);
      await sink.write(history.batch([insert(person(2, 'b'))]));
      expect(await readPeople()).toEqual(byJson([person(1, 'a'), person(2, 'b')]));
    });

    test('two owners of two partitions write side by side', async () => {
      const [one, two] = [await open(), await open()];
      const q = `${p}-two`;
      await one.claim([p]);
      await two.claim([q]);
      const [left, right] = [new History(p), new History(q, { transaction: 1000 })];
      for (let id = 1; id <= 5; id += 1) {
        await Promise.all([
          one.write(left.batch([insert(person(id, 'left'))])),
          two.write(right.batch([insert(person(id + 100, 'right'))])),
        ]);
      }
      expect((await harness.rows(0)).length).toBe(10);
      expect((await one.progress()).get(q)?.nextOffset).toBe(5);
    });

    test('G3: a commit whose answer was lost is seen by the next claim, and nothing is written twice', async () => {
      const sink = await open();
      await sink.claim([p]);
      const history = new History(p);
      await sink.write(history.batch([insert(person(1, 'a'))]));
      harness.loseNextReply();
      const second = history.batch([insert(person(2, 'b'))]);
      await expect(sink.write(second)).rejects.toEqual(expect.objectContaining({ fault: 'retry' }));
      const next = await open();
      expect((await next.claim([p])).get(p)).toEqual(second.progress);
      expect(await readPeople()).toEqual(byJson([person(1, 'a'), person(2, 'b')]));
      await next.write(history.batch([remove(person(2, 'b'))]));
      expect(await readPeople()).toEqual(byJson([person(1, 'a')]));
    });

    test('the progress of one partition never touches another', async () => {
      const sink = await open();
      const q = `${p}-two`;
      await sink.claim([p, q]);
      const first = new History(p).batch([insert(person(1, 'a'))]);
      await sink.write(first);
      const progress = await sink.progress();
      expect(progress.get(p)).toEqual(first.progress);
      expect(progress.get(q)).toBeUndefined();
    });

    test('reset forgets the progress, fences whoever is at work, and the replay overwrites', async () => {
      const [worker, admin] = [await open(), await open()];
      await worker.claim([p]);
      const history = new History(p);
      await worker.write(history.batch([insert(person(1, 'a'))]));
      await admin.reset([p]);
      expect((await admin.progress()).get(p)).toBeUndefined();
      await expect(worker.write(history.batch([insert(person(2, 'b'))]))).rejects.toEqual(fenced);
      expect((await worker.claim([p])).get(p)).toBeUndefined();
      const again = new History(p);
      await worker.write(again.batch([insert(person(1, 'a'))]));
      await worker.write(again.batch([insert(person(2, 'b'))]));
      expect(await readPeople()).toEqual(byJson([person(1, 'a'), person(2, 'b')]));
    });

    test('a mapping that does not exist is an error, and nothing moves', async () => {
      const sink = await open();
      await sink.claim([p]);
      const history = new History(p);
      await expect(sink.write(history.batch([[7, { op: 'insert', after: person(1, 'x') }]]))).rejects.toEqual(
        expect.objectContaining({ fault: 'fatal' }),
      );
      expect((await sink.progress()).get(p)).toBeUndefined();
    });

    test('disposing twice is allowed, and a disposed sink does not write', async () => {
      const sink = await open();
      await sink.claim([p]);
      await sink[Symbol.asyncDispose]();
      await sink[Symbol.asyncDispose]();
      await expect(sink.write(new History(p).batch([insert(person(1, 'x'))]))).rejects.toEqual(expect.objectContaining({ fault: 'retry' }));
      expect(await readPeople()).toEqual(byJson([]));
    });

    test('a sink that was never used disposes', async () => {
      const sink = await open();
      await expect(sink[Symbol.asyncDispose]()).resolves.toBeUndefined();
    });

    test('G2: any history that a source can have ends in the same table, whatever the batches', async () => {
      const sink = await open();
      let run = 0;
      const seed = Date.now() % 2 ** 31;
      process.stdout.write(`sink contract ${name}: histories with seed ${seed}\n`);
      await fc.assert(
        fc.asyncProperty(wishes, async (batches) => {
          await harness.clear();
          const partition = `${p}-${(run += 1)}`;
          await sink.claim([partition]);
          // Versions must rise over runs too: Redis fences by them.
          const history = new History(partition, { transaction: run * 1000 });
          const model = new Map<number, Row>();
          for (const batch of batches) {
            await sink.write(history.batch(realise(batch, model)));
            expect(byJson(await harness.rows(0))).toEqual(byJson([...model.values()]));
          }
        }),
        { numRuns: harness.propertyRuns, seed },
      );
    });

    const stage = {
      partition: () => p,
      open,
      people: readPeople,
      others: async () => byJson(await harness.rows(1)),
      harness: () => harness,
      keep: (sink: Sink) => void sinks.push(sink),
    };
    barrierTests(stage, promises);
    pipelineTests(stage);
    if (promises.atomicTransactions) openTransactionTests(stage);
    if (promises.quarantine === true) quarantineTests(stage);
  });
}

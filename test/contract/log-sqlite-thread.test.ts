/** The thread that appends: what is asked meanwhile, what fails there, and how it ends. */
import { expect, onTestFinished, test } from 'vitest';
import type { Log, Writer } from '../../src/core/log-port.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import { collect, numberOf, range, rows, until } from './log-rows.ts';
import { expectCode, never, people, peopleStream } from './log-harness.ts';
import { type FaultOrder, Faults } from './sqlite-faults.ts';
import { SqliteHarness } from './sqlite-harness.ts';

interface Started {
  readonly harness: SqliteHarness;
  readonly log: Log;
  readonly writer: Writer;
  readonly faults: Faults;
}

async function start(orders: readonly FaultOrder[] = []): Promise<Started> {
  const harness = new SqliteHarness([peopleStream]);
  onTestFinished(() => harness[Symbol.asyncDispose]());
  const faults = new Faults(orders);
  onTestFinished(() => faults[Symbol.dispose]());
  const log = await harness.open();
  return { harness, log, faults, writer: await log.lead(never) };
}

const append = (writer: Writer, from: number, to: number) =>
  writer.append([{ partition: people, batch: rows(from, to, { term: writer.term }) }]);
const held = (faults: Faults) => until('the first commit is held', () => faults.passed.length === 1);
const holdFirst: FaultOrder = { point: 'log:before-commit', passing: 1, does: 'hold' };
const commits = ({ passed }: Faults) => passed.filter((point) => point === 'log:after-commit').length;
const codeOf = (result: PromiseSettledResult<void>) =>
  result.status === 'fulfilled' ? 'done' : result.reason instanceof CrossfadeError ? result.reason.code : 'a stranger';
const settled = async (calls: readonly Promise<void>[]) => (await Promise.allSettled(calls)).map(codeOf);
const held30 = async (log: Log) => (await collect(log, new Map([[people, 0]]), 30)).map(numberOf);

/** Every append from this offset on fails: in its statement, or only when the transaction is to be committed. */
function failFrom(harness: SqliteHarness, offset: number, when: 'statement' | 'commit'): void {
  const body = when === 'statement' ? `SELECT RAISE(ABORT, 'ordered by a test')` : 'INSERT INTO debts VALUES (-1)';
  harness.sql('', (db) => {
    db.exec(`CREATE TABLE debts (partition INTEGER REFERENCES partitions (id) DEFERRABLE INITIALLY DEFERRED);
      CREATE TRIGGER failing AFTER INSERT ON batches WHEN new.base_offset = ${offset} BEGIN ${body}; END`);
  });
}

test('G5: what is asked while a commit is under way is committed together, and is acknowledged in order', async () => {
  const { log, writer, faults } = await start([holdFirst]);
  const resolved: number[] = [];
  const calls = range(0, 30).map((n) => append(writer, n, n + 1).then(() => resolved.push(n)));
  await held(faults);
  faults.release();
  await Promise.all(calls);
  expect(resolved).toEqual(range(0, 30));
  expect(await held30(log)).toEqual(range(0, 30));
  expect(commits(faults)).toBeLessThan(5);
});

test('G1: nothing is visible or acknowledged before its commit', async () => {
  const { log, writer, faults } = await start([holdFirst]);
  let done = false;
  const call = append(writer, 0, 30).then(() => (done = true));
  await held(faults);
  expect((await log.state()).partitions.get(people)?.endOffset).toBe(0);
  expect(done).toBe(false);
  faults.release();
  await call;
  expect(await held30(log)).toEqual(range(0, 30));
});

for (const when of ['statement', 'commit'] as const) {
  test(`G1: a ${when} that fails in the thread fails its append with the log's error, and all behind it`, async () => {
    const { harness, log, writer } = await start();
    await append(writer, 0, 10);
    failFrom(harness, 10, when);
    const error = await expectCode(append(writer, 10, 20), 'LOG_FAILED');
    expect([error.fault, error.message]).toEqual(['fatal', expect.stringContaining(harness.path)]);
    expect(error.cause).toBeInstanceOf(Error);
    const behind = await expectCode(append(writer, 20, 30), 'LOG_FAILED');
    expect([behind.fault, behind.cause]).toEqual(['retry', error]);
    await expectCode(writer.complete({ position: 'p', throughUs: 1, writtenAtMs: 1 }), 'LOG_FAILED');
    expect((await log.state()).partitions.get(people)?.endOffset).toBe(10);
  });
}

test('G1: of appends that wait together, those before the one that fails are kept', async () => {
  const { harness, log, writer, faults } = await start([holdFirst]);
  failFrom(harness, 20, 'statement');
  const calls = [append(writer, 0, 10)];
  await held(faults);
  calls.push(append(writer, 10, 20), append(writer, 20, 30), append(writer, 30, 40));
  faults.release();
  expect(await settled(calls)).toEqual(['done', 'done', 'LOG_FAILED', 'LOG_FAILED']);
  expect((await log.state()).partitions.get(people)?.endOffset).toBe(20);
});

test('G5: a leader that was deposed while its appends waited writes none of them', async () => {
  const { harness, writer, faults } = await start([{ point: 'log:after-commit', passing: 1, does: 'hold' }]);
  const calls = [append(writer, 0, 10)];
  await until('the first is committed, and held', () => commits(faults) === 1);
  calls.push(append(writer, 10, 20), append(writer, 20, 30));
  await harness.depose();
  const next = await (await harness.open()).lead(never);
  faults.release();
  expect(await settled(calls)).toEqual(['done', 'LOG_FENCED', 'LOG_FAILED']);
  expect((await next.tail()).partitions.get(people)?.endOffset).toBe(10);
});

test('a thread that dies is the failure of what was asked, and the place is free for the next', async () => {
  const { harness, writer, faults } = await start([{ point: 'log:before-commit', passing: 1, does: 'throw' }]);
  const first = append(writer, 0, 10);
  // What nobody catches ends a thread after its turn: until then it may still commit and say so.
  await until('the writer knows', async () => codeOf((await Promise.allSettled([append(writer, 10, 11)]))[0]) !== 'done');
  expect(['done', 'INTERNAL']).toContain(codeOf((await Promise.allSettled([first]))[0]));
  const behind = await expectCode(append(writer, 20, 21), 'LOG_FAILED');
  expect((behind.cause as CrossfadeError).code).toBe('INTERNAL');
  faults[Symbol.dispose]();
  await writer[Symbol.asyncDispose]();
  const next = await (await harness.open()).lead(never);
  expect(next.term).toBe(writer.term + 1);
  await append(next, 30, 40);
});

test('closing with work under way: what was asked is done first, and what comes later is refused', async () => {
  const { harness, writer, faults } = await start([holdFirst]);
  const calls = [append(writer, 0, 10)];
  await held(faults);
  calls.push(append(writer, 10, 20), append(writer, 20, 30));
  let closed = false;
  const closing = Promise.resolve(writer[Symbol.asyncDispose]()).then(() => (closed = true));
  await expectCode(append(writer, 30, 40), 'LOG_UNREACHABLE');
  expect(closed).toBe(false);
  faults.release();
  expect(await settled(calls)).toEqual(['done', 'done', 'done']);
  await closing;
  expect(await held30(await harness.open())).toEqual(range(0, 30));
});

test('G9: the memory of a batch comes back to its builder', async () => {
  const { log, writer } = await start();
  const batch = rows(0, 30, { valueBytes: 10_000 });
  const { capacityBytes } = batch;
  const call = writer.append([{ partition: people, batch }]);
  expect(batch.capacityBytes).toBe(0);
  await call;
  expect(batch.capacityBytes).toBe(capacityBytes);
  batch.reset();
  expect(batch.capacityBytes).toBe(capacityBytes);
  expect(await held30(log)).toEqual(range(0, 30));
});

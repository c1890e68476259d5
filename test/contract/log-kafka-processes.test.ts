/** The Kafka log between real processes: members and leaders that come, go, freeze and die. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { Timing } from '../../connectors/kafka/settings.ts';
import type { PartitionId, StreamSpec, Writer } from '../../src/core/log-port.ts';
import { partitionsOf } from '../../src/core/partition.ts';
import { kafkaAddress } from '../support/servers.ts';
import type { KafkaChildOrder } from './kafka-child.ts';
import { FakeTarget, KafkaChild } from './kafka-children.ts';
import { KafkaHarness, kafkaTestTiming } from './kafka-harness.ts';
import { never, people, peopleStream } from './log-harness.ts';
import { collect, numberOf, range, rows, until } from './log-rows.ts';

const wide: StreamSpec = { topic: 'shop.wide', partitions: 12 };

const shown = (shares: readonly number[]) => [...shares].sort((a, b) => a - b).join(', ');
const shortTiming = { ...kafkaTestTiming, heartbeat: 300 };

async function harnessOf(
  stream: StreamSpec,
  timing: Partial<Timing> = shortTiming,
): Promise<{ harness: KafkaHarness; order: (work: 'lead' | 'read') => KafkaChildOrder }> {
  const brokers = await kafkaAddress();
  const harness = new KafkaHarness([stream], brokers);
  onTestFinished(() => harness[Symbol.asyncDispose]());
  return { harness, order: (work) => ({ brokers, prefix: harness.prefix, work, stream, timing }) };
}

/** A row to every partition every few milliseconds, each partition's numbered in a row of its own, until stopped. */
class Stream {
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  written = 0;

  constructor(writer: Writer, partitions: readonly PartitionId[]) {
    this.#done = (async () => {
      while (!this.#stop.signal.aborted) {
        const number = this.written;
        await writer.append(partitions.map((partition) => ({ partition, batch: rows(number, number + 1, { term: writer.term }) })));
        this.written += 1;
        await sleep(5);
      }
    })();
  }

  async stop(): Promise<number> {
    this.#stop.abort();
    await this.#done;
    return this.written;
  }
}

test('G2, G3: members of a group join, leave, freeze and die under load: every row comes once and in order to whoever owns its partition', async () => {
  const { harness, order } = await harnessOf(wide);
  const partitions = partitionsOf(wide);
  const target = new FakeTarget();
  const writer = await (await harness.open()).lead(never);
  const load = new Stream(writer, partitions);
  const start = () => new KafkaChild(order('read'), target.hear);
  const shared = (shares: readonly number[], ...children: KafkaChild[]) =>
    until(`shares ${shown(shares)}`, () => shown(target.sharesOf(children)) === shown(shares), 30_000);
  const goesOn = async (what: string) => {
    const before = new Map([...target.written].map(([partition, numbers]) => [partition, numbers.length]));
    await until(
      `all partitions go on ${what}`,
      () => partitions.every((each) => (target.written.get(each)?.length ?? 0) > (before.get(each) ?? 0)),
      30_000,
    );
  };

  const one = start();
  await shared([12], one);
  const two = start();
  await shared([6, 6], one, two);
  const three = start();
  await shared([4, 4, 4], one, two, three);
  // Sticky: twelve at first, six to the second, four to the third, and nobody gave up what it kept.
  expect(target.moves).toBe(12 + 6 + 4);
  await goesOn('with three');
  await two.leave();
  await shared([6, 6], one, three);
  await goesOn('after a goodbye');
  await three.kill();
  await shared([12], one);
  await goesOn('after a kill');
  const four = start();
  await shared([6, 6], one, four);
  four.freeze();
  await shared([12], one);
  await goesOn('while one is frozen');
  // Its session has run out meanwhile: all that it said before it froze has been heard.
  const heard = four.news.length;
  four.thaw();
  await shared([6, 6], one, four);
  // What it was about to say when it was frozen may still come; then it claims before it delivers.
  const woken = four.news.slice(heard).findIndex(({ kind }) => kind === 'claim');
  expect(woken).toBeGreaterThanOrEqual(0);
  expect(woken).toBeLessThanOrEqual(1);
  await goesOn('with the frozen one back');
  const written = await load.stop();
  await until('all rows came', () => partitions.every((each) => target.written.get(each)?.length === written), 30_000);
  for (const partition of partitions) expect(target.written.get(partition)).toEqual(range(0, written));
  expect(target.fenced.length).toBeLessThanOrEqual(3);
}, 180_000);

test('G10: the lead of a killed capture is taken over within 15 seconds, that of one that says goodbye at once', async () => {
  // With the times of production.
  const { harness, order } = await harnessOf(peopleStream, {});
  const first = new KafkaChild(order('lead'));
  await first.said('leads');
  const [second, third] = [new KafkaChild(order('lead')), new KafkaChild(order('lead'))];
  first.answer({ kind: 'append', partition: people, number: 0 });
  await first.said('appended');
  await first.kill();
  const next = () => [second, third].find((child) => child.last('leads'));
  await until('one of the others leads', () => next() !== undefined, 15_000);
  const leader = next() as KafkaChild;
  const other = leader === second ? third : second;
  expect(leader.last('leads')?.term).toBe(2);
  expect(other.last('leads')).toBeUndefined();
  leader.answer({ kind: 'append', partition: people, number: 1 });
  await leader.said('appended');
  await leader.leave();
  await other.said('leads', 5000);
  expect(other.last('leads')?.term).toBe(3);
  expect((await collect(await harness.open(), new Map([[people, 0]]), 2)).map(numberOf)).toEqual([0, 1]);
}, 120_000);

test('G5: a leader that was frozen and wakes after its successor began writes nothing any more', async () => {
  const { harness, order } = await harnessOf(peopleStream);
  const frozen = new KafkaChild(order('lead'));
  await frozen.said('leads');
  frozen.answer({ kind: 'append', partition: people, number: 0 });
  await frozen.said('appended');
  frozen.freeze();
  const log = await harness.open();
  const writer = await log.lead(never);
  await writer.append([{ partition: people, batch: rows(1, 2, { term: writer.term }) }]);
  frozen.answer({ kind: 'append', partition: people, number: 666 });
  frozen.thaw();
  await frozen.said('failed');
  expect(frozen.last('failed')?.code).toBe('LOG_FENCED');
  await writer.append([{ partition: people, batch: rows(2, 3, { term: writer.term }) }]);
  expect((await collect(log, new Map([[people, 0]]), 3)).map(numberOf)).toEqual([0, 1, 2]);
  expect((await log.state()).leader?.who).toContain(`pid ${process.pid} on `);
}, 120_000);

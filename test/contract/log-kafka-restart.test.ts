/** A broker that restarts and one that is killed: readers and a leader that had nothing to do meanwhile go on by themselves. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Stack } from '../../stack/stack.ts';
import { privateStack } from '../support/servers.ts';
import { KafkaHarness, kafkaTestTiming } from './kafka-harness.ts';
import { consume, never, people, peopleStream } from './log-harness.ts';
import { numberOf, range, rows, until } from './log-rows.ts';

let stack: Stack<'kafka'>;
beforeAll(async () => {
  stack = await privateStack({ servers: ['kafka'] });
});
afterAll(() => stack[Symbol.asyncDispose]());

/** A busy machine takes a while to start a broker. */
const timing = { ...kafkaTestTiming, outage: 60_000 };

test('G10: an orderly restart and a kill -9 of the broker: idle readers and the leader go on, nothing is lost, doubled or claimed by two', async () => {
  const { kafka } = stack.servers;
  const harness = new KafkaHarness([peopleStream], kafka.url);
  onTestFinished(() => harness[Symbol.asyncDispose]());
  const writer = await (await harness.openWith({ timing })).lead(never);
  const progress = new Map<string, number>();
  const reader = consume(await harness.openWith({ timing }), 'g', progress);
  const follower = await harness.openWith({ timing });
  const followed: number[] = [];
  const stop = new AbortController();
  const following = (async () => {
    for await (const { records } of follower.readFrom(new Map([[people, 0]]), stop.signal)) followed.push(...records.map(numberOf));
  })();
  let next = 0;
  const append = async () => {
    await writer.append([{ partition: people, batch: rows(next, next + 3, { term: writer.term }) }]);
    next += 3;
    await until('both have all', () => reader.numbers().length >= next && followed.length >= next, 60_000);
    expect([reader.error, reader.numbers(), followed]).toEqual([undefined, range(0, next), range(0, next)]);
  };
  await append();
  await kafka.restart();
  await append();
  await kafka.kill('SIGKILL');
  await kafka.start();
  await append();
  await writer.complete({ position: 'p', throughUs: 1, writtenAtMs: 1 });
  expect((await follower.state()).complete?.position).toBe('p');
  stop.abort();
  await following;
}, 240_000);

/**
 * Our producer against a real broker whose connection is cut and frozen: every acknowledged row is in the topic once, in its
 * order. The rows of `kafka-clients.md` section 4, in which every client that was measured lost, doubled or reordered some.
 */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { kafkaAddress } from '../support/servers.ts';
import { seeded } from '../support/random.ts';
import { type Fault, type KafkaProxy, startKafkaProxy } from './kafka-proxy.ts';
import { makeTopic, openTestProducer, type TestProducer, type TestTopic, writeAcross } from './kafka-topic.ts';
import { range, rows } from './log-rows.ts';

const produce = 0;
const initProducerId = 22;
const perBatch = 10;
const seed = Number(process.env['CROSSFADE_SEED'] ?? Date.now() % 1_000_000);

let url: string;
let proxy: KafkaProxy;
let topic: TestTopic;

beforeAll(async () => {
  console.log(`log-kafka-faults: seed ${seed} (CROSSFADE_SEED)`);
  url = await kafkaAddress();
});
beforeEach(async () => {
  proxy = await startKafkaProxy(url);
  topic = await makeTopic(url, 3);
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  await topic[Symbol.asyncDispose]();
});
/** Sends until so many faults have happened, at most `outstanding` batches at once; answers how many rows were acknowledged. */
async function sendThrough(writer: TestProducer, faults: number, outstanding: number): Promise<number> {
  const [partition = ''] = topic.partitions;
  const pending: Promise<number>[] = [];
  let sent = 0;
  while (proxy.faults < faults) {
    pending.push(writer.send(partition, rows(sent, sent + perBatch)));
    sent += perBatch;
    if (pending.length >= outstanding) await pending.shift();
  }
  await Promise.all(pending);
  return sent;
}

async function expectAll(acknowledged: number): Promise<void> {
  const [partition = ''] = topic.partitions;
  expect(acknowledged).toBeGreaterThan(0);
  expect(await topic.read(partition)).toEqual(range(0, acknowledged));
}

/** Never two in a row that stop all progress: each fault is followed by at least `apart` requests that pass. */
function every(apart: number, faults: readonly Fault[]): (count: number) => Fault {
  const random = seeded(seed);
  return (count) => (count % apart === apart - 1 ? random.pick(faults) : 'pass');
}

describe('a cut connection: nothing acknowledged is lost, doubled or out of order', () => {
  const cases: readonly (readonly [string, number, number, readonly Fault[]])[] = [
    ['200 answers lost', 1, 200, ['after']],
    ['200 cuts before and after the broker has it', 1, 200, ['after', 'before']],
    ['200 answers lost', 5, 200, ['after']],
    ['200 cuts before and after the broker has it', 5, 200, ['after', 'before']],
    ['100 cuts, before, after, and requests that reach the broker late', 8, 100, ['after', 'before', 'late']],
  ];
  test.each(cases)(
    '%s, %i outstanding',
    async (_, outstanding, faults, kinds) => {
      await using writer = await openTestProducer(proxy.url, topic);
      proxy.onRequest(produce, every(outstanding === 1 ? 2 : outstanding + 3, kinds));
      await expectAll(await sendThrough(writer, faults, outstanding));
    },
    180_000,
  );

  test('15 answers that never come, one and five outstanding: our own deadline drops the connection', async () => {
    for (const [outstanding, until] of [
      [1, 8],
      [5, 15],
    ] as const) {
      await using one = await makeTopic(url, 1);
      topic = one;
      await using writer = await openTestProducer(proxy.url, one, { timing: { answer: 400 } });
      proxy.onRequest(produce, every(outstanding + 8, ['freeze']));
      await expectAll(await sendThrough(writer, until, outstanding));
    }
  }, 120_000);

  test('many partitions in one request, each in its own order', async () => {
    await using writer = await openTestProducer(proxy.url, topic);
    proxy.onRequest(produce, every(9, ['after', 'before']));
    const sends: Promise<number>[] = [];
    for (let n = 0; n < 3000; n += perBatch) {
      for (const partition of topic.partitions) sends.push(writer.send(partition, rows(n, n + perBatch)));
      if (sends.length > 60) await sends.shift();
    }
    await Promise.all(sends);
    expect(proxy.faults).toBeGreaterThan(10);
    for (const partition of topic.partitions) expect(await topic.read(partition)).toEqual(range(0, 3000));
  }, 120_000);
});

describe('a producer that gives up', () => {
  test('20 times, each with batches that the broker has: the next one goes on behind the tail', async () => {
    for (const outstanding of [1, 5]) {
      await using one = await makeTopic(url, 1);
      const [partition = ''] = one.partitions;
      // From the 12th request on everything is lost, until another producer begins.
      let failing = false;
      let passed = 0;
      proxy.onRequest(produce, () => {
        if (!failing && ++passed % 12 === 0) failing = true;
        return failing ? 'after' : 'pass';
      });
      proxy.onRequest(initProducerId, () => ((failing = false), 'pass'));
      const result = await writeAcross(proxy.url, one, { outstanding, timing: { giveUp: 500 }, done: () => !failing && passed >= 240 });
      expect(result.endings).toHaveLength(20);
      expect(new Set(result.endings)).toEqual(new Set(['LOG_UNREACHABLE']));
      expect(await one.read(partition)).toEqual(range(0, result.rows));
    }
  }, 240_000);
});

describe("the broker's codes", () => {
  const passing = [2, 3, 5, 6, 7, 19, 20, 56];
  test.each([1, 5])(
    'what passes is sent again, whether the broker has it or not: %i outstanding',
    async (outstanding) => {
      const random = seeded(seed);
      await using writer = await openTestProducer(proxy.url, topic);
      proxy.onRequest(produce, (count) =>
        count % (outstanding + 3) === 3 ? { code: random.pick(passing), stored: random.chance(0.5) } : 'pass',
      );
      await expectAll(await sendThrough(writer, 60, outstanding));
    },
    120_000,
  );

  test('46: the broker has it', async () => {
    await using writer = await openTestProducer(proxy.url, topic);
    const [partition = ''] = topic.partitions;
    proxy.onRequest(produce, (count) => (count === 1 ? { code: 46, stored: true } : 'pass'));
    const offsets = await Promise.all(range(0, 4).map((n) => writer.send(partition, rows(n * 10, n * 10 + 10))));
    expect(offsets.map((offset) => offset - (offsets[0] ?? 0))).toEqual([0, 10, 20, 30]);
    expect(await topic.read(partition)).toEqual(range(0, 40));
  });

  test.each([
    [45, 'LOG_FAILED', 'retry'],
    [59, 'LOG_FAILED', 'retry'],
    [47, 'LOG_FENCED', 'retry'],
    [90, 'LOG_FENCED', 'retry'],
    [29, 'LOG_PRIVILEGE', 'fatal'],
    [87, 'LOG_FAILED', 'fatal'],
    [9999, 'LOG_FAILED', 'fatal'],
  ])('%i ends the producer with %s (%s), and everything behind it', async (answered, code, fault) => {
    await using writer = await openTestProducer(proxy.url, topic);
    const [partition = '', other = ''] = topic.partitions;
    await writer.send(partition, rows(0, 10));
    proxy.onRequest(produce, () => ({ code: answered, stored: false }));
    const sends = range(1, 4).map((n) => writer.send(partition, rows(n * 10, n * 10 + 10)));
    const results = await Promise.allSettled([...sends, writer.send(other, rows(0, 1))]);
    const wanted = expect.objectContaining({ code, fault });
    expect(results.map((result) => (result.status === 'rejected' ? (result.reason as unknown) : undefined))).toEqual(
      results.map(() => wanted),
    );
    proxy.onRequest(produce, () => 'pass');
    await expect(writer.send(partition, rows(40, 50))).rejects.toEqual(wanted);
    expect(await topic.read(partition)).toEqual(range(0, 10));
  });
});

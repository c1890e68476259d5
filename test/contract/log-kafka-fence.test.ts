/** Who may write, and what is never written: epochs, deleted topics, records that are too large, numbers that wrap. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { codec } from '../../src/codec.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { Producer } from '../../connectors/kafka/producer.ts';
import { nextSequence } from '../../connectors/kafka/producer-lane.ts';
import { initProducerIdRequest } from '../../connectors/kafka/requests/transactions.ts';
import { kafkaAddress } from '../support/servers.ts';
import { startKafkaProxy } from './kafka-proxy.ts';
import { makeTopic, openTestCluster, openTestProducer, silent, type TestTopic } from './kafka-topic.ts';
import { range, rows, until } from './log-rows.ts';

const produce = 0;
let url: string;
let topic: TestTopic;
let first: PartitionId;
let second: PartitionId;

beforeAll(async () => {
  url = await kafkaAddress();
});
beforeEach(async () => {
  topic = await makeTopic(url, 2);
  [first = '', second = ''] = topic.partitions;
});
afterEach(() => topic[Symbol.asyncDispose]());

const fencedError = expect.objectContaining({ code: 'LOG_FENCED', fault: 'retry' });

describe('two captures', () => {
  test('after the takeover the older one is fenced in every partition, and consumers see nothing of it', async () => {
    await using a = await openTestProducer(url, topic);
    await a.send(first, rows(0, 10));
    await a.send(second, rows(0, 10));
    await using b = await openTestProducer(url, topic);
    // Before B has written anything.
    await expect(a.send(first, rows(10, 20))).rejects.toEqual(fencedError);
    await expect(a.send(second, rows(10, 20))).rejects.toEqual(fencedError);
    await b.send(first, rows(10, 30));
    await b.send(second, rows(10, 30));
    expect(await topic.read(first)).toEqual(range(0, 30));
    expect(await topic.read(second)).toEqual(range(0, 30));
  });

  test('a partition in which the older one has not failed yet refuses it too', async () => {
    await using a = await openTestProducer(url, topic);
    await a.send(second, rows(0, 10));
    await using b = await openTestProducer(url, topic);
    await b.send(first, rows(0, 10));
    await expect(a.send(second, rows(10, 20))).rejects.toEqual(fencedError);
    expect(await topic.read(second)).toEqual(range(0, 10));
  });

  test('what the older one has in flight lies before the fence, or is refused: nothing is added behind the tail', async () => {
    await using proxy = await startKafkaProxy(url);
    for (let round = 0; round < 10; round += 1) {
      await using one = await makeTopic(url, 1);
      const [partition = ''] = one.partitions;
      await using a = await openTestProducer(proxy.url, one);
      let acknowledged = 0;
      const sends = range(0, 200).map((n) =>
        a.send(partition, rows(n, n + 1)).then(
          () => (acknowledged += 1),
          () => undefined,
        ),
      );
      await until('a is writing', () => acknowledged > round * 4);
      await using b = await openTestProducer(url, one);
      const atTail = await one.read(partition);
      await Promise.all(sends);
      const after = await one.read(partition);
      expect(after).toEqual(atTail);
      expect(after).toEqual(range(0, after.length));
      expect(acknowledged).toBeLessThanOrEqual(after.length);
      expect(b.producer.failure).toBeUndefined();
    }
  }, 120_000);

  test('a request of the older one that the network keeps until after the takeover is refused', async () => {
    await using proxy = await startKafkaProxy(url);
    const { promise: takenOver, resolve } = Promise.withResolvers<void>();
    proxy.lateUntil = takenOver;
    await using a = await openTestProducer(proxy.url, topic, { timing: { giveUp: 200 } });
    await a.send(first, rows(0, 10));
    proxy.onRequest(produce, () => 'late');
    // Its own time runs out; the network still has the request, several times.
    await expect(a.send(first, rows(10, 20))).rejects.toMatchObject({ code: 'LOG_UNREACHABLE', fault: 'retry' });
    expect(proxy.faults).toBeGreaterThan(1);
    await using b = await openTestProducer(url, topic);
    resolve();
    for (let n = 10; n < 300; n += 10) await b.send(first, rows(n, n + 10));
    expect(await topic.read(first)).toEqual(range(0, 300));
  });

  test('the id stays the same and the epoch grows, so that the fence reaches whoever has it', async () => {
    await using cluster = await openTestCluster(url);
    const coordinator = { coordinator: 'transaction', key: topic.topic } as const;
    const one = await cluster.ask(coordinator, initProducerIdRequest(topic.topic, 1000));
    const two = await cluster.ask(coordinator, initProducerIdRequest(topic.topic, 1000));
    expect(two).toEqual({ id: one.id, epoch: one.epoch + 1 });
  });
});

describe('what cannot be written', () => {
  test('a deleted topic stops with LOG_LOST_HISTORY, nothing is made anew', async () => {
    await using a = await openTestProducer(url, topic, { timing: { topicGone: 500 } });
    await a.send(first, rows(0, 10));
    await using cluster = await openTestCluster(url);
    await (await cluster.admin()).deleteTopics({ topics: [topic.topic] });
    await expect(sendUntilRefused(a, first)).resolves.toMatchObject({ code: 'LOG_LOST_HISTORY', fault: 'fatal' });
  });

  test('a topic that was made anew under the same name stops the same way', async () => {
    await using a = await openTestProducer(url, topic);
    await a.send(first, rows(0, 10));
    await using cluster = await openTestCluster(url);
    const admin = await cluster.admin();
    await admin.deleteTopics({ topics: [topic.topic] });
    await until('the topic is gone', async () => (await cluster.metadata([topic.topic])).topics[0]?.errorCode === 3);
    await admin.createTopics({ topics: [{ topic: topic.topic, numPartitions: 2 }], waitForLeaders: false });
    await until('the topic is there', async () => (await cluster.metadata([topic.topic])).topics[0]?.errorCode === 0);
    await expect(sendUntilRefused(a, first)).resolves.toMatchObject({ code: 'LOG_LOST_HISTORY', fault: 'fatal' });
  });

  test('a record that the topic does not take stops with LOG_RECORD_TOO_LARGE and its size, and ends the writer', async () => {
    await using small = await makeTopic(url, 1, { configEntries: [{ name: 'max.message.bytes', value: '20000' }] });
    const [partition = ''] = small.partitions;
    await using a = await openTestProducer(url, small);
    await a.send(partition, rows(0, 1));
    const refused = a.send(partition, rows(1, 2, { valueBytes: 30_000 }));
    const behind = a.send(partition, rows(2, 3));
    await expect(refused).rejects.toMatchObject({ code: 'LOG_RECORD_TOO_LARGE', fault: 'fatal', message: expect.stringContaining('MB') });
    await expect(behind).rejects.toMatchObject({ code: 'LOG_RECORD_TOO_LARGE' });
    await expect(a.send(partition, rows(3, 4))).rejects.toMatchObject({ code: 'LOG_RECORD_TOO_LARGE' });
    expect(await small.read(partition)).toEqual([0]);
  });

  test('a record of 64 MB goes through where the topic takes it', async () => {
    await using large = await makeTopic(url, 1, { configEntries: [{ name: 'max.message.bytes', value: String(96 * 1024 * 1024) }] });
    const [partition = ''] = large.partitions;
    await using a = await openTestProducer(url, large);
    await a.send(partition, rows(0, 1, { valueBytes: 64 * 1024 * 1024 }));
    await a.send(partition, rows(1, 2));
    expect(await large.read(partition)).toEqual([0, 1]);
  });
});

describe('numbers', () => {
  test('behind 2^31-1 comes 0, also inside a batch: the rule', () => {
    expect(nextSequence(0, 10)).toBe(10);
    expect(nextSequence(2 ** 31 - 10, 10)).toBe(0);
    expect(nextSequence(2 ** 31 - 2, 3)).toBe(1);
  });

  test('and the broker agrees', async () => {
    await using cluster = await openTestCluster(url);
    const key = `${topic.topic}.wrap`;
    const identity = await cluster.ask({ coordinator: 'transaction', key }, initProducerIdRequest(key, 1000));
    const { topicId } = await cluster.topic(topic.topic);
    // Without a fence the broker knows nothing of this producer here, and takes any number as the first.
    const parts = { cluster, identity, partitions: topic.partitions, topicIds: new Map([[topic.topic, topicId]]), logger: silent };
    await using producer = new Producer({ ...parts, firstSequence: 2 ** 31 - 25 });
    const sends = range(0, 10).map(
      (n) =>
        new Promise<number>((resolve, reject) => {
          const batch = rows(n * 10, n * 10 + 10);
          producer.add(first, batch.count, (numbered) => batch.finish(codec, 0, numbered), { stored: resolve, failed: reject });
          producer.flush();
        }),
    );
    await Promise.all(sends);
    expect(await topic.read(first)).toEqual(range(0, 100));
  });
});

/** A broker may take a few more before it has forgotten the topic. */
async function sendUntilRefused(
  writer: { send(partition: PartitionId, batch: ReturnType<typeof rows>): Promise<number> },
  partition: PartitionId,
): Promise<unknown> {
  for (let n = 10; ; n += 1) {
    try {
      await writer.send(partition, rows(n, n + 1));
    } catch (error) {
      return error;
    }
  }
}

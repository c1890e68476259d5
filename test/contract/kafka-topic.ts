/** A real topic for the tests of the producer: written through our own path, read back whole. */
import type { ITopicConfig } from 'kafkajs';
import { kafkaSchema } from '../../connectors/kafka/config.ts';
import { type KafkaCluster, openCluster } from '../../connectors/kafka/cluster.ts';
import { takeOverPartitions } from '../../connectors/kafka/fence.ts';
import { Producer, type ProducerTiming } from '../../connectors/kafka/producer.ts';
import { splitRecordSet } from '../../connectors/kafka/record-set.ts';
import { fetchRequest } from '../../connectors/kafka/requests/fetch.ts';
import { listOffsetsRequest } from '../../connectors/kafka/requests/list-offsets.ts';
import { codec } from '../../src/codec.ts';
import { asCrossfadeError } from '../../src/core/errors.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { numberOf, partitionId, topicOf } from '../../src/core/partition.ts';
import type { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';
import { numberOf as rowNumber, rows as makeRows } from './log-rows.ts';

export const silent = { debug() {}, info() {}, warn() {}, error() {} };

export const openTestCluster = (url: string, clientId = 'crossfade-test'): Promise<KafkaCluster> =>
  openCluster(kafkaSchema.parse(url), { clientId, logger: silent });

export interface TestTopic extends AsyncDisposable {
  readonly topic: string;
  readonly partitions: readonly PartitionId[];
  /** The rows' numbers of one partition, in the order of their offsets, as every consumer sees them. */
  read(partition: PartitionId): Promise<number[]>;
}

let topics = 0;

/** Made and read over a connection of its own, past any proxy. */
export async function makeTopic(url: string, partitions: number, config: Partial<ITopicConfig> = {}): Promise<TestTopic> {
  const cluster = await openTestCluster(url);
  const admin = await cluster.admin();
  const topic = `kw.${process.pid}.${Date.now()}.${topics++}`;
  // As Crossfade makes them; the rows of these tests are of 1970, when no producer would be remembered.
  const configEntries = [{ name: 'message.timestamp.type', value: 'LogAppendTime' }, ...(config.configEntries ?? [])];
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions, ...config, configEntries }], waitForLeaders: false });
  const ids = Array.from({ length: partitions }, (_, number) => partitionId(topic, number));
  await cluster.retrying(async () => {
    await Promise.all(
      ids.map((id) => {
        cluster.forget({ leaderOf: id });
        return cluster.leaderOf(id);
      }),
    );
  });
  return {
    topic,
    partitions: ids,
    read: (partition) => readPartition(cluster, partition),
    [Symbol.asyncDispose]: async () => {
      await admin.deleteTopics({ topics: [topic] }).catch(() => undefined);
      await cluster[Symbol.asyncDispose]();
    },
  };
}

async function readPartition(cluster: KafkaCluster, partition: PartitionId): Promise<number[]> {
  const topic = topicOf(partition);
  const number = numberOf(partition);
  const numbers: number[] = [];
  const [end] = await cluster.ask({ leaderOf: partition }, listOffsetsRequest('end', [{ topic, partitions: [number] }]));
  const { topicId } = await cluster.topic(topic);
  for (let offset = 0; offset < (end?.offset ?? 0);) {
    const wanted = [{ topicId, partition: number, offset, bytesMax: 8 * 1024 * 1024 }];
    const [part] = await cluster.ask({ leaderOf: partition }, fetchRequest(wanted, { waitMs: 100, bytesMax: 16 * 1024 * 1024 }));
    for (const batch of splitRecordSet(part?.records ?? Buffer.alloc(0), partition, offset)) {
      if (!batch.control) numbers.push(...decodeRecordBatch(batch.bytes, codec, partition).map(rowNumber));
      offset = batch.nextOffset;
    }
  }
  return numbers;
}

export interface TestProducer extends AsyncDisposable {
  readonly producer: Producer;
  /** Resolves when it is durable, with the offset of the first record. */
  send(partition: PartitionId, batch: RecordBatchBuilder): Promise<number>;
}

export interface TestProducerOptions {
  readonly transactionalId?: string;
  readonly timing?: Partial<ProducerTiming>;
}

/** Takes over under the transactional id, as a capture does. */
export async function openTestProducer(
  url: string,
  { topic, partitions }: Pick<TestTopic, 'topic' | 'partitions'>,
  { transactionalId = topic, timing }: TestProducerOptions = {},
): Promise<TestProducer> {
  const cluster = await openTestCluster(url);
  const { topicId } = await cluster.retrying(() => cluster.topic(topic));
  const identity = await takeOverPartitions(cluster, transactionalId, partitions, AbortSignal.timeout(60_000));
  const producer = new Producer({ cluster, identity, partitions, topicIds: new Map([[topic, topicId]]), logger: silent, timing });
  return {
    producer,
    send: (partition, batch) =>
      new Promise((resolve, reject) => {
        producer.add(partition, batch.count, (numbered) => batch.finish(codec, 0, numbered), { stored: resolve, failed: reject });
        producer.flush();
      }),
    [Symbol.asyncDispose]: async () => {
      await producer[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

/**
 * A capture's life across the ends of its producers: rows from 0 on, at most `outstanding` batches at once; whenever a producer
 * ends with something that passes, another takes over, looks at the tail and goes on behind it. Ends when `done` says so, after
 * all is acknowledged; answers how many rows there are, how often it was begun again, and why.
 */
export async function writeAcross(
  url: string,
  topic: TestTopic,
  {
    outstanding,
    done,
    timing,
    perBatch = 10,
  }: { outstanding: number; done: (rows: number) => boolean; timing?: Partial<ProducerTiming>; perBatch?: number },
): Promise<{ readonly rows: number; readonly endings: readonly string[] }> {
  const [partition = ''] = topic.partitions;
  const endings: string[] = [];
  let acknowledged = 0;
  for (;;) {
    try {
      await using writer = await openTestProducer(url, topic, { ...(timing && { timing }) });
      const stored = await topic.read(partition);
      if (stored.length < acknowledged) throw new Error(`${acknowledged} rows were acknowledged, ${stored.length} are there`);
      acknowledged = stored.length;
      let next = stored.length;
      const pending: Promise<unknown>[] = [];
      while (!done(acknowledged)) {
        const upTo = next + perBatch;
        const sent = writer.send(partition, makeRows(next, upTo)).then(() => (acknowledged = upTo));
        sent.catch(() => undefined);
        pending.push(sent);
        next = upTo;
        if (pending.length >= outstanding) await pending.shift();
      }
      await Promise.all(pending);
      return { rows: acknowledged, endings };
    } catch (error) {
      const { code, fault } = asCrossfadeError(error);
      if (fault !== 'retry') throw error;
      endings.push(code);
    }
  }
}

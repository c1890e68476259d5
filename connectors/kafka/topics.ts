/** Our topics: made by whoever leads, with what the promises need; held against the configuration by everybody. */
import type { StreamSpec } from '../../src/core/log-port.ts';
import { partitionsChanged } from '../../src/core/log-errors.ts';
import { partitionId } from '../../src/core/partition.ts';
import type { KafkaCluster } from './cluster.ts';
import type { KafkaSettings } from './config.ts';
import { kafkaError, noLeader } from './errors.ts';
import type { RequestOptions } from './link.ts';
import { existingTopics } from './ranges.ts';
import type { TopicMetadata } from './requests/metadata.ts';
import type { TopicNames } from './topic-names.ts';

export type TopicKind = 'rows' | 'compacted';
interface WantedTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly kind: TopicKind;
}

const hourMs = 3_600_000;
/** As much as a broker takes in one request (socket.request.max.bytes), less what stands around a batch. */
const messageBytesMax = 96 * 1024 * 1024;

/** What a topic is made with; `check` looks at the same names. */
export function configOf(kind: TopicKind, settings: KafkaSettings, replication: number): Readonly<Record<string, string>> {
  const common = {
    'min.insync.replicas': String(settings.minInsyncReplicas ?? Math.max(1, replication - 1)),
    'unclean.leader.election.enable': 'false',
    'max.message.bytes': String(messageBytesMax),
    'compression.type': 'producer',
    // A broker forgets a producer by the time of its batches (producer.id.expiration.ms), and deletes by it: that must be its own
    // clock's. Behind a capture whose clock is a day late, it would take a batch that is sent again for a new one.
    'message.timestamp.type': 'LogAppendTime',
  };
  if (kind === 'rows')
    return { ...common, 'cleanup.policy': 'delete', 'retention.ms': String(settings.retention.age * hourMs), 'retention.bytes': '-1' };
  // Small segments, cleaned often: a process that starts reads all of it.
  return {
    ...common,
    'cleanup.policy': 'compact',
    'segment.bytes': String(4 * 1024 * 1024),
    'segment.ms': String(hourMs),
    'min.cleanable.dirty.ratio': '0.2',
  };
}

/** Copies of a new topic. */
export const replicationOf = (settings: KafkaSettings, brokers: number): number => settings.replication ?? Math.min(3, brokers);

/** Throws LOG_PARTITIONS_CHANGED where a topic has another number of partitions than it is configured with. */
export function comparePartitions(names: TopicNames, streams: readonly StreamSpec[], found: ReadonlyMap<string, TopicMetadata>): void {
  for (const { topic, partitions } of streams) {
    const stored = found.get(names.topic(topic))?.partitions.length ?? partitions;
    if (stored !== partitions) throw partitionsChanged(topic, stored, partitions);
  }
}

/** Makes those that are missing, and resolves when all have leaders, with what is known of each by its name. */
export async function ensureTopics(
  cluster: KafkaCluster,
  wanted: readonly WantedTopic[],
  settings: KafkaSettings,
  options: RequestOptions = {},
): Promise<ReadonlyMap<string, TopicMetadata>> {
  const topics = wanted.map(({ topic }) => topic);
  const found = await cluster.retrying(() => existingTopics(cluster, topics, options), options);
  const missing = wanted.filter(({ topic }) => !found.has(topic));
  if (missing.length > 0) await create(cluster, missing, settings, options);
  return cluster.retrying(async () => {
    const all = await existingTopics(cluster, topics, options);
    for (const topic of topics) {
      const lacking = all.get(topic)?.partitions.find(({ leader }) => leader < 0);
      if (!all.has(topic) || lacking) throw noLeader(partitionId(topic, lacking?.partition ?? 0));
    }
    return all;
  }, options);
}

async function create(
  cluster: KafkaCluster,
  missing: readonly WantedTopic[],
  settings: KafkaSettings,
  options: RequestOptions,
): Promise<void> {
  const { brokers } = await cluster.retrying(() => cluster.metadata([], options), options);
  const replication = replicationOf(settings, brokers.length);
  const admin = await cluster.admin();
  const topics = missing.map(({ topic, partitions, kind }) => ({
    topic,
    numPartitions: partitions,
    replicationFactor: replication,
    configEntries: Object.entries(configOf(kind, settings, replication)).map(([name, value]) => ({ name, value })),
  }));
  try {
    // False where somebody else has made one meanwhile: that is as good.
    await admin.createTopics({ topics, waitForLeaders: false, timeout: 15_000 });
  } catch (error) {
    throw kafkaError(causeOf(error), missing.map(({ topic }) => topic).join(', '));
  }
}

/** kafkajs gathers the refusals of single topics in one error; the first says enough. */
function causeOf(error: unknown): unknown {
  return error instanceof AggregateError || (error instanceof Error && 'errors' in error)
    ? ((error as { readonly errors: readonly unknown[] }).errors[0] ?? error)
    : error;
}

export const controlTopics = (names: TopicNames): WantedTopic[] =>
  [names.control, names.notes].map((topic) => ({ topic, partitions: 1, kind: 'compacted' }));

export const rowTopics = (names: TopicNames, streams: readonly StreamSpec[]): WantedTopic[] =>
  streams.map(({ topic, partitions }) => ({ topic: names.topic(topic), partitions, kind: 'rows' }));

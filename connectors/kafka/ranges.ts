/** Where partitions begin and end, and which life of their topic it is. Topics and partitions go by Kafka's own names here. */
import type { PartitionId } from '../../src/core/log-port.ts';
import { numberOf, partitionId, topicOf } from '../../src/core/partition.ts';
import type { KafkaCluster } from './cluster.ts';
import type { PartitionEnd } from './control.ts';
import { codeError, noLeader } from './errors.ts';
import type { RequestOptions } from './link.ts';
import { type ListedOffset, listOffsetsRequest, type OffsetQuestion } from './requests/list-offsets.ts';
import type { TopicMetadata } from './requests/metadata.ts';

export interface PartitionRange {
  readonly topicId: string;
  /** Below it records were deleted. */
  readonly startOffset: number;
  /** The oldest offset that the brokers serve: above `startOffset` where only markers were deleted since. */
  readonly servedFrom: number;
  readonly endOffset: number;
}
export type Ranges = ReadonlyMap<PartitionId, PartitionRange>;

/** Of all partitions of these topics; a topic that is not there is left out. Tries again while the cluster is changing. */
export function readRanges(cluster: KafkaCluster, topics: readonly string[], options: RequestOptions = {}): Promise<Ranges> {
  return cluster.retrying(() => rangesNow(cluster, topics, options), options);
}

async function rangesNow(cluster: KafkaCluster, topics: readonly string[], options: RequestOptions): Promise<Ranges> {
  const found = await existingTopics(cluster, topics, options);
  const byNode = new Map<number, PartitionId[]>();
  for (const { topic, partitions } of found.values()) {
    for (const { partition, leader } of partitions) {
      const id = partitionId(topic, partition);
      if (leader < 0) throw noLeader(id);
      const ids = byNode.get(leader);
      if (ids) ids.push(id);
      else byNode.set(leader, [id]);
    }
  }
  const [starts, ends] = await Promise.all([offsetsOf(cluster, 'start', byNode, options), offsetsOf(cluster, 'end', byNode, options)]);
  const ranges = new Map<PartitionId, PartitionRange>();
  for (const [id, startOffset] of starts) {
    const topicId = found.get(topicOf(id))?.topicId ?? '';
    ranges.set(id, { topicId, startOffset, servedFrom: startOffset, endOffset: Math.max(ends.get(id) ?? startOffset, startOffset) });
  }
  return ranges;
}

/**
 * The same, with what control knows of the records before the brokers' first offset. A takeover leaves a marker in every
 * partition, and retention takes it when the partition rests: that is no loss to whoever had applied all before it, nor to
 * whoever comes new to a partition that never had a record.
 */
export function withoutMarkers(ranges: Ranges, known: (partition: PartitionId) => readonly PartitionEnd[]): Ranges {
  const told = new Map<PartitionId, PartitionRange>();
  for (const [id, range] of ranges) {
    const starts = known(id)
      .filter(({ end }) => range.servedFrom <= end)
      .map(({ last }) => (last?.offset ?? -1) + 1);
    told.set(id, { ...range, startOffset: Math.min(range.servedFrom, ...starts) });
  }
  return told;
}

/** By name; those that are not there are left out. Creates nothing. */
export async function existingTopics(
  cluster: KafkaCluster,
  topics: readonly string[],
  options: RequestOptions = {},
): Promise<ReadonlyMap<string, TopicMetadata>> {
  if (topics.length === 0) return new Map();
  const metadata = await cluster.metadata(topics, options);
  const found = new Map<string, TopicMetadata>();
  for (const topic of metadata.topics) {
    if (topic.errorCode === 0) found.set(topic.topic, topic);
    else if (topic.errorCode !== unknownTopic) throw codeError(topic.errorCode, 'Metadata', topic.topic);
  }
  return found;
}

const unknownTopic = 3;

async function offsetsOf(
  cluster: KafkaCluster,
  question: OffsetQuestion,
  byNode: ReadonlyMap<number, readonly PartitionId[]>,
  options: RequestOptions,
): Promise<Map<PartitionId, number>> {
  const answers = await Promise.all(
    [...byNode].map(([node, ids]) => cluster.send({ node }, listOffsetsRequest(question, topicPartitions(ids)), options)),
  );
  return new Map(answers.flat().map((listed) => [partitionId(listed.topic, listed.partition), offsetOf(listed)]));
}

function offsetOf({ topic, partition, errorCode, offset }: ListedOffset): number {
  if (errorCode !== 0) throw codeError(errorCode, 'ListOffsets', partitionId(topic, partition));
  return offset;
}

function topicPartitions(ids: readonly PartitionId[]): { readonly topic: string; readonly partitions: number[] }[] {
  return [...Map.groupBy(ids, topicOf)].map(([topic, parts]) => ({ topic, partitions: parts.map(numberOf) }));
}

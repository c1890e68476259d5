/** What a capture does between winning the election and its first row: new epoch, fence, and only then read what there is. */
import { asCrossfadeError } from '../../src/core/errors.ts';
import type { PartitionId, PartitionState, Tail } from '../../src/core/log-port.ts';
import { topicOf } from '../../src/core/partition.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { Codec } from '../../src/core/record-batch.ts';
import type { KafkaCluster } from './cluster.ts';
import { type ControlState, termRecords } from './control.ts';
import { encodeControlBatch } from './control-batch.ts';
import { unvouchedDeleted } from './errors.ts';
import { takeOverPartitions } from './fence.ts';
import { Producer, type ProducerTiming } from './producer.ts';
import { KafkaWriter } from './writer.ts';

export interface TakeoverParts {
  readonly cluster: KafkaCluster;
  readonly transactionalId: string;
  /** The log's partitions, and their names in Kafka; their topics are there. */
  readonly partitions: ReadonlyMap<PartitionId, PartitionId>;
  readonly control: PartitionId;
  readonly codec: Codec;
  readonly logger: Logger;
  /** Who leads, for whoever looks at the log. */
  readonly who: string;
  /** Both are called behind the fence, in this order. */
  readonly readControl: (signal: AbortSignal) => Promise<ControlState>;
  readonly readTails: (state: ControlState, signal: AbortSignal) => Promise<ReadonlyMap<PartitionId, PartitionState>>;
  /** What `Writer.tail` answers, at any time. */
  readonly readTail: () => Promise<Tail>;
  /** Aborts, with LOG_FENCED, when the election gave the place to another; the fence would say so too, with the next write. */
  readonly lost: AbortSignal;
  readonly timing?: Partial<ProducerTiming> | undefined;
  readonly close: () => Promise<void>;
}

/** Resolves when nothing of an older leader can be added any more, and the new term is durable. */
export async function takeOver(parts: TakeoverParts, signal: AbortSignal): Promise<KafkaWriter> {
  const { cluster, control, codec, logger } = parts;
  const partitions = [...parts.partitions.values(), control];
  const topics = [...new Set(partitions.map(topicOf))];
  // Before the fence: a topic that is made anew from here on has another id, and is noticed by the producer.
  const metadata = await cluster.retrying(() => cluster.metadata(topics, { signal }), { signal });
  const identity = await takeOverPartitions(cluster, parts.transactionalId, partitions, signal);
  const topicIds = new Map(metadata.topics.map(({ topic, topicId }) => [topic, topicId]));
  const producer = new Producer({ cluster, identity, partitions, topicIds, logger, timing: parts.timing });
  try {
    const state = await parts.readControl(signal);
    const term = state.term + 1;
    const tails = await parts.readTails(state, signal);
    throwIfForgotten(state, tails);
    const ends = [...tails].map(([partition, { endOffset: end, last }]) => [partition, { end, last }] as const);
    const records = termRecords({ term, who: parts.who, sinceMs: Date.now() }, ends);
    await new Promise<void>((resolve, reject) => {
      const encode = (numbered: Parameters<typeof encodeControlBatch>[1]) => encodeControlBatch(records, numbered, codec, Date.now());
      producer.add(control, records.length, encode, { stored: () => resolve(), failed: reject });
      producer.flush();
    });
    const { partitions: names, close, readTail, lost } = parts;
    lost.throwIfAborted();
    lost.addEventListener('abort', () => producer.end(asCrossfadeError(lost.reason)), { once: true });
    return new KafkaWriter({ producer, term, partitions: names, control, state, tails, codec, readTail, close });
  } catch (error) {
    await producer[Symbol.asyncDispose]();
    signal.throwIfAborted();
    throw error;
  }
}

/**
 * Throws LOG_LOST_HISTORY where records were deleted before a complete record, or a new leader, took note of them: which rows
 * they were nobody knows, and written again behind newer ones they would go backwards. Whoever vouches once a second loses
 * none to retention; a person who deletes records, behind a capture that was killed, may.
 */
function throwIfForgotten(state: ControlState, tails: ReadonlyMap<PartitionId, PartitionState>): void {
  for (const [partition, { startOffset, last }] of tails) {
    const known = state.floor(partition)?.end ?? 0;
    if (startOffset > known && (last === undefined || last.offset < known)) throw unvouchedDeleted(partition, known, startOffset);
  }
}

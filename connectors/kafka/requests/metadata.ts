/** Metadata v10: the first with topic ids, which tell one life of a topic from the next (Kafka 2.8 and later). */
import { RequestWriter, ResponseReader } from './bytes.ts';
import type { KafkaRequest } from './request.ts';

export interface BrokerAddress {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}
interface PartitionMetadata {
  readonly errorCode: number;
  readonly partition: number;
  /** -1 while none is elected. */
  readonly leader: number;
  readonly replicas: readonly number[];
  readonly inSync: readonly number[];
}
export interface TopicMetadata {
  readonly errorCode: number;
  readonly topic: string;
  /** 32 hexadecimal digits. */
  readonly topicId: string;
  readonly partitions: readonly PartitionMetadata[];
}
export interface ClusterMetadata {
  readonly brokers: readonly BrokerAddress[];
  readonly controllerId: number;
  readonly topics: readonly TopicMetadata[];
}

const noId = Buffer.alloc(16);

/** No topics: only brokers and controller. */
export function metadataRequest(topics: readonly string[]): KafkaRequest<ClusterMetadata> {
  return {
    apiKey: 3,
    apiVersion: 10,
    apiName: 'Metadata',
    encode: () => {
      const out = new RequestWriter().noTags();
      out.compactArray(topics, (topic) => out.raw(noId).compactString(topic).noTags());
      return out.boolean(false).boolean(false).boolean(false).noTags().toBuffer();
    },
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.skipTags();
      from.int32();
      const brokers = from.compactArray(() => readBroker(from));
      from.compactString();
      const controllerId = from.int32();
      return { brokers, controllerId, topics: from.compactArray(() => readTopic(from)) };
    },
  };
}

function readBroker(from: ResponseReader): BrokerAddress {
  const nodeId = from.int32();
  const host = from.compactString() ?? '';
  const port = from.int32();
  from.compactString();
  from.skipTags();
  return { nodeId, host, port };
}

function readTopic(from: ResponseReader): TopicMetadata {
  const errorCode = from.int16();
  const topic = from.compactString() ?? '';
  const topicId = from.raw(16).toString('hex');
  from.boolean();
  const partitions = from.compactArray(() => readPartition(from));
  from.int32();
  from.skipTags();
  return { errorCode, topic, topicId, partitions };
}

function readPartition(from: ResponseReader): PartitionMetadata {
  const errorCode = from.int16();
  const partition = from.int32();
  const leader = from.int32();
  from.int32();
  const replicas = from.compactArray(() => from.int32());
  const inSync = from.compactArray(() => from.int32());
  from.compactArray(() => from.int32());
  from.skipTags();
  return { errorCode, partition, leader, replicas, inSync };
}

/** What a fence is made of: a producer id of a new epoch, and a transaction over every partition that is aborted at once. */
import { RequestWriter, ResponseReader } from './bytes.ts';
import { type KafkaRequest, throwOnError, type TopicPartitions } from './request.ts';

export interface ProducerIdentity {
  readonly id: bigint;
  readonly epoch: number;
}

/** InitProducerId v1: the same id with the next epoch each time, so that whoever held it before is fenced. */
export function initProducerIdRequest(transactionalId: string, timeoutMs: number): KafkaRequest<ProducerIdentity> {
  return {
    apiKey: 22,
    apiVersion: 1,
    apiName: 'InitProducerId',
    encode: () => new RequestWriter().string(transactionalId).int32(timeoutMs).toBuffer(),
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      throwOnError(from.int16(), 'InitProducerId');
      return { id: from.int64(), epoch: from.int16() };
    },
  };
}

export interface PartitionAnswer {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
}

/** AddPartitionsToTxn v0. All or nothing: where one partition is refused, the others are answered 55. */
export function addPartitionsRequest(
  transactionalId: string,
  producer: ProducerIdentity,
  topics: readonly TopicPartitions[],
): KafkaRequest<PartitionAnswer[]> {
  return {
    apiKey: 24,
    apiVersion: 0,
    apiName: 'AddPartitionsToTxn',
    encode: () => {
      const out = new RequestWriter().string(transactionalId).int64(producer.id).int16(producer.epoch);
      out.array(topics, ({ topic, partitions }) => out.string(topic).array(partitions, (partition) => out.int32(partition)));
      return out.toBuffer();
    },
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      return from
        .array(() => {
          const topic = from.string() ?? '';
          return from.array(() => ({ topic, partition: from.int32(), errorCode: from.int16() }));
        })
        .flat();
    },
  };
}

/** EndTxn v1, always an abort. Its answer comes before the markers are in the partitions: see `transactionStateRequest`. */
export function abortRequest(transactionalId: string, producer: ProducerIdentity): KafkaRequest<void> {
  return {
    apiKey: 26,
    apiVersion: 1,
    apiName: 'EndTxn',
    encode: () => new RequestWriter().string(transactionalId).int64(producer.id).int16(producer.epoch).boolean(false).toBuffer(),
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      throwOnError(from.int16(), 'EndTxn');
    },
  };
}

export interface TransactionState extends ProducerIdentity {
  /** `CompleteAbort` once every partition has its marker on all in-sync replicas. */
  readonly state: string;
}

/** DescribeTransactions v0 (Kafka 3.0 and later). */
export function transactionStateRequest(transactionalId: string): KafkaRequest<TransactionState> {
  return {
    apiKey: 65,
    apiVersion: 0,
    apiName: 'DescribeTransactions',
    encode: () => {
      const out = new RequestWriter().noTags();
      return out
        .compactArray([transactionalId], (id) => out.compactString(id))
        .noTags()
        .toBuffer();
    },
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.skipTags();
      from.int32();
      const [state] = from.compactArray(() => readState(from));
      if (!state) throw new RangeError('the answer names no transaction');
      return state;
    },
  };
}

function readState(from: ResponseReader): TransactionState {
  throwOnError(from.int16(), 'DescribeTransactions');
  from.compactString();
  const state = from.compactString() ?? '';
  from.int32();
  from.int64();
  const id = from.int64();
  const epoch = from.int16();
  from.compactArray(() => {
    from.compactString();
    from.compactArray(() => from.int32());
    from.skipTags();
  });
  from.skipTags();
  return { id, epoch, state };
}

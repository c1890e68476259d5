/** ListOffsets v2: where partitions begin and end. The end is the one that readers see: what is on every in-sync replica. */
import { RequestWriter, ResponseReader } from './bytes.ts';
import type { KafkaRequest, TopicPartitions } from './request.ts';

/** `end` is the offset of the next record. */
export type OffsetQuestion = 'start' | 'end';
const timestamps = { start: -2n, end: -1n } as const;

export interface ListedOffset {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly offset: number;
}

export function listOffsetsRequest(question: OffsetQuestion, topics: readonly TopicPartitions[]): KafkaRequest<ListedOffset[]> {
  return {
    apiKey: 2,
    apiVersion: 2,
    apiName: 'ListOffsets',
    encode: () => {
      const out = new RequestWriter().int32(-1).int8(0);
      out.array(topics, ({ topic, partitions }) =>
        out.string(topic).array(partitions, (partition) => out.int32(partition).int64(timestamps[question])),
      );
      return out.toBuffer();
    },
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      return from.array(() => readTopic(from)).flat();
    },
  };
}

function readTopic(from: ResponseReader): ListedOffset[] {
  const topic = from.string() ?? '';
  return from.array(() => {
    const partition = from.int32();
    const errorCode = from.int16();
    from.int64();
    return { topic, partition, errorCode, offset: Number(from.int64()) };
  });
}

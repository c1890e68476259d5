/** Produce v7 (the first that may carry zstd): one finished batch for each of any number of partitions, to their leader. */
import { RequestWriter, ResponseReader } from './bytes.ts';
import type { KafkaRequest } from './request.ts';

export interface ProducedBatch {
  readonly topic: string;
  readonly partition: number;
  readonly bytes: Uint8Array;
}
export interface ProduceAnswer {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  /** -1 where the broker had it already (code 46) or refused it. */
  readonly baseOffset: number;
}

/** Each partition once. `timeoutMs`: how long the leader may wait for its replicas. */
export function produceRequest(batches: readonly ProducedBatch[], timeoutMs: number): KafkaRequest<ProduceAnswer[]> {
  return {
    apiKey: 0,
    apiVersion: 7,
    apiName: 'Produce',
    encode: () => {
      const byTopic = Map.groupBy(batches, ({ topic }) => topic);
      const out = new RequestWriter().string(null).int16(-1).int32(timeoutMs);
      out.array([...byTopic], ([topic, parts]) =>
        out.string(topic).array(parts, ({ partition, bytes }) => out.int32(partition).bytes(bytes)),
      );
      return out.toPieces();
    },
    decode: (answer) => {
      const from = new ResponseReader(answer);
      return from.array(() => readTopic(from)).flat();
    },
  };
}

function readTopic(from: ResponseReader): ProduceAnswer[] {
  const topic = from.string() ?? '';
  return from.array(() => {
    const partition = from.int32();
    const errorCode = from.int16();
    const baseOffset = Number(from.int64());
    from.int64();
    from.int64();
    return { topic, partition, errorCode, baseOffset };
  });
}

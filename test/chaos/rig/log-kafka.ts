/** The log on Kafka from outside: every row topic of a pipeline, straight from the broker. */
import { codec } from '../../../src/codec.ts';
import { decodeRecordBatch } from '../../../src/core/record-batch-reader.ts';
import { Broker, type TopicPartition } from './kafka-broker.ts';
import type { LogView, PartitionRecords, WrittenRecord } from './log-view.ts';

/** Topics of the pipeline that hold no rows. */
const others = ['control', 'requests', 'quarantine', 'notes'];

export function kafkaView(address: string, pipeline: string): LogView {
  const rowPartitions = async (broker: Broker) => {
    const own = (topic: string) => topic.startsWith(`${pipeline}.`) && !others.includes(topic.slice(pipeline.length + 1));
    return (await broker.partitions()).filter(({ topic }) => own(topic));
  };
  return {
    kind: 'kafka',
    setting: `{ kafka: '${address}' }`,
    captured: async () => {
      using broker = await Broker.connect(address);
      const ends = await broker.endOffsets(await rowPartitions(broker));
      return ends.reduce((sum, { end }) => sum + end, 0);
    },
    records: async () => {
      using broker = await Broker.connect(address);
      const ends = await broker.endOffsets(await rowPartitions(broker));
      const all: PartitionRecords[] = [];
      for (const { at, end } of ends) if (end > 0) all.push(await recordsOf(broker, at, end));
      return all;
    },
  };
}

const controlBit = 0x20;

async function recordsOf(broker: Broker, at: TopicPartition, end: number): Promise<PartitionRecords> {
  const partition = `${at.topic}#${at.partition}`;
  const records: WrittenRecord[] = [];
  const markers: number[] = [];
  for (let next = 0; next < end;) {
    const from = next;
    for (const batch of batchesOf(await broker.fetch(at, next))) {
      const base = Number(batch.readBigInt64BE(0));
      const last = base + batch.readInt32BE(23);
      if (last < next) continue;
      if (batch.readInt16BE(21) & controlBit) for (let offset = base; offset <= last; offset += 1) markers.push(offset);
      else for (const { offset, version, term } of decodeRecordBatch(batch, codec, partition)) records.push({ offset, version, term });
      next = last + 1;
    }
    if (next === from) throw new Error(`${partition} has nothing at ${from}, below its end ${end}`);
  }
  return { partition, records, markers };
}

/** A fetch answers whole batches, but for the last, which may be cut. */
function* batchesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at + 12 <= bytes.length;) {
    const size = 12 + bytes.readInt32BE(at + 8);
    if (at + size > bytes.length) return;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

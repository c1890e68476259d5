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
  const counts = new Map<string, Counted>();
  return {
    kind: 'kafka',
    setting: `{ kafka: '${address}' }`,
    captured: async (topic) => {
      using broker = await Broker.connect(address);
      const all = (await rowPartitions(broker)).filter((at) => topic === undefined || at.topic === topic);
      let sum = 0;
      for (const { at, end } of await broker.endOffsets(all)) {
        const partition = `${at.topic}#${at.partition}`;
        const before = counts.get(partition);
        // A partition that ends below what was seen has another life: it is counted anew.
        const counted = await countOn(broker, at, end, before !== undefined && before.next <= end ? before : { next: 0, records: 0 });
        counts.set(partition, counted);
        sum += counted.records;
      }
      return sum;
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
const isControl = (batch: Buffer) => (batch.readInt16BE(21) & controlBit) !== 0;
const lastOffsetOf = (batch: Buffer) => Number(batch.readBigInt64BE(0)) + batch.readInt32BE(23);

interface Counted {
  /** Where counting goes on. */
  readonly next: number;
  readonly records: number;
}

/** Rows alone: the end of a partition moves with every marker of a takeover too, which writes no row. */
async function countOn(broker: Broker, at: TopicPartition, end: number, from: Counted): Promise<Counted> {
  let { next, records } = from;
  for await (const batch of batchesFrom(broker, at, next, end)) {
    if (!isControl(batch)) records += batch.readInt32BE(57);
    next = lastOffsetOf(batch) + 1;
  }
  return { next, records };
}

/** Whole batches up to `end`, each once. */
async function* batchesFrom(broker: Broker, at: TopicPartition, from: number, end: number): AsyncGenerator<Buffer> {
  for (let next = from; next < end;) {
    const asked = next;
    for (const batch of batchesOf(await broker.fetch(at, next))) {
      if (lastOffsetOf(batch) < next) continue;
      next = lastOffsetOf(batch) + 1;
      yield batch;
    }
    if (next === asked) throw new Error(`${at.topic}#${at.partition} has nothing at ${asked}, below its end ${end}`);
  }
}

async function recordsOf(broker: Broker, at: TopicPartition, end: number): Promise<PartitionRecords> {
  const partition = `${at.topic}#${at.partition}`;
  const records: WrittenRecord[] = [];
  const markers: number[] = [];
  for await (const batch of batchesFrom(broker, at, 0, end)) {
    if (!isControl(batch))
      for (const { offset, version, term } of decodeRecordBatch(batch, codec, partition)) records.push({ offset, version, term });
    else for (let offset = Number(batch.readBigInt64BE(0)); offset <= lastOffsetOf(batch); offset += 1) markers.push(offset);
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

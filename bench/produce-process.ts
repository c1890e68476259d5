/** The writing side of the Kafka log alone, in a process of its own: values from a file, each as a record with key and headers. */
import { readFileSync } from 'node:fs';

import { kafkaSchema } from '../connectors/kafka/config.ts';
import { openKafkaLog } from '../connectors/kafka/log.ts';
import { codec } from '../src/codec.ts';
import type { Append, Log, Writer } from '../src/core/log-port.ts';
import { partitionsOf } from '../src/core/partition.ts';
import { type Codec, RecordBatchBuilder } from '../src/core/record-batch.ts';
import { RowHeaders } from '../src/core/row-headers.ts';
import { versionPrefix } from '../src/core/version.ts';
import { answerParent } from './child.ts';
import type { Produced, ProduceTask } from './produce.ts';

const batchBytes = 512 * 1024;
/** Appends that are not acknowledged yet. */
const outstanding = 4;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

async function produce({ url, name, partitions, compression, payloads, records, warmUpRecords }: ProduceTask): Promise<Produced> {
  const values = readFileSync(payloads, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Buffer.from(line));
  const stream = { topic: `bench-${name}.rows`, partitions };
  const plain: Codec = { ...codec, compress: (bytes) => bytes, compressLater: async (bytes) => bytes };
  const options = { pipeline: `bench-${name}`, streams: [stream], codec: compression === 'zstd' ? codec : plain, logger: quiet };
  await using log = await openKafkaLog(kafkaSchema.parse(url), options);
  await using writer = await log.lead(AbortSignal.timeout(60_000));
  await append(writer, partitionsOf(stream), values, { from: 0, to: warmUpRecords });
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  await append(writer, partitionsOf(stream), values, { from: warmUpRecords, to: warmUpRecords + records });
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const rssMb = process.resourceUsage().maxRSS / 1024;
  return { rate: records / seconds, cpuUs: (user + system) / records, rssMb, isRight: (await held(log)) === warmUpRecords + records };
}

/** Every record with its key and headers, as capture writes it; batches of each partition in turn. */
async function append(
  writer: Writer,
  partitions: readonly string[],
  values: readonly Buffer[],
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  const spare: RecordBatchBuilder[] = [];
  const pending: Promise<void>[] = [];
  const headers = new RowHeaders(writer.term, 'a1b2c3d4');
  headers.transaction(versionPrefix({ epoch: 1, file: 1, offset: 4 }), 1_000_000);
  const keys = values.map((_, n) => Buffer.from(`{"id":${n}}`));
  for (let n = from; n < to;) {
    const appends: Append[] = [];
    for (const partition of partitions) {
      const batch = spare.pop() ?? new RecordBatchBuilder();
      for (; n < to && batch.bytes < batchBytes; n += 1) {
        headers.row(n, 2);
        const each = n % values.length;
        batch.add(1_700_000_000_000, keys[each] as Buffer, values[each] as Buffer, headers, 'gtid:1');
      }
      if (batch.count > 0) appends.push({ partition, batch });
    }
    const done = writer.append(appends).then(() => {
      for (const { batch } of appends) {
        batch.reset();
        spare.push(batch);
      }
    });
    pending.push(done);
    if (pending.length >= outstanding) await pending.shift();
  }
  await Promise.all(pending);
}

/** What is there to read, without the mark that each partition has of the takeover. */
async function held(log: Log): Promise<number> {
  const { partitions } = await log.state();
  return partitions.values().reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset - 1, 0);
}

answerParent(produce);

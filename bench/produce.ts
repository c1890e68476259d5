/** The writing side of the Kafka log alone, beside Kafka's own ProducerPerformance: the same values to the same broker, in turns. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { kafkaSchema } from '../connectors/kafka/config.ts';
import { openKafkaLog } from '../connectors/kafka/log.ts';
import { codec } from '../src/codec.ts';
import type { Append, Log, Writer } from '../src/core/log-port.ts';
import { partitionsOf } from '../src/core/partition.ts';
import { type Codec, RecordBatchBuilder } from '../src/core/record-batch.ts';
import { EncodedHeaders } from '../src/core/record-headers.ts';
import { versionOf, versionPrefix } from '../src/core/version.ts';
import { run } from '../stack/command.ts';
import { kafkaTool } from '../stack/kafka.ts';
import { startStack } from '../stack/stack.ts';
import { figure, type Figure } from './figure.ts';
import type { Say } from './say.ts';

interface Case {
  readonly name: string;
  readonly partitions: number;
  readonly compression: 'zstd' | 'none';
}
const cases: readonly Case[] = [
  { name: 'zstd_1_partition', partitions: 1, compression: 'zstd' },
  { name: 'zstd_12_partitions', partitions: 12, compression: 'zstd' },
  { name: 'plain_1_partition', partitions: 1, compression: 'none' },
];
/** Pairs of runs; the medians are compared. */
const rounds = 3;
const batchBytes = 512 * 1024;
/** Appends that are not acknowledged yet. */
const outstanding = 4;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export async function produceFigures({ scale, say, add }: { scale: number; say: Say; add: (figure: Figure) => void }): Promise<void> {
  await using stack = await startStack({ servers: ['kafka'], log: (line) => say.line(line), isPrivate: true });
  const records = Math.max(20_000, Math.round(1_000_000 * scale));
  const folder = mkdtempSync(join(tmpdir(), 'crossfade-bench-produce-'));
  try {
    const values = changeEvents(5000);
    const payloads = join(folder, 'values.txt');
    writeFileSync(payloads, values.map((value) => `${value.toString()}\n`).join(''));
    for (const each of cases) {
      const ours: Produced[] = [];
      const peers: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        ours.push(await say.during(`produce, ${each.name}`, () => produce(stack.urls.kafka, each, `r${round}`, values, records)));
        peers.push(
          await say.during(`reference: ProducerPerformance, ${each.name}`, () =>
            peerRate(stack.urls.kafka, each, `r${round}`, payloads, records),
          ),
        );
      }
      const reference = { name: 'ProducerPerformance', value: median(peers) };
      const name = `produce.${each.name}`;
      const isRight = ours.every((one) => one.isRight);
      add(figure({ name: `${name}.rate`, value: median(ours.map(({ rate }) => rate)), unit: 'changes/s', reference, isRight }));
      add(figure({ name: `${name}.cpu`, value: median(ours.map(({ cpuUs }) => cpuUs)), unit: 'µs/change' }));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Produced {
  readonly rate: number;
  readonly cpuUs: number;
  readonly isRight: boolean;
}

async function produce(
  url: string,
  { name, partitions, compression }: Case,
  round: string,
  values: readonly Buffer[],
  records: number,
): Promise<Produced> {
  const stream = { topic: `bench-${name}-${round}.rows`, partitions };
  const plain: Codec = { ...codec, compress: (bytes) => bytes };
  const options = { pipeline: `bench-${name}-${round}`, streams: [stream], codec: compression === 'zstd' ? codec : plain, logger: quiet };
  await using log = await openKafkaLog(kafkaSchema.parse(url), options);
  await using writer = await log.lead(AbortSignal.timeout(60_000));
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  await append(writer, partitionsOf(stream), values, records);
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { rate: records / seconds, cpuUs: (user + system) / records, isRight: (await held(log)) === records };
}

/** Every record with its key and headers, as capture writes it; batches of each partition in turn. */
async function append(writer: Writer, partitions: readonly string[], values: readonly Buffer[], records: number): Promise<void> {
  const spare: RecordBatchBuilder[] = [];
  const pending: Promise<void>[] = [];
  const headers = EncodedHeaders.of(writer.term, 1_000_000, 'a1b2c3d4');
  const prefix = versionPrefix({ epoch: 1, file: 1, offset: 4 });
  for (let n = 0; n < records;) {
    const appends: Append[] = [];
    for (const partition of partitions) {
      const batch = spare.pop() ?? new RecordBatchBuilder();
      for (; n < records && batch.bytes < batchBytes; n += 1) {
        headers.version = versionOf(prefix, n, 2);
        batch.add(1_700_000_000_000, Buffer.from(`{"id":${n}}`), values[n % values.length] as Buffer, headers, 'gtid:1');
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

/** Records a second, as it says itself; tuned as its users do. */
async function peerRate(
  url: string,
  { name, partitions, compression }: Case,
  round: string,
  payloads: string,
  records: number,
): Promise<number> {
  const topic = `peer-${name}-${round}`;
  await run(
    await kafkaTool('org.apache.kafka.tools.TopicCommand', [
      '--bootstrap-server',
      url,
      '--create',
      '--topic',
      topic,
      '--partitions',
      String(partitions),
    ]),
  );
  const properties = [
    `bootstrap.servers=${url}`,
    'acks=all',
    'batch.size=524288',
    'linger.ms=5',
    `compression.type=${compression}`,
    'compression.zstd.level=1',
    'buffer.memory=134217728',
  ];
  const args = [
    '--topic',
    topic,
    '--num-records',
    String(records),
    '--throughput',
    '-1',
    '--payload-file',
    payloads,
    '--producer-props',
    ...properties,
  ];
  const said = await run(await kafkaTool('org.apache.kafka.tools.ProducerPerformance', args));
  const rate = /^\d+ records sent, ([\d.]+) records\/sec/gm;
  const last = [...said.matchAll(rate)].at(-1)?.[1];
  if (last === undefined) throw new Error(`ProducerPerformance said no rate:\n${said.slice(-500)}`);
  return Number(last);
}

/** What Debezium's envelope of a small order looks like, about 500 bytes, no two alike. */
function changeEvents(count: number): Buffer[] {
  return Array.from({ length: count }, (_, n) => {
    const after = {
      id: n,
      customer_id: (n * 7919) % 100_003,
      sku: `SKU-${(n * 104_729) % 999_983}`,
      title: `Order number ${n}`,
      status: ['new', 'paid', 'sent'][n % 3],
      amount: ((n * 31) % 10_000) / 100,
      quantity: n % 9,
      note: null,
    };
    const source = {
      version: '0.1.0',
      connector: 'mysql',
      name: 'bench',
      ts_ms: 1_700_000_000_000 + n,
      db: 'shop',
      table: 'orders',
      server_id: 1,
      gtid: `3e11fa47-71ca-11e1-9e33-c80aa9429562:${n}`,
      file: 'binlog.000002',
      pos: 4 + n * 300,
      row: n % 10,
    };
    return Buffer.from(
      JSON.stringify({
        before: null,
        after,
        source,
        transaction: { id: source.gtid, total_order: 1, data_collection_order: 1 },
        op: 'c',
        ts_ms: source.ts_ms,
      }),
    );
  });
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** The writing side of the Kafka log beside Kafka's own ProducerPerformance: the same values to the same broker, in turns. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run } from '../stack/command.ts';
import { kafkaTool } from '../stack/kafka.ts';
import { inChild } from './child.ts';
import { figure, type Figure } from './figure.ts';
import { leastOfProducer, rssMbMax } from './floors.ts';
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

export interface ProduceTask extends Case {
  readonly url: string;
  /** A file with one value a line. */
  readonly payloads: string;
  /** Come first and do not count: connections, metadata and compiled code are there for both. */
  readonly warmUpRecords: number;
  /** That count. */
  readonly records: number;
}

const warmUpRecords = 50_000;

export interface Produced {
  /** Records a second. */
  readonly rate: number;
  /** A record. */
  readonly cpuUs: number;
  readonly rssMb: number;
  /** The log holds what was sent. */
  readonly isRight: boolean;
}

/** A B B A: whoever comes first finds the broker cold, and a machine that slows down meets both alike. */
const turns = ['ours', 'peer', 'peer', 'ours', 'ours', 'peer', 'peer', 'ours'] as const;

export interface ProduceOptions {
  readonly url: string;
  readonly scale: number;
  readonly holdsFloors: boolean;
  readonly say: Say;
  readonly add: (figure: Figure) => void;
}

export async function produceFigures({ url, scale, holdsFloors, say, add }: ProduceOptions): Promise<void> {
  const records = Math.max(20_000, Math.round(1_000_000 * scale));
  const folder = mkdtempSync(join(tmpdir(), 'crossfade-bench-produce-'));
  const payloads = join(folder, 'values.txt');
  try {
    writeFileSync(
      payloads,
      changeEvents(5000)
        .map((value) => `${value}\n`)
        .join(''),
    );
    for (const each of cases) {
      const ours: Produced[] = [];
      const peers: number[] = [];
      for (const [turn, who] of turns.entries()) {
        // Each run has topics of its own: what lies there already must not slow down the one that comes later.
        const task: ProduceTask = { ...each, name: `${each.name}-${turn}`, url, payloads, warmUpRecords, records };
        if (who === 'peer') peers.push(await say.during(`reference: ProducerPerformance, ${each.name}`, () => peerRate(task)));
        else ours.push(await say.during(`produce, ${each.name}`, () => produce(task)));
      }
      const peer = middle(peers);
      const isRight = ours.every((one) => one.isRight);
      const name = `produce.${each.name}`;
      const reference = { name: 'ProducerPerformance', value: peer };
      const floor = holdsFloors ? leastOfProducer * peer : undefined;
      add(figure({ name: `${name}.rate`, value: middle(ours.map(({ rate }) => rate)), unit: 'changes/s', reference, isRight, floor }));
      add(figure({ name: `${name}.cpu`, value: middle(ours.map(({ cpuUs }) => cpuUs)), unit: 'µs/change' }));
      const rssMb = Math.max(...ours.map((one) => one.rssMb));
      add(figure({ name: `${name}.rss`, value: rssMb, unit: 'MB', floor: holdsFloors ? rssMbMax : undefined }));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const produce = (task: ProduceTask): Promise<Produced> => inChild(new URL('produce-process.ts', import.meta.url), 'the producer', task);

/** Records a second behind its warm-up, as it says itself; tuned as its users do. */
async function peerRate({ url, name, partitions, compression, payloads, records, warmUpRecords: warmUp }: ProduceTask): Promise<number> {
  const topic = `peer-${name}`;
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
    String(warmUp + records),
    '--warmup-records',
    String(warmUp),
    '--throughput',
    '-1',
    '--payload-file',
    payloads,
    '--producer-props',
    ...properties,
  ];
  const said = await run(await kafkaTool('org.apache.kafka.tools.ProducerPerformance', args));
  const rate = steadyRateIn(said);
  if (rate === undefined) throw new Error(`ProducerPerformance said no rate behind its warm-up:\n${said.slice(-500)}`);
  return rate;
}

/** Its last line about what came behind the warm-up; what it says of the whole run has its start in it. */
export function steadyRateIn(said: string): number | undefined {
  const last = [...said.matchAll(/^\d+ steady state records sent, ([\d.]+) records\/sec/gm)].at(-1)?.[1];
  return last === undefined ? undefined : Number(last);
}

/** What Debezium's envelope of a small order looks like, about 500 bytes, no two alike. */
function changeEvents(count: number): string[] {
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
    return JSON.stringify({
      before: null,
      after,
      source,
      transaction: { id: source.gtid, total_order: 1, data_collection_order: 1 },
      op: 'c',
      ts_ms: source.ts_ms,
    });
  });
}

/** Half of the runs are above it, half below. */
function middle(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)] ?? 0, sorted[Math.floor(sorted.length / 2)] ?? 0];
  return (low + high) / 2;
}

/** A process of its own on a Kafka log, to be killed and frozen by log-kafka-processes.test.ts; the parent plays the target. */
import { openKafkaLog } from '../../connectors/kafka/log.ts';
import type { Timing } from '../../connectors/kafka/settings.ts';
import { codec } from '../../src/codec.ts';
import { asCrossfadeError } from '../../src/core/errors.ts';
import type { Log, PartitionId, StreamSpec } from '../../src/core/log-port.ts';
import { kafkaSettings } from './kafka-harness.ts';
import { numberOf, rows } from './log-rows.ts';
import { quiet } from './sqlite-harness.ts';

export interface KafkaChildOrder {
  readonly brokers: string;
  readonly prefix: string;
  readonly work: 'lead' | 'read';
  readonly stream: StreamSpec;
  readonly timing: Partial<Timing>;
}
/** What the child tells; `claim` is answered with where each partition goes on. */
export type ChildNews =
  | { readonly kind: 'claim'; readonly partitions: readonly PartitionId[] }
  | { readonly kind: 'delivered'; readonly partition: PartitionId; readonly numbers: readonly number[]; readonly nextOffset: number }
  | { readonly kind: 'leads'; readonly term: number }
  | { readonly kind: 'appended' }
  | { readonly kind: 'failed'; readonly code: string };
export type ParentAnswer =
  | { readonly kind: 'places'; readonly offsets: readonly (readonly [PartitionId, number])[] }
  | { readonly kind: 'append'; readonly partition: PartitionId; readonly number: number }
  | { readonly kind: 'dispose' };

const order = JSON.parse(process.argv[2] ?? '{}') as KafkaChildOrder;
const tell = (news: ChildNews) => void process.send?.(news);
const never = new AbortController().signal;
const listeners = new Set<(answer: ParentAnswer) => void>();
process.on('message', (answer: ParentAnswer) => {
  for (const listener of listeners) listener(answer);
});

async function lead(log: Log): Promise<void> {
  const writer = await log.lead(never);
  tell({ kind: 'leads', term: writer.term });
  listeners.add((answer) => {
    if (answer.kind !== 'append') return;
    const { partition, number } = answer;
    writer.append([{ partition, batch: rows(number, number + 1, { term: writer.term }) }]).then(
      () => tell({ kind: 'appended' }),
      (error: unknown) => tell({ kind: 'failed', code: asCrossfadeError(error).code }),
    );
  });
}

async function read(log: Log): Promise<void> {
  const claim = async (partitions: readonly PartitionId[]) => {
    const places = new Promise<ParentAnswer & { kind: 'places' }>((resolve) => {
      const listener = (answer: ParentAnswer) => {
        if (answer.kind !== 'places') return;
        listeners.delete(listener);
        resolve(answer);
      };
      listeners.add(listener);
    });
    tell({ kind: 'claim', partitions });
    return new Map((await places).offsets.map(([partition, offset]) => [partition, { offset, term: 0 }]));
  };
  for await (const { partition, records, nextOffset } of log.read('g', claim, never))
    tell({ kind: 'delivered', partition, numbers: records.map(numberOf), nextOffset });
}

const { brokers, prefix, stream, timing } = order;
const options = { pipeline: 'shop', streams: [stream], codec, logger: quiet, timing };
const log = await openKafkaLog(kafkaSettings(brokers, prefix), options);
listeners.add((answer) => {
  // Whoever says goodbye ends by itself: nothing of the log may keep a process alive.
  if (answer.kind === 'dispose') void log[Symbol.asyncDispose]().then(() => process.disconnect());
});
process.on('disconnect', () => process.removeAllListeners());
await { lead, read }[order.work](log).catch((error: unknown) => {
  if (asCrossfadeError(error).code !== 'LOG_UNREACHABLE') throw error;
});

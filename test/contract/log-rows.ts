/** Rows for the log's tests: what a capture would append, and what of it a reader must see again. */
import type { TableSchema } from '../../src/core/change.ts';
import type { Delivery, Log, LogRecord, Offsets, PartitionId, ReadPlaces } from '../../src/core/log-port.ts';
import type { Pauses } from '../../src/core/pauses.ts';
import { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import { barrierHeader, EncodedHeaders } from '../../src/core/record-headers.ts';
import { versionOf, versionPrefix } from '../../src/core/version.ts';

export const peopleSchema: TableSchema = {
  id: 'a1b2c3d4',
  table: { database: 'shop', table: 'people' },
  columns: [{ name: 'id', kind: 'integer', nullable: false, type: 'int', bits: 32, unsigned: false }],
  key: ['id'],
};

export const versionAt = (n: number) => versionOf(versionPrefix({ epoch: 1, file: 1, offset: n }), 0, 2);
export const transactionAt = (n: number) => `gtid:${n}`;

/** One batch of the rows `from` to `to` (not included), each a transaction of its own, keyed and valued by its number. */
export function rows(from: number, to: number, { term = 1, valueBytes = 0 } = {}): RecordBatchBuilder {
  const batch = new RecordBatchBuilder();
  for (let n = from; n < to; n += 1) {
    const headers = EncodedHeaders.of(term, n * 1000, peopleSchema.id);
    headers.version = versionAt(n);
    batch.add(n, keyOf(n), Buffer.from(valueOf(n).padEnd(valueBytes, ' ')), headers, transactionAt(n));
  }
  return batch;
}

/** As an envelope does, it names its transaction: a log may have no other place to find it. */
export const valueOf = (n: number) => `{"n":${n},"transaction":{"id":"${transactionAt(n)}"}}`;

/** The second record of a delete, of the transaction that the first one belongs to. */
export function tombstone(n: number, term = 1, transactionId = transactionAt(n)): RecordBatchBuilder {
  const batch = new RecordBatchBuilder();
  const headers = EncodedHeaders.of(term, n * 1000, peopleSchema.id);
  headers.version = versionAt(n);
  batch.add(n, keyOf(n), null, headers, transactionId);
  return batch;
}

/** A TRUNCATE: a record without a key, which says in how many partitions it is. */
export function barrier(n: number, partitions: number, term = 1): RecordBatchBuilder {
  const batch = new RecordBatchBuilder();
  const headers = EncodedHeaders.of(term, n * 1000, peopleSchema.id, [barrierHeader(partitions)]);
  headers.version = versionAt(n);
  batch.add(n, null, Buffer.from(`{"n":${n}}`), headers, transactionAt(n));
  return batch;
}

const keyOf = (n: number) => Buffer.from(`{"id":${n}}`);

/** The row's number, from its key. */
export function numberOf(record: LogRecord): number {
  return Number(/^\{"id":(\d+)\}$/.exec(Buffer.from(record.key ?? []).toString())?.[1]);
}

export const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** Waits for a condition, never for a time; the deadline only ends a wait that would never end. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, deadlineMs = 60_000): Promise<void> {
  const endMs = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > endMs) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A reader in the background that notes everything: what it claimed and what it was delivered. */
export class Consumer {
  readonly claims: (readonly PartitionId[])[] = [];
  readonly deliveries: Delivery[] = [];
  readonly #stop = new AbortController();
  readonly ended: Promise<unknown>;
  error: unknown;

  /** `progress` plays the target: where each partition goes on; moved with every delivery, also by other consumers. */
  constructor(log: Log, group: string, progress: Map<PartitionId, number> = new Map(), term = 0, pauses?: Pauses) {
    const claim = async (partitions: readonly PartitionId[]): Promise<ReadPlaces> => {
      this.claims.push([...partitions]);
      return new Map(partitions.map((partition) => [partition, { offset: progress.get(partition) ?? 0, term }]));
    };
    this.ended = (async () => {
      for await (const delivery of log.read(group, claim, this.#stop.signal, pauses)) {
        this.deliveries.push(delivery);
        progress.set(delivery.partition, delivery.nextOffset);
      }
    })().catch((error: unknown) => {
      this.error = error;
    });
  }

  /** The rows of one partition, or of all, in the order of delivery. */
  numbers(partition?: PartitionId): number[] {
    return this.deliveries.flatMap((delivery) =>
      partition === undefined || delivery.partition === partition ? delivery.records.map(numberOf) : [],
    );
  }

  get claimed(): PartitionId[] {
    return this.claims.flat();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.ended;
  }
}

/** Reads until so many records have come, then stops. */
export async function collect(log: Log, offsets: Offsets, count: number): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  const stop = new AbortController();
  for await (const delivery of log.readFrom(offsets, stop.signal)) {
    records.push(...delivery.records);
    if (records.length >= count) stop.abort();
  }
  return records;
}

/**
 * Source rows → log records: envelope, version, partition; a key change becomes delete, tombstone and insert, a TRUNCATE
 * one record in every partition of its stream.
 */
import { EnvelopeWriter } from '../core/envelope.ts';
import type { TableSchema } from '../core/change.ts';
import { tableName } from '../core/change.ts';
import { invariant } from '../core/assert.ts';
import type { Append, PartitionId, StreamSpec, Writer } from '../core/log-port.ts';
import type { RowChange, Transaction } from '../core/source-port.ts';
import { partitionOf, partitionsOf } from '../core/partition.ts';
import { RecordBatchBuilder } from '../core/record-batch.ts';
import { barrierHeader, EncodedHeaders } from '../core/record-headers.ts';
import { type Half, versionOf } from '../core/version.ts';
import type { TailFilter } from './resume.ts';

/** `db.table` → the stream that carries it. */
export type Routing = ReadonlyMap<string, StreamSpec>;

interface Held {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
  /** Shared by all rows of the table in the transaction: the version is put in when they are written. */
  readonly headers: EncodedHeaders;
  readonly version: string;
}

interface Route {
  readonly ids: readonly PartitionId[];
  /** Rows of this table in the transaction so far. */
  transaction: Transaction | undefined;
  count: number;
}

/** More than the framing of one record in its batch, and the `open` header that a cut may add. */
const framingBytes = 64;

/**
 * Fills one builder per partition, and another where the log takes no larger batch; a batch that is cut inside a
 * transaction ends with an open record. In a transaction that comes in several parts, one record per partition is held back,
 * so that every record but the transaction's last carries the `open` header and a reader knows when it has all of it.
 */
export class Encoder {
  readonly #envelope: EnvelopeWriter;
  readonly #routing: Routing;
  readonly #term: number;
  readonly #filter: TailFilter;
  readonly #routes = new Map<TableSchema, Route>();
  readonly #batchBytesMax: number;
  /** Cut because they were full, oldest first. */
  readonly #full: Append[] = [];
  readonly #builders = new Map<PartitionId, RecordBatchBuilder>();
  readonly #spare: RecordBatchBuilder[] = [];
  readonly #held = new Map<PartitionId, Held>();
  #headersOf: { transaction: Transaction; schema: TableSchema; plain: EncodedHeaders } | undefined;
  #transaction: Transaction | undefined;
  #total = 0;
  #nowMs = 0;
  #open: Transaction | undefined;

  /** The writer's term and limit. */
  constructor(pipeline: string, routing: Routing, writer: Pick<Writer, 'term' | 'batchBytesMax'>, filter: TailFilter) {
    this.#envelope = new EnvelopeWriter(pipeline);
    this.#routing = routing;
    this.#term = writer.term;
    this.#batchBytesMax = writer.batchBytesMax;
    this.#filter = filter;
  }

  /** All changes of one source batch. `open`: the last transaction goes on in the next one. */
  add(changes: readonly RowChange[], open: boolean, nowMs: number): void {
    this.#nowMs = nowMs;
    const last = changes.at(-1)?.transaction;
    const openTransaction = open ? (last ?? this.#open) : undefined;
    for (const change of changes) {
      if (this.#open !== undefined && change.transaction !== this.#open) this.#release();
      if (change.transaction === openTransaction) this.#open = openTransaction;
      this.#change(change);
    }
    if (openTransaction === undefined) this.#release();
  }

  /** What was collected since the last call; give the builders back with `recycle` once they are durable. */
  take(): Append[] {
    const appends = this.#full.splice(0);
    for (const [partition, batch] of this.#builders) appends.push({ partition, batch });
    this.#builders.clear();
    return appends;
  }

  recycle(appends: readonly Append[]): void {
    for (const { batch } of appends) {
      batch.reset();
      this.#spare.push(batch);
    }
  }

  /** The open transaction ended: its last record in each partition is the one that is held. */
  #release(): void {
    for (const [partition, { key, value, headers, version }] of this.#held) {
      headers.version = version;
      this.#append(partition, key, value, headers, this.#open?.id ?? '');
    }
    this.#held.clear();
    this.#open = undefined;
  }

  #change(change: RowChange): void {
    const route = this.#route(change.schema);
    if (change.transaction !== this.#transaction) {
      this.#transaction = change.transaction;
      this.#total = 0;
    }
    if (change.transaction !== route.transaction) {
      route.transaction = change.transaction;
      route.count = 0;
    }
    if (change.op === 't') return this.#truncate(change, route);
    const next = () => ({ total: ++this.#total, collection: ++route.count });
    if (change.op === 'u' && change.oldKey !== null) {
      const toNew = ['__debezium.newkey', change.key] as const;
      const toOld = ['__debezium.oldkey', change.oldKey] as const;
      this.#record(change, route, change.oldKey, 0, () => this.#envelope.write(change, 'd', next(), this.#nowMs), toNew);
      this.#record(change, route, change.oldKey, 1, null, toNew);
      this.#record(change, route, change.key, 2, () => this.#envelope.write(change, 'c', next(), this.#nowMs), toOld);
    } else if (change.op === 'd') {
      this.#record(change, route, change.key, 0, () => this.#envelope.write(change, 'd', next(), this.#nowMs));
      this.#record(change, route, change.key, 1, null);
    } else {
      const op = change.op;
      this.#record(change, route, change.key, 2, () => this.#envelope.write(change, op, next(), this.#nowMs));
    }
  }

  #truncate(change: RowChange, { ids }: Route): void {
    const { transaction, ordinal } = change;
    invariant(transaction !== this.#open, 'a TRUNCATE is alone in its transaction');
    const value = this.#envelope.truncate(change, this.#nowMs);
    const headers = this.#headers(change, [barrierHeader(ids.length)]);
    headers.version = versionOf(transaction.versionPrefix, ordinal, 0);
    for (const partition of ids) {
      if (this.#filter.admits(partition, headers.version, transaction.id)) this.#append(partition, null, value, headers, transaction.id);
    }
  }

  #record(
    change: RowChange,
    route: Route,
    key: Uint8Array,
    half: Half,
    write: (() => Uint8Array) | null,
    extra?: readonly [string, Uint8Array],
  ): void {
    const partition = route.ids[partitionOf(key, route.ids.length)];
    invariant(partition !== undefined, 'a key has a partition');
    const version = versionOf(change.transaction.versionPrefix, change.ordinal, half);
    // The envelope is written even for a record that is dropped: its numbers count the dropped ones too.
    const value = write === null ? null : write();
    if (!this.#filter.admits(partition, version, change.transaction.id)) return;
    if (change.transaction !== this.#open) {
      const headers = extra === undefined ? this.#plainHeaders(change) : this.#headers(change, [extra]);
      headers.version = version;
      this.#append(partition, key, value, headers, change.transaction.id);
    } else this.#hold(partition, key, value, change, version, extra);
    this.#envelope.done();
  }

  #hold(
    partition: PartitionId,
    key: Uint8Array,
    value: Uint8Array | null,
    change: RowChange,
    version: string,
    extra?: readonly [string, Uint8Array],
  ): void {
    const before = this.#held.get(partition);
    if (before !== undefined) {
      const headers = before.headers.opened();
      headers.version = before.version;
      this.#append(partition, before.key, before.value, headers, change.transaction.id);
    }
    const headers = extra === undefined ? this.#plainHeaders(change) : this.#headers(change, [[extra[0], Buffer.from(extra[1])]]);
    // Copies: the row's memory belongs to its batch, the envelope's to the writer.
    this.#held.set(partition, { key: Buffer.from(key), value: value === null ? null : Buffer.from(value), headers, version });
  }

  #plainHeaders(change: RowChange): EncodedHeaders {
    const known = this.#headersOf;
    if (known !== undefined && known.transaction === change.transaction && known.schema === change.schema) return known.plain;
    const plain = this.#headers(change, []);
    this.#headersOf = { transaction: change.transaction, schema: change.schema, plain };
    return plain;
  }

  #headers(change: RowChange, extra: readonly (readonly [string, Uint8Array])[]): EncodedHeaders {
    return EncodedHeaders.of(this.#term, change.transaction.committedAtUs, change.schema.id, extra);
  }

  #append(partition: PartitionId, key: Uint8Array | null, value: Uint8Array | null, headers: EncodedHeaders, transactionId: string): void {
    let builder = this.#builders.get(partition);
    const bytes = (key?.length ?? 0) + (value?.length ?? 0) + headers.size + framingBytes;
    if (builder !== undefined && builder.bytes + bytes > this.#batchBytesMax) {
      if (builder.lastTransactionId === transactionId) builder.openLast();
      this.#full.push({ partition, batch: builder });
      builder = undefined;
    }
    if (builder === undefined) this.#builders.set(partition, (builder = this.#spare.pop() ?? new RecordBatchBuilder()));
    builder.add(this.#nowMs, key, value, headers, transactionId);
  }

  #route(schema: TableSchema): Route {
    let route = this.#routes.get(schema);
    if (route === undefined) {
      const stream = this.#routing.get(tableName(schema.table));
      invariant(stream !== undefined, 'a captured table has a stream');
      this.#routes.set(schema, (route = { ids: partitionsOf(stream), transaction: undefined, count: 0 }));
    }
    return route;
  }
}

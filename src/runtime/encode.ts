/**
 * Source rows → log records: envelope, version, partition; a key change becomes delete, tombstone and insert, a TRUNCATE
 * one record in every partition of its stream.
 */
import { EnvelopeWriter } from '../core/envelope-writer.ts';
import type { TableSchema } from '../core/change.ts';
import { tableName } from '../core/change.ts';
import { invariant } from '../core/assert.ts';
import type { Append, PartitionId, StreamSpec, Writer } from '../core/log-port.ts';
import type { RowChange, Transaction } from '../core/source-port.ts';
import { partitionOf, partitionsOf } from '../core/partition.ts';
import { RecordBatchBuilder, type ValueWriter } from '../core/record-batch.ts';
import { barrierHeader, EncodedHeaders } from '../core/record-headers.ts';
import { KeptHeaders, type RecordHeaders, RowHeaders } from '../core/row-headers.ts';
import { type Half, versionOf } from '../core/version.ts';
import type { PartitionTail, TailFilter } from './resume.ts';

/** `db.table` → the stream that carries it. */
export type Routing = ReadonlyMap<string, StreamSpec>;

interface Held {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
  readonly headers: Uint8Array;
}

/** One partition: what is filled for it, and what of an open transaction waits for the next record. */
interface Slot {
  readonly id: PartitionId;
  readonly tail: PartitionTail;
  builder: RecordBatchBuilder | undefined;
  held: Held | undefined;
}

interface Route {
  readonly slots: readonly Slot[];
  readonly headers: RowHeaders;
  /** Rows of this table in the transaction so far. */
  transaction: Transaction | undefined;
  count: number;
}

/** Memory that is kept in builders for what comes next; more than that was needed only once, by a peak. */
const spareBytesMax = 8 * 1024 * 1024;
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
  readonly #slots = new Map<PartitionId, Slot>();
  readonly #batchBytesMax: number;
  /** Cut because they were full, oldest first. */
  readonly #full: Append[] = [];
  /** Those that have a builder, in the order in which they got one. */
  readonly #filling: Slot[] = [];
  readonly #holding: Slot[] = [];
  readonly #spare: RecordBatchBuilder[] = [];
  #spareBytes = 0;
  #schema: TableSchema | undefined;
  #route: Route | undefined;
  #transaction: Transaction | undefined;
  #total = 0;
  #nowMs = 0;
  #open: Transaction | undefined;
  #bytes = 0;

  /** The writer's term and limit. */
  constructor(pipeline: string, routing: Routing, writer: Pick<Writer, 'term' | 'batchBytesMax'>, filter: TailFilter) {
    this.#envelope = new EnvelopeWriter(pipeline);
    this.#routing = routing;
    this.#term = writer.term;
    this.#batchBytesMax = writer.batchBytesMax;
    this.#filter = filter;
  }

  /** Of the records that `take` would answer now. */
  get bytes(): number {
    return this.#bytes;
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
    for (const slot of this.#filling.splice(0)) {
      if (slot.builder) appends.push({ partition: slot.id, batch: slot.builder });
      slot.builder = undefined;
    }
    this.#bytes = 0;
    return appends;
  }

  recycle(appends: readonly Append[]): void {
    for (const { batch } of appends) {
      batch.reset();
      if (this.#spareBytes + batch.capacityBytes > spareBytesMax) continue;
      this.#spareBytes += batch.capacityBytes;
      this.#spare.push(batch);
    }
  }

  /** The open transaction ended: its last record in each partition is the one that is held. */
  #release(): void {
    const id = this.#open?.id ?? '';
    for (const slot of this.#holding.splice(0)) {
      const { held } = slot;
      slot.held = undefined;
      if (held) this.#append(slot, held.key, held.value, new KeptHeaders(held.headers, false), id);
    }
    this.#open = undefined;
  }

  #change(change: RowChange): void {
    const { transaction, schema, op } = change;
    const route = schema === this.#schema && this.#route !== undefined ? this.#route : this.#routeOf(schema);
    if (transaction !== this.#transaction) {
      this.#transaction = transaction;
      this.#total = 0;
    }
    if (transaction !== route.transaction) {
      route.transaction = transaction;
      route.count = 0;
      route.headers.transaction(transaction.versionPrefix, transaction.committedAtUs);
    }
    if (op === 't') return this.#truncate(change, route);
    if (op === 'u' && change.oldKey !== null) return this.#keyChange(change, change.oldKey, route);
    const value = this.#next(change, op, route);
    if (op !== 'd') return this.#record(change, route, change.key, 2, value);
    this.#record(change, route, change.key, 0, value);
    this.#record(change, route, change.key, 1, null);
  }

  /** The envelope counts its records whether they are appended or dropped. */
  #next(change: RowChange, op: 'c' | 'u' | 'd', route: Route): EnvelopeWriter {
    this.#total += 1;
    route.count += 1;
    return this.#envelope.hold(change, op, this.#total, route.count, this.#nowMs);
  }

  #keyChange(change: RowChange, oldKey: Uint8Array, route: Route): void {
    const toNew = ['__debezium.newkey', change.key] as const;
    const toOld = ['__debezium.oldkey', oldKey] as const;
    this.#record(change, route, oldKey, 0, this.#next(change, 'd', route), toNew);
    this.#record(change, route, oldKey, 1, null, toNew);
    this.#record(change, route, change.key, 2, this.#next(change, 'c', route), toOld);
  }

  #truncate(change: RowChange, { slots }: Route): void {
    const { transaction, ordinal } = change;
    invariant(transaction !== this.#open, 'a TRUNCATE is alone in its transaction');
    const value = this.#envelope.truncate(change, this.#nowMs);
    const headers = this.#headers(change, 0, barrierHeader(slots.length));
    for (const slot of slots) {
      if (slot.tail.admits(transaction.versionPrefix, ordinal, 0, transaction.id)) this.#append(slot, null, value, headers, transaction.id);
    }
  }

  #record(
    change: RowChange,
    route: Route,
    key: Uint8Array,
    half: Half,
    value: EnvelopeWriter | null,
    extra?: readonly [string, Uint8Array],
  ): void {
    const { transaction, ordinal } = change;
    const slot = route.slots[partitionOf(key, route.slots.length)];
    invariant(slot, 'a key has a partition');
    if (!slot.tail.admits(transaction.versionPrefix, ordinal, half, transaction.id)) return;
    let headers: RecordHeaders = route.headers;
    if (extra === undefined) route.headers.row(ordinal, half);
    else headers = this.#headers(change, half, extra);
    if (transaction === this.#open) this.#hold(slot, key, value, headers, transaction.id);
    else this.#append(slot, key, value, headers, transaction.id);
  }

  #hold(slot: Slot, key: Uint8Array, value: EnvelopeWriter | null, headers: RecordHeaders, transactionId: string): void {
    const { held } = slot;
    if (held) this.#append(slot, held.key, held.value, new KeptHeaders(held.headers, true), transactionId);
    else this.#holding.push(slot);
    // Copies: the row's memory belongs to its batch.
    slot.held = { key: Buffer.from(key), value: value && value.bytes(), headers: KeptHeaders.bytesOf(headers) };
  }

  #headers({ transaction, schema, ordinal }: RowChange, half: Half, extra: readonly [string, Uint8Array]): EncodedHeaders {
    const headers = EncodedHeaders.of(this.#term, transaction.committedAtUs, schema.id, [extra]);
    headers.version = versionOf(transaction.versionPrefix, ordinal, half);
    return headers;
  }

  #append(slot: Slot, key: Uint8Array | null, value: Uint8Array | ValueWriter | null, headers: RecordHeaders, transactionId: string): void {
    let { builder } = slot;
    const bytes = (key?.length ?? 0) + (value?.length ?? 0) + headers.size + framingBytes;
    if (builder !== undefined && builder.bytes + bytes > this.#batchBytesMax) {
      if (builder.lastTransactionId === transactionId) builder.openLast();
      this.#full.push({ partition: slot.id, batch: builder });
      builder = slot.builder = this.#newBuilder();
    } else if (builder === undefined) {
      builder = slot.builder = this.#newBuilder();
      this.#filling.push(slot);
    }
    builder.add(this.#nowMs, key, value, headers, transactionId);
    this.#bytes += bytes;
  }

  #newBuilder(): RecordBatchBuilder {
    const spare = this.#spare.pop();
    if (!spare) return new RecordBatchBuilder();
    this.#spareBytes -= spare.capacityBytes;
    return spare;
  }

  #routeOf(schema: TableSchema): Route {
    let route = this.#routes.get(schema);
    if (route === undefined) {
      const stream = this.#routing.get(tableName(schema.table));
      invariant(stream !== undefined, 'a captured table has a stream');
      const slots = partitionsOf(stream).map((id) => this.#slotOf(id));
      this.#routes.set(schema, (route = { slots, headers: new RowHeaders(this.#term, schema.id), transaction: undefined, count: 0 }));
    }
    this.#schema = schema;
    this.#route = route;
    return route;
  }

  /** Tables that share a stream share its partitions. */
  #slotOf(id: PartitionId): Slot {
    let slot = this.#slots.get(id);
    if (!slot) this.#slots.set(id, (slot = { id, tail: this.#filter.of(id), builder: undefined, held: undefined }));
    return slot;
  }
}

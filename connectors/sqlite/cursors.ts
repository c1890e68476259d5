/** Where one reader stands in its partitions, and what it gets next: one partition after the other, so none starves. */
import type { StatementSync } from 'node:sqlite';
import { aheadOfLog, corrupt, lostHistory, unknownPartition } from '../../src/core/log-errors.ts';
import type { Delivery, LogRecord, PartitionId, PartitionState, ReadPlace, RecordHead } from '../../src/core/log-port.ts';
import { noPauses, type ReadPauses } from '../../src/core/pauses.ts';
import type { Codec } from '../../src/core/record-batch.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';
import { TermFilter } from '../../src/core/term-filter.ts';
import { guarded } from './errors.ts';
import type { DeliveryLimits } from './settings.ts';
import type { Store } from './store.ts';

type Range = Pick<PartitionState, 'startOffset' | 'endOffset'>;

interface BatchRow {
  readonly base_offset: number;
  readonly next_offset: number;
  readonly raw_bytes: number;
  readonly data: Uint8Array;
}

/** Other partitions' new data is looked for at least so often while one partition has a backlog. */
const refreshMs = 20;
/** A delivery of many tiny batches must not hold up the event loop either. */
const batchesMax = 1000;

export class Cursors {
  readonly #store: Store;
  readonly #codec: Codec;
  readonly #limits: DeliveryLimits;
  readonly #partitions: ReadonlyMap<PartitionId, number>;
  readonly #terms = new TermFilter();
  /** In order of service: the partition served last is the last. */
  readonly #offsets = new Map<PartitionId, number>();
  /** The ends as last seen: what lies below them is there for sure, more may be. */
  #ends: ReadonlyMap<number, number> = new Map();
  #endsVersion: number | undefined;
  #endsReadAtMs = 0;
  readonly #batch: StatementSync;
  readonly #first: StatementSync;
  readonly #range: StatementSync;
  readonly #allEnds: StatementSync;
  readonly #version: StatementSync;

  /** `partitions` are the row ids of those that may be read. */
  constructor(store: Store, partitions: ReadonlyMap<PartitionId, number>, codec: Codec, limits: DeliveryLimits) {
    this.#store = store;
    this.#partitions = partitions;
    this.#codec = codec;
    this.#limits = limits;
    const prepare = (sql: string) => guarded(store.path, () => store.db.prepare(sql));
    this.#batch = prepare(
      'SELECT base_offset, next_offset, raw_bytes, data FROM batches WHERE partition = ? AND next_offset > ? ORDER BY next_offset LIMIT 1',
    );
    this.#first = prepare(
      `SELECT base_offset AS offset, first_version AS version, term, first_committed_at_us AS committedAtUs FROM batches
       WHERE partition = ? AND next_offset > ? AND base_offset = ? ORDER BY next_offset LIMIT 1`,
    );
    this.#range = prepare('SELECT start_offset AS startOffset, end_offset AS endOffset FROM partitions WHERE id = ?');
    this.#allEnds = prepare('SELECT id, end_offset AS endOffset FROM partitions WHERE end_offset > 0');
    this.#version = prepare('PRAGMA data_version');
  }

  /** Throws LOG_LOST_HISTORY where the log cannot be read from this offset. */
  start(partition: PartitionId, { offset, term }: ReadPlace): void {
    const { startOffset, endOffset } = this.#rangeOf(partition);
    if (offset < startOffset) throw lostHistory(partition, offset, startOffset);
    if (offset > endOffset) throw aheadOfLog(partition, offset, endOffset);
    this.#offsets.set(partition, offset);
    this.#terms.start(partition, term);
  }

  /** The first record from this offset on, whatever its term. Nothing is decoded where it is the first of its batch, as it mostly is. */
  at(partition: PartitionId, offset: number): RecordHead | undefined {
    const { startOffset, endOffset } = this.#rangeOf(partition);
    if (offset < startOffset) throw lostHistory(partition, offset, startOffset);
    if (offset >= endOffset) return undefined;
    const place = guarded(partition, () => this.#first.get(this.#idOf(partition), offset, offset));
    if (place) return place as unknown as RecordHead;
    return this.#decode(partition, this.#rowAt(partition, offset), offset)[0];
  }

  /** Of none of those that rest. */
  next(pauses: ReadPauses = noPauses): Delivery | undefined {
    this.#refresh();
    for (const [partition, offset] of this.#offsets) {
      if (pauses.has(partition)) continue;
      if (offset >= (this.#ends.get(this.#idOf(partition)) ?? 0)) continue;
      const delivery = this.#from(partition, offset);
      this.#offsets.delete(partition);
      this.#offsets.set(partition, delivery.nextOffset);
      return delivery;
    }
    return undefined;
  }

  #refresh(): void {
    const nowMs = performance.now();
    if (this.#endsVersion !== undefined && nowMs - this.#endsReadAtMs < refreshMs && this.#anyBehind()) return;
    guarded(this.#store.path, () => {
      const version = Number(this.#version.get()?.['data_version']);
      this.#endsReadAtMs = nowMs;
      if (version === this.#endsVersion) return;
      this.#endsVersion = version;
      this.#ends = new Map(this.#allEnds.all().map((row) => [Number(row['id']), Number(row['endOffset'])]));
    });
  }

  #anyBehind(): boolean {
    for (const [partition, offset] of this.#offsets) if (offset < (this.#ends.get(this.#idOf(partition)) ?? 0)) return true;
    return false;
  }

  /** Whole batches from the one that holds `offset` on, up to the limits; `records` is empty where only stale ones were. */
  #from(partition: PartitionId, offset: number): Delivery {
    const { endOffset } = this.#rangeOf(partition);
    const records: LogRecord[] = [];
    let nextOffset = offset;
    let bytes = 0;
    for (let batches = 0; nextOffset < endOffset && batches < batchesMax; batches += 1) {
      const row = this.#rowAt(partition, nextOffset);
      const { base_offset: base, next_offset: next } = row;
      if (bytes > 0 && (bytes + row.raw_bytes > this.#limits.bytes || records.length + next - base > this.#limits.records)) break;
      for (const record of this.#terms.keep(partition, this.#decode(partition, row, nextOffset))) records.push(record);
      bytes += row.raw_bytes;
      nextOffset = next;
      if (bytes >= this.#limits.bytes || records.length >= this.#limits.records) break;
    }
    return { partition, records, nextOffset, endOffset };
  }

  #rowAt(partition: PartitionId, offset: number): BatchRow {
    const where = `${partition}@${offset}`;
    const row = guarded(where, () => this.#batch.get(this.#idOf(partition), offset)) as BatchRow | undefined;
    if (row && row.base_offset <= offset) return row;
    const { startOffset } = this.#rangeOf(partition);
    if (offset < startOffset) throw lostHistory(partition, offset, startOffset);
    throw corrupt(where, 'the batch that holds this offset is missing');
  }

  #decode(
    partition: PartitionId,
    { base_offset: base, next_offset: next, raw_bytes: rawBytes, data }: BatchRow,
    from: number,
  ): LogRecord[] {
    const where = `${partition}@${base}`;
    const records = decodeRecordBatch(data, this.#codec, where, rawBytes);
    if (records.length !== next - base || records[0]?.offset !== base) throw corrupt(where, 'it is not the batch that belongs here');
    return from > base ? records.slice(from - base) : records;
  }

  #rangeOf(partition: PartitionId): Range {
    const range = guarded(partition, () => this.#range.get(this.#idOf(partition)));
    return range as unknown as Range;
  }

  #idOf(partition: PartitionId): number {
    const id = this.#partitions.get(partition);
    if (id === undefined) throw unknownPartition(partition);
    return id;
  }
}

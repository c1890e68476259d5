import { aheadOfLog, lostHistory } from '../../src/core/log-errors.ts';
import type { Delivery, LogRecord, PartitionId, ReadPlace } from '../../src/core/log-port.ts';
import { noPauses, type ReadPauses } from '../../src/core/pauses.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';
import { TermFilter } from '../../src/core/term-filter.ts';
import type { MemoryLogCluster } from './log-cluster.ts';

/** One delivery: at least one batch, then no more than this. */
export interface DeliveryLimits {
  readonly deliveryBytes?: number;
  readonly deliveryRecords?: number;
}

/** Where one reader stands in its partitions, and what it gets next: one partition after the other, so none starves. */
export class MemoryCursors {
  readonly #cluster: MemoryLogCluster;
  readonly #limits: DeliveryLimits;
  readonly #terms = new TermFilter();
  /** In order of service: the partition served last is the last. */
  readonly #offsets = new Map<PartitionId, number>();

  constructor(cluster: MemoryLogCluster, limits: DeliveryLimits) {
    this.#cluster = cluster;
    this.#limits = limits;
  }

  /** Throws LOG_LOST_HISTORY where the log cannot be read from this offset. */
  start(partition: PartitionId, { offset, term }: ReadPlace): void {
    const { startOffset, endOffset } = this.#cluster.partition(partition);
    if (offset < startOffset) throw lostHistory(partition, offset, startOffset);
    if (offset > endOffset) throw aheadOfLog(partition, offset, endOffset);
    this.#offsets.set(partition, offset);
    this.#terms.start(partition, term);
  }

  /** Of none of those that rest. */
  next(pauses: ReadPauses = noPauses): Delivery | undefined {
    for (const [partition, offset] of this.#offsets) {
      if (pauses.has(partition)) continue;
      const delivery = this.#from(partition, offset);
      if (!delivery) continue;
      this.#offsets.delete(partition);
      this.#offsets.set(partition, delivery.nextOffset);
      return delivery;
    }
    return undefined;
  }

  #from(partition: PartitionId, offset: number): Delivery | undefined {
    const { deliveryBytes = 1024 * 1024, deliveryRecords = 5000 } = { ...this.#cluster.settings, ...this.#limits };
    const { batches, startOffset, endOffset } = this.#cluster.partition(partition);
    if (offset < startOffset) throw lostHistory(partition, offset, startOffset);
    const records: LogRecord[] = [];
    let nextOffset = offset;
    let bytes = 0;
    let whole = true;
    for (const batch of batches) {
      if (batch.nextOffset <= offset) continue;
      const count = batch.nextOffset - batch.baseOffset;
      if (records.length > 0 && (bytes + batch.rawBytes > deliveryBytes || records.length + count > deliveryRecords)) {
        whole = false;
        break;
      }
      const decoded = decodeRecordBatch(batch.data, this.#cluster.settings.codec, `${partition}@${batch.baseOffset}`, batch.rawBytes);
      const wanted = batch.baseOffset < offset ? decoded.filter((record) => record.offset >= offset) : decoded;
      for (const record of this.#terms.keep(partition, wanted)) records.push(record);
      bytes += batch.rawBytes;
      nextOffset = batch.nextOffset;
    }
    // Behind the last batch there is nothing but gaps.
    if (whole) nextOffset = endOffset;
    return nextOffset > offset ? { partition, records, nextOffset, endOffset } : undefined;
  }
}

/** Where one reader stands in its partitions, and what it gets next: one partition after the other, so none starves. */
import { aheadOfLog, lostHistory } from '../../src/core/log-errors.ts';
import type { Delivery, LogRecord, PartitionId, ReadPlaces } from '../../src/core/log-port.ts';
import { topicOf } from '../../src/core/partition.ts';
import type { Codec } from '../../src/core/record-batch.ts';
import { decodeRecordBatch, recordBytes } from '../../src/core/record-batch-reader.ts';
import { TermFilter } from '../../src/core/term-filter.ts';
import { Fetcher, type FetcherParts } from './fetch.ts';
import { FetchQueue } from './fetch-queue.ts';
import type { StoredBatch } from './record-set.ts';
import type { DeliveryLimits } from './settings.ts';

export interface CursorParts extends FetcherParts {
  readonly codec: Codec;
  readonly limits: DeliveryLimits;
}

/** Decoded, and too large to go with what went before it. */
interface Ready {
  readonly batch: StoredBatch;
  readonly records: readonly LogRecord[];
  readonly bytes: number;
}

const nothing = { topicId: undefined, startOffset: 0, servedFrom: 0, endOffset: 0 };
/** A delivery of many tiny batches must not hold up the event loop. */
const batchesMax = 1000;

export class Cursors implements Disposable {
  readonly #parts: CursorParts;
  readonly #fetcher: Fetcher;
  readonly #terms = new TermFilter();
  /** In order of service: the partition served last is the last. */
  readonly #queues = new Map<PartitionId, FetchQueue>();
  readonly #ready = new Map<PartitionId, Ready>();

  private constructor(parts: CursorParts, queues: readonly FetchQueue[], topicIds: ReadonlyMap<string, string>, places: ReadPlaces) {
    this.#parts = parts;
    for (const queue of queues) {
      this.#queues.set(queue.partition, queue);
      this.#terms.start(queue.partition, places.get(queue.partition)?.term ?? 0);
    }
    this.#fetcher = new Fetcher(parts, queues, topicIds);
    this.#fetcher.poke();
  }

  /**
   * Throws LOG_LOST_HISTORY where the log cannot be read from a place. A topic that is not there is waited for, as long as
   * nobody wants to go on in the middle of it.
   */
  static async open(parts: CursorParts, places: ReadPlaces, signal: AbortSignal): Promise<Cursors> {
    const topics = [...new Set([...places.keys()].map(topicOf))];
    const ranges = await parts.ranges(topics, { signal, deadlineMs: parts.outageMs });
    const topicIds = new Map<string, string>();
    const queues = [...places].map(([partition, { offset }]) => {
      const { topicId, startOffset, servedFrom, endOffset } = ranges.get(partition) ?? nothing;
      if (offset < startOffset) throw lostHistory(partition, offset, startOffset);
      if (offset > endOffset) throw aheadOfLog(partition, offset, endOffset);
      if (topicId !== undefined) topicIds.set(topicOf(partition), topicId);
      return new FetchQueue(partition, Math.max(offset, servedFrom), endOffset);
    });
    return new Cursors(parts, queues, topicIds, places);
  }

  /** Of none of those that rest. undefined while nothing is there; throws what ended the reading ahead, once all before it is delivered. */
  next(): Delivery | undefined {
    for (const queue of this.#queues.values()) {
      const { partition } = queue;
      if (this.#parts.pauses.has(partition)) this.#ready.delete(partition);
      else if (queue.first !== undefined) {
        const delivery = this.#from(queue);
        this.#queues.delete(partition);
        this.#queues.set(partition, queue);
        this.#fetcher.poke();
        return delivery;
      }
    }
    if (this.#fetcher.failure) throw this.#fetcher.failure;
    return undefined;
  }

  /** A partition goes on, or there may be room. */
  poke(): void {
    this.#fetcher.poke();
  }

  /** Whole batches up to the limits; no records where only markers and stale ones were. */
  #from(queue: FetchQueue): Delivery {
    const { partition } = queue;
    const { limits } = this.#parts;
    const records: LogRecord[] = [];
    let counted = 0;
    let bytes = 0;
    for (let batches = 0; batches < batchesMax; batches += 1) {
      const batch = queue.first;
      if (!batch) break;
      if (!batch.control) {
        if (counted > 0 && counted + batch.records > limits.records) break;
        const ready = this.#decoded(queue, batch);
        if (counted > 0 && bytes + ready.bytes > limits.bytes) break;
        this.#ready.delete(partition);
        for (const record of this.#terms.keep(partition, ready.records)) records.push(record);
        counted += ready.records.length;
        bytes += ready.bytes;
      }
      queue.shift();
      if (bytes >= limits.bytes || counted >= limits.records) break;
    }
    return { partition, records, nextOffset: queue.nextOffset, endOffset: Math.max(queue.endOffset, queue.nextOffset) };
  }

  /** Records below the place where the reader began are in the same batch, and not for it. */
  #decoded({ partition, nextOffset }: FetchQueue, batch: StoredBatch): Ready {
    const known = this.#ready.get(partition);
    if (known?.batch === batch) return known;
    const { codec } = this.#parts;
    const all = decodeRecordBatch(batch.bytes, codec, `${partition}@${batch.baseOffset}`);
    const records = batch.baseOffset < nextOffset ? all.filter(({ offset }) => offset >= nextOffset) : all;
    const ready = { batch, records, bytes: bytesOf(records) };
    this.#ready.set(partition, ready);
    return ready;
  }

  [Symbol.dispose](): void {
    this.#fetcher[Symbol.dispose]();
  }
}

function bytesOf(records: readonly LogRecord[]): number {
  let bytes = 0;
  for (const record of records) bytes += recordBytes(record);
  return bytes;
}

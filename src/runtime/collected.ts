/** Deliveries that are ready while others are being written: small ones, each of another partition, to be written together. */
import type { Delivery, LogRecord, PartitionId } from '../core/log-port.ts';

export interface Ready {
  readonly delivery: Delivery;
  /** Without what the target has already. */
  readonly records: readonly LogRecord[];
  readonly runs: LogRecord[][];
}

/** What is larger is dense enough by itself, and must not wait in memory behind another. */
const recordsMax = 500;
const bytesMax = 256 * 1024;

export class Collected {
  #all: Ready[] = [];
  readonly #partitions = new Set<PartitionId>();
  #records = 0;
  #bytes = 0;

  /** A partition comes in once: what follows in it waits until that is written. */
  mayJoin({ delivery: { partition }, records }: Ready): boolean {
    if (this.#partitions.has(partition) || this.#records + records.length > recordsMax) return false;
    return this.#bytes + bytesOf(records) <= bytesMax;
  }

  add(ready: Ready): void {
    this.#all.push(ready);
    this.#partitions.add(ready.delivery.partition);
    this.#records += ready.records.length;
    this.#bytes += bytesOf(ready.records);
  }

  /** All of it, in the order in which it came. */
  take(): readonly Ready[] {
    const all = this.#all;
    this.#all = [];
    this.#partitions.clear();
    this.#records = 0;
    this.#bytes = 0;
    return all;
  }
}

/** Beyond what a delivery holds by its limits: a row of many megabytes. */
const hugeBytes = 8 * 1024 * 1024;

export const isHuge = (records: readonly LogRecord[]): boolean => bytesOf(records) > hugeBytes;

const bytesOf = (records: readonly LogRecord[]) => records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);

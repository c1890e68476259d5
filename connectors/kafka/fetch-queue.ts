/** What was fetched of one partition and not yet delivered: whole batches, still as the broker sent them. */
import type { PartitionId } from '../../src/core/log-port.ts';
import type { StoredBatch } from './record-set.ts';

export class FetchQueue {
  readonly partition: PartitionId;
  readonly #batches: StoredBatch[] = [];
  /** Below this everything was handed out. */
  #next: number;
  #fetched: number;
  #bytes = 0;
  /** As last heard. */
  endOffset: number;
  /** Which broker leads it, as far as known. */
  leader = -1;

  constructor(partition: PartitionId, offset: number, endOffset: number) {
    this.partition = partition;
    this.#next = offset;
    this.#fetched = offset;
    this.endOffset = endOffset;
  }

  get bytes(): number {
    return this.#bytes;
  }
  get nextOffset(): number {
    return this.#next;
  }
  /** Where the next fetch begins. */
  get fetchOffset(): number {
    return this.#fetched;
  }
  get first(): StoredBatch | undefined {
    return this.#batches[0];
  }

  push(batches: readonly StoredBatch[]): void {
    for (const batch of batches) {
      this.#batches.push(batch);
      this.#bytes += batch.bytes.length;
      this.#fetched = batch.nextOffset;
    }
  }

  /** Takes the first batch off. */
  shift(): void {
    const batch = this.#batches.shift();
    if (!batch) return;
    this.#bytes -= batch.bytes.length;
    this.#next = batch.nextOffset;
  }

  /** Only markers lay before this offset, and they are no more. */
  passOver(offset: number): void {
    this.#fetched = Math.max(this.#fetched, offset);
    if (this.#batches.length === 0) this.#next = this.#fetched;
  }

  /** Forgets what was fetched ahead: a partition that rests must not hold memory that the others need. */
  rewind(): void {
    this.#batches.length = 0;
    this.#bytes = 0;
    this.#fetched = this.#next;
  }
}

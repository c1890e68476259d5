/** What the meters of a service are told: how old is the oldest change that is not visible in the target? */
import type { Delivery, LogRecord, PartitionId } from '../core/log-port.ts';
import type { ApplyMeters } from './meters.ts';

interface Unseen {
  readonly offset: number;
  readonly committedAtUs: number;
  readonly newestUs: number;
  readonly endOffset: number;
}

export class ApplyLag {
  readonly #meters: ApplyMeters;
  /** What is in hand and not visible in the target yet: from its oldest change on; and when the newest visible one was committed. */
  readonly #unseen = new Map<PartitionId, Unseen>();
  readonly #visibleUs = new Map<PartitionId, number>();

  constructor(meters: ApplyMeters) {
    this.#meters = meters;
  }

  /** Nothing is in hand any more: all of it will be read again. */
  clear(): void {
    this.#unseen.clear();
  }

  /** What a claim found in the target: without a word of it, an idle partition would stand where the log was told last. */
  claimed(partition: PartitionId, nextOffset: number): void {
    this.#meters.stands(partition, nextOffset);
  }

  gone(partition: PartitionId): void {
    this.#meters.lag(partition, undefined, 0);
  }

  /** What is in hand is behind until the target has it, however long that takes; without news only the offset has moved. */
  delivered({ partition, nextOffset, endOffset }: Delivery, records: readonly LogRecord[]): void {
    const [first, newestUs] = [records[0], records.at(-1)?.committedAtUs ?? this.#visibleUs.get(partition)];
    if (first) {
      const { offset, committedAtUs } = this.#unseen.get(partition) ?? first;
      this.#unseen.set(partition, { offset, committedAtUs, endOffset, newestUs: newestUs ?? committedAtUs });
      this.#meters.lag(partition, committedAtUs, endOffset - offset);
    } else if (!this.#unseen.has(partition)) {
      this.#meters.stands(partition, nextOffset);
      this.#seen(partition, newestUs, Math.max(0, endOffset - nextOffset));
    }
  }

  /** Everything below `nextOffset` is visible; `rest` is in hand behind it. */
  committed(partition: PartitionId, nextOffset: number, rest: readonly LogRecord[]): void {
    const unseen = this.#unseen.get(partition);
    if (!unseen) return;
    this.#meters.stands(partition, nextOffset);
    const [first] = rest;
    if (first) {
      this.#unseen.set(partition, { ...unseen, offset: first.offset, committedAtUs: first.committedAtUs });
      this.#meters.lag(partition, first.committedAtUs, unseen.endOffset - first.offset);
      return;
    }
    this.#unseen.delete(partition);
    this.#seen(partition, unseen.newestUs, Math.max(0, unseen.endOffset - nextOffset));
  }

  #seen(partition: PartitionId, newestUs: number | undefined, changes: number): void {
    if (newestUs !== undefined) this.#visibleUs.set(partition, newestUs);
    // Caught up, the age of the last change says nothing.
    const sinceUs = newestUs ?? (changes === 0 ? 0 : undefined);
    if (sinceUs !== undefined) this.#meters.lag(partition, sinceUs, changes);
  }
}

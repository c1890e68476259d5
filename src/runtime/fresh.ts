/** What of each delivery is news: the log goes forward, and a target that had more than its offsets say is caught up with first. */
import { invariant } from '../core/assert.ts';
import type { Version } from '../core/change.ts';
import type { Delivery, LogRecord, PartitionId } from '../core/log-port.ts';

export class Fresh {
  readonly #skipThrough = new Map<PartitionId, Version>();
  /** The last version delivered of each partition. */
  readonly #last = new Map<PartitionId, Version>();

  /** Through which version each partition's records are skipped, of those that still are. */
  get skips(): ReadonlyMap<PartitionId, Version> {
    return this.#skipThrough;
  }

  /** `after`: the version that the target's progress names. */
  claimed(partition: PartitionId, after: Version | undefined, skipThrough: Version | undefined): void {
    this.#last.set(partition, after ?? '');
    if (skipThrough === undefined) this.#skipThrough.delete(partition);
    else this.#skipThrough.set(partition, skipThrough);
  }

  /** Without what the target has already, where offsets could not be trusted. */
  of({ partition, records }: Delivery): readonly LogRecord[] {
    const through = this.#skipThrough.get(partition);
    const fresh = through === undefined ? records : records.filter(({ version }) => version > through);
    const [first, last] = [fresh[0], fresh.at(-1)];
    if (first === undefined || last === undefined) return fresh;
    this.#skipThrough.delete(partition);
    // The sink compares progress, not rows: a reader that went back would be written as if it were news.
    const before = this.#last.get(partition) ?? '';
    invariant(first.version > before, `the log goes forward in ${partition}: ${first.version} at offset ${first.offset} follows ${before}`);
    this.#last.set(partition, last.version);
    return fresh;
  }
}

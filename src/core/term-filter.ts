/** The fence that holds even where the log forgot a producer: a record of an older leader behind a newer one's is no record. */
import type { LogRecord, PartitionId } from './log-port.ts';

export class TermFilter {
  readonly #highest = new Map<PartitionId, number>();

  /** A reader that starts here has seen this term, though not in this life: it must not take an older leader's records. */
  start(partition: PartitionId, term: number): void {
    this.#highest.set(partition, term);
  }

  /** The records that count, in order; the same array when that is all of them. */
  keep(partition: PartitionId, records: readonly LogRecord[]): readonly LogRecord[] {
    let highest = this.#highest.get(partition) ?? -1;
    let kept: LogRecord[] | undefined;
    for (let index = 0; index < records.length; index += 1) {
      const record = records[index] as LogRecord;
      if (record.term < highest) kept ??= records.slice(0, index);
      else {
        highest = record.term;
        kept?.push(record);
      }
    }
    this.#highest.set(partition, highest);
    return kept ?? records;
  }
}

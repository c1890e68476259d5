/** What the moving parts tell about themselves. observe.ts turns it into metrics; the status line reads the same. */
import type { QueueTotals } from '../core/quarantine-port.ts';
import type { LoopState } from './loop.ts';

export interface CaptureMeters {
  /** Rows and image bytes read from the source, records appended durably. */
  captured(rows: number, bytes: number): void;
  appended(records: number, seconds: number): void;
  /** The source's clock up to which everything is in the log, in microseconds. */
  completed(throughUs: number): void;
}

export interface ApplyMeters {
  /** Records applied durably in one batch of a partition, and how long the target took. */
  applied(partition: string, records: number, seconds: number): void;
  /**
   * Where the service stands, told before and after each write. `changes` are records of the log that are not visible yet,
   * `sinceUs` when the oldest of them was committed in the source (as far as known: at least as old as that). undefined:
   * this process has no business with the partition any more.
   */
  lag(partition: string, sinceUs: number | undefined, changes: number): void;
  /** Everything below this offset is visible in the target; told at the claim and whenever it moves. */
  stands(partition: string, nextOffset: number): void;
  /** What this service keeps aside, by source table; nothing of tables without any. */
  kept(tables: readonly QueueTotals[]): void;
}

export interface StateMeters {
  state(part: string, state: LoopState, code?: string): void;
}

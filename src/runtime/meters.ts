/** What the moving parts tell about themselves. observe.ts turns it into metrics; the status line reads the same. */
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
  /** See lag.ts; `changes` are records of the log. */
  lag(partition: string, seconds: number, changes: number): void;
}

export interface StateMeters {
  state(part: string, state: LoopState, code?: string): void;
}

/** What a reader is told besides its plan. */
import type { Tables } from '../rows/shapes.ts';

export interface ReaderOptions {
  readonly tables: Tables;
  readonly untransactional: ReadonlySet<string>;
  /** Captured tables (`db.table`) without a primary key: another key tells their rows apart. */
  readonly unkeyed: ReadonlySet<string>;
  /** The server takes names of tables that differ only in case for the same (lower_case_table_names is not 0). */
  readonly foldsNames: boolean;
  readonly partBytes: number;
  /** The server sends a heartbeat this long after its last event or heartbeat. */
  readonly heartbeatUs: number;
  /** The server's clock minus ours, in microseconds. */
  readonly clockOffsetUs: number;
}

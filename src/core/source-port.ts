/** Where changes come from. The rules for all ports are in ports.ts. */
import type { Position, TableId, TableSchema } from './change.ts';
import type { Finding } from './ports.ts';

export interface Transaction {
  /** The GTID, or `file:offset` where GTIDs are off. */
  readonly id: string;
  readonly gtid: string | null;
  readonly file: string;
  readonly serverId: number;
  readonly committedAtUs: number;
  /** See version.ts: everything up to the row's ordinal. */
  readonly versionPrefix: string;
}

/** One row change, its images already in the log's form: JSON text in UTF-8, one object of all columns in table order. */
export interface RowChange {
  /** The same object for every row of the transaction, across batches too. */
  readonly transaction: Transaction;
  readonly schema: TableSchema;
  /** `t`: TRUNCATE, always alone in its transaction. All that the table held is gone; what comes behind starts from nothing. */
  readonly op: 'c' | 'u' | 'd' | 't';
  /** The row's number in its transaction, from 0, rows of tables that nobody maps counted too. */
  readonly ordinal: number;
  /** Offset of its event in the file, and its number in that event: Debezium's `pos` and `row`. */
  readonly pos: number;
  readonly row: number;
  /** Both null for `t`. */
  readonly before: Uint8Array | null;
  readonly after: Uint8Array | null;
  /** JSON text of the key's columns, no bytes for `t`. For `u`, the key of `after`; `oldKey` is set when an update changed it. */
  readonly key: Uint8Array;
  readonly oldKey: Uint8Array | null;
}

/** Whole transactions in commit order; the last may be cut when it is larger than the byte ceiling (`open`). */
export interface SourceBatch {
  readonly changes: readonly RowChange[];
  /** Gives large images' memory back at once, where a source can; nobody may look into `changes` afterwards. */
  readonly release?: () => void;
  /** Bytes of the images in `changes`, for back-pressure and statistics. */
  readonly bytes: number;
  /** True when the last transaction goes on in the next batch; then `position` is that before this transaction. */
  readonly open: boolean;
  /** Where to resume so that nothing of this batch (but an open transaction) comes again. Carries the fingerprint. */
  readonly position: Position;
  /** Everything that the source committed before this instant (its clock) is in the batches so far. */
  readonly throughUs: number;
  /** Its clock minus ours, measured when this reading began. */
  readonly clockOffsetUs?: number;
  /** Everything that the server held when this reading began is in the batches so far, this one included. */
  readonly caughtUp: boolean;
}

export interface Source extends AsyncDisposable {
  /** Every problem at once; empty when capture can start. `resume`: where the log stands, so that it is asked whether the source still has what comes next. */
  check(resume?: Position): Promise<readonly Finding[]>;
  /** The tables' shapes as of now, for checks and for `init`; a missing table is absent from the answer. */
  schemas(tables: readonly TableId[]): Promise<readonly TableSchema[]>;
  /** Where a new pipeline starts: what the configuration names, or the server's end now. `signal` ends what it may have to wait for. */
  start(signal?: AbortSignal): Promise<Position>;
  /** The server's end now, and a form of any position for people (GTID set or file:offset). */
  end(): Promise<Position>;
  describe(position: Position): string;
  /**
   * Streams from `from`; the consumer's pull is the back-pressure. Before the first batch it proves that the server
   * still has this history (position available, fingerprint of the last transaction equal). Ends only by abort or error.
   * An empty batch with a fresh `throughUs` comes at the heartbeat interval of an idle source.
   */
  read(from: Position, signal: AbortSignal): AsyncIterable<SourceBatch>;
}

/**
 * The ports: everything that the runtime asks of the outside world. Each has a contract suite in test/contract that
 * every connector and the memory fakes in connectors/memory pass.
 *
 * Rules that hold for all of them: a method that takes a `signal` ends soon after it aborts, by returning or by
 * throwing the signal's reason; every error is a CrossfadeError; disposing twice is allowed and never throws for a
 * connection that is already gone.
 */
import type { Position, TableId, TableSchema, Version, ChangeEvent } from './change.ts';
import type { LogState, PartTrouble } from './log-state.ts';
import type { RecordBatchBuilder } from './record-batch.ts';

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** One problem that a check found, with the exact statement or edit that mends it. */
export interface Finding {
  readonly level: 'error' | 'warning';
  readonly code: string;
  /** `source`, `log`, `service orders`, `service orders: shop.orders`. */
  readonly where: string;
  readonly message: string;
  /** SQL or a configuration line, ready to paste; absent where there is no such thing. */
  readonly fix?: string;
}

// ---------------------------------------------------------------- source

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
  readonly op: 'c' | 'u' | 'd';
  /** The row's number in its transaction, from 0, rows of tables that nobody maps counted too. */
  readonly ordinal: number;
  /** Offset of its event in the file, and its number in that event: Debezium's `pos` and `row`. */
  readonly pos: number;
  readonly row: number;
  readonly before: Uint8Array | null;
  readonly after: Uint8Array | null;
  /** JSON text of the key's columns. For `u`, the key of `after`; `oldKey` is set when an update changed it. */
  readonly key: Uint8Array;
  readonly oldKey: Uint8Array | null;
}

/** Whole transactions in commit order; the last may be cut when it is larger than the byte ceiling (`open`). */
export interface SourceBatch {
  readonly changes: readonly RowChange[];
  /** Bytes of the images in `changes`, for back-pressure and statistics. */
  readonly bytes: number;
  /** True when the last transaction goes on in the next batch; then `position` is that before this transaction. */
  readonly open: boolean;
  /** Where to resume so that nothing of this batch (but an open transaction) comes again. Carries the fingerprint. */
  readonly position: Position;
  /** Everything that the source committed before this instant (its clock) is in the batches so far. */
  readonly throughUs: number;
  /** Everything that the server held when this reading began is in the batches so far, this one included. */
  readonly caughtUp: boolean;
}

export interface Source extends AsyncDisposable {
  /** Every problem at once; empty when capture can start. `resume`: where the log stands, so that it is asked whether the source still has what comes next. */
  check(resume?: Position): Promise<readonly Finding[]>;
  /** The tables' shapes as of now, for checks and for `init`; a missing table is absent from the answer. */
  schemas(tables: readonly TableId[]): Promise<readonly TableSchema[]>;
  /** Where a new pipeline starts: what the configuration names, or the server's end now. */
  start(): Promise<Position>;
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

// ---------------------------------------------------------------- log

/** `topic#number`, made and taken apart in partition.ts. */
export type PartitionId = string;
export interface StreamSpec {
  readonly topic: string;
  readonly partitions: number;
}

/** The last position that the leader vouches for: all rows up to it are in the log, below `ends`. */
export interface CompleteRecord {
  readonly position: Position;
  readonly throughUs: number;
  /** When the leader wrote it, in its own clock. */
  readonly writtenAtMs: number;
  readonly term: number;
  /** For every partition that has any, the offset behind its last record. */
  readonly ends: Readonly<Record<PartitionId, number>>;
}
export interface StartRecord {
  readonly position: Position;
  readonly writtenAtMs: number;
}

/** Where one record lies in the log and in the source. */
export interface RecordPlace {
  readonly offset: number;
  readonly term: number;
  readonly version: Version;
  readonly transactionId: string;
}
/** Offsets may have gaps (Kafka's transaction markers), so nothing but a record's own offset says where a record is. */
export interface PartitionState {
  /** Which life of the partition this is: another one where its topic was made anew, or the log's file. */
  readonly logId: string;
  /** The oldest offset that can still be read. */
  readonly startOffset: number;
  /** Where the next record goes; more than one behind the last one where a gap lies between. */
  readonly endOffset: number;
  /** The last record that counts (none of an older leader behind a newer one's), also when retention has deleted it. */
  readonly last?: RecordPlace;
}

export interface Tail {
  readonly start?: StartRecord;
  readonly complete?: CompleteRecord;
  readonly partitions: ReadonlyMap<PartitionId, PartitionState>;
}

/** Records of one partition, in order. Where a batch ends inside a transaction, its last record is flagged `open` in its header. */
export interface Append {
  readonly partition: PartitionId;
  readonly batch: RecordBatchBuilder;
}

/** The leader's hand on the log. Every method throws LOG_FENCED (retry) once another leads. */
export interface Writer extends AsyncDisposable {
  readonly term: number;
  /** Bytes (`RecordBatchBuilder.bytes`) that one batch may have; a record that is larger by itself goes alone. */
  readonly batchBytesMax: number;
  /** Read after the fence, so nothing can be added behind it. */
  tail(): Promise<Tail>;
  /**
   * Resolves when all of it is durable; builders are free for reuse only then. Several calls may be outstanding and one
   * may name a partition several times: within each partition everything becomes durable in this order, and the calls
   * resolve in order. Between partitions there is no order: a crash may keep a later batch of one and lose an earlier of another.
   */
  append(appends: readonly Append[]): Promise<void>;
  /** Once for the log's life, before any row. */
  start(record: StartRecord): Promise<void>;
  /** A table's shape, durable before the first row that names it; known ids are answered without a write. */
  define(schema: TableSchema): Promise<void>;
  /** Call only after everything before was acknowledged. `ends` are what the writer itself knows. */
  complete(record: Omit<CompleteRecord, 'ends' | 'term'>): Promise<void>;
}

export interface LogRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  /** null is a tombstone. */
  readonly value: Uint8Array | null;
  readonly version: Version;
  readonly term: number;
  readonly committedAtUs: number;
  readonly schemaId: string;
  /** The transaction goes on in a later batch of this partition. */
  readonly open: boolean;
}

export interface Delivery {
  readonly partition: PartitionId;
  /**
   * In order, never of a term below one already delivered in this partition; whole transactions unless the last is `open`.
   * None at all where only `nextOffset` moves, over records that do not count or offsets without any: a reader that has
   * everything comes to the end this way, and no progress is worth writing for it.
   */
  readonly records: readonly LogRecord[];
  /** Where to go on after these; may be beyond the last record's offset + 1 (Kafka's markers). */
  readonly nextOffset: number;
  /** The partition's end when this was read: lag in changes. */
  readonly endOffset: number;
}

export type Offsets = ReadonlyMap<PartitionId, number>;

/** Where a reader goes on, and the term of the last record below it that counted: 0 where there is none. */
export interface ReadPlace {
  readonly offset: number;
  readonly term: number;
}
export type ReadPlaces = ReadonlyMap<PartitionId, ReadPlace>;

export interface Log extends AsyncDisposable {
  check(): Promise<readonly Finding[]>;
  /** Resolves when this process leads and every older leader is fenced; waits as standby until then. */
  lead(signal: AbortSignal): Promise<Writer>;
  /**
   * This member's share of the group's partitions. `claim` is called with the whole share whenever it has changed, or when
   * another member held some of it in between (with none when all went elsewhere), and answers where each partition goes on:
   * what is kept is read again from there too, because the sink rolls back what it had open. The term in that answer keeps
   * out a frozen older leader's records right behind the place. Ends only by abort or error.
   */
  read(group: string, claim: (partitions: readonly PartitionId[]) => Promise<ReadPlaces>, signal: AbortSignal): AsyncIterable<Delivery>;
  /** The first record from that offset on, whatever its term, if one is there now; never waits. LOG_LOST_HISTORY below the start. */
  at(partition: PartitionId, offset: number): Promise<LogRecord | undefined>;
  /** No group, all named partitions, from the named offsets; knows of no term before the first record that it meets. */
  readFrom(offsets: Offsets, signal: AbortSignal): AsyncIterable<Delivery>;
  /** Advisory: this group has durably applied below these offsets; retention may delete below the lowest of all groups. */
  applied(group: string, offsets: Offsets): Promise<void>;
  /** Forgets a group's advisory offsets: the person's consent to rebuild it from the log's start. */
  forget(group: string): Promise<void>;
  /** Advisory: what a part last ran into, kept past the end of its process for whoever looks; undefined when it runs again. */
  trouble(part: string, trouble: PartTrouble | undefined): Promise<void>;
  schema(id: string): Promise<TableSchema | undefined>;
  state(): Promise<LogState>;
}

// ---------------------------------------------------------------- sink

/** How far a service has applied one partition; stored in the target in the same transaction as the rows. */
export interface Progress {
  /** The partition's, as the log said when it was claimed. */
  readonly logId: string;
  readonly nextOffset: number;
  /** Of the last record applied: offset, term and place in the source. `nextOffset` may lie behind a gap. */
  readonly lastOffset: number;
  readonly term: number;
  readonly version: Version;
  readonly transactionId: string;
  readonly committedAtUs: number;
  /** Digest of the mappings that were in force. */
  readonly mappingHash: string;
}

export interface Entry {
  /** Index into the mappings that the sink was opened with. */
  readonly mapping: number;
  readonly event: ChangeEvent;
}

export interface SinkBatch {
  readonly partition: PartitionId;
  readonly entries: readonly Entry[];
  /** The progress after this batch. */
  readonly progress: Progress;
  /** The last transaction goes on in the next batch: its effect must not be seen before the batch that closes it. */
  readonly open: boolean;
}

export interface Sink extends AsyncDisposable {
  /** `schemas[i]`: the shape of mapping i's table behind its transforms; undefined where the source has no such table. */
  check(schemas: readonly (TableSchema | undefined)[]): Promise<readonly Finding[]>;
  /** What the target says, without claiming; for status and checks. */
  progress(): Promise<ReadonlyMap<PartitionId, Progress>>;
  /**
   * Takes the partitions: raises their owner epoch in the target, so that whoever held them before can no longer write,
   * and answers where each stands (absent: never applied). An open transaction of ours is rolled back first.
   */
  claim(partitions: readonly PartitionId[]): Promise<ReadonlyMap<PartitionId, Progress>>;
  /**
   * Rows and progress in one transaction, compared on owner epoch and on the progress this sink wrote or read last.
   * Answers `committed` when durable in the target, `open` while a transaction waits for its last part.
   * Throws TARGET_FENCED (retry) when another owner took the partition.
   */
  write(batch: SinkBatch): Promise<'committed' | 'open'>;
  /** Forgets the progress of these partitions, by a person's order (`crossfade rebuild`); rows are overwritten by the replay. */
  reset(partitions: readonly PartitionId[]): Promise<void>;
}

/** One source table → one target, as the configuration says; `options` is the sink connector's own. */
export interface Mapping {
  readonly source: TableId;
  readonly transforms: readonly Transform[];
  /** The name in the target: `public.people`, a key template, … */
  readonly target: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Pure: 0 events filter, 1 maps, n fan out. `schema` says what it does to a table's shape, so that checks see the target's. */
export interface Transform {
  readonly name: string;
  schema(schema: TableSchema): TableSchema;
  change(event: ChangeEvent): readonly ChangeEvent[];
}

/** The ordered, replayable record of changes between source and services. The rules for all ports are in ports.ts. */
import type { Position, TableSchema, Version } from './change.ts';
import type { LogState, PartTrouble } from './log-state.ts';
import type { Finding } from './ports.ts';
import type { ReadPauses } from './pauses.ts';
import type { RecordBatchBuilder } from './record-batch.ts';

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
  /** The source's clock minus the leader's, as far as the source could tell: what is committed by one is aged by the other. */
  readonly clockOffsetUs?: number;
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
  /** Bytes of appends that are worth being on their way at once; more would only wait, and take memory. */
  readonly inFlightBytesMax: number;
  /**
   * For so many milliseconds behind an acknowledgement a small append waits for more, one at a time: what a request costs the
   * log, and its readers, whatever is in it. 0 where that is little: then two may be on their way, and none waits.
   */
  readonly restMs: number;
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
  /**
   * A TRUNCATE: every partition of the stream holds it, under one version, and this is their number. It stops each of them
   * until all have come to it.
   */
  readonly barrier?: number | undefined;
}

/** What of a record tells where it stands: enough to compare two histories, and to say how late somebody is. */
export type RecordHead = Pick<LogRecord, 'offset' | 'version' | 'term' | 'committedAtUs'>;

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
   * This member's share of the group's partitions. `claim` is called with the whole share once it is known, be it none, and
   * whenever it has changed, or when another member held some of it in between; it answers where each partition goes on:
   * what is kept is read again from there too, because the sink rolls back what it had open. The term in that answer keeps
   * out a frozen older leader's records right behind the place. Ends only by abort or error. `pauses` is live: nothing is
   * delivered of a partition while it rests there, and then it goes on where it was.
   */
  read(
    group: string,
    claim: (partitions: readonly PartitionId[]) => Promise<ReadPlaces>,
    signal: AbortSignal,
    pauses?: ReadPauses,
  ): AsyncIterable<Delivery>;
  /**
   * Where the first record from that offset on stands, whatever its term, if one is there now; never waits. LOG_LOST_HISTORY
   * below the start. Without the row: who watches the lag must not hold a row of 100 MB for it.
   */
  at(partition: PartitionId, offset: number): Promise<RecordHead | undefined>;
  /** No group, all named partitions, from the named offsets; knows of no term before the first record that it meets. */
  readFrom(offsets: Offsets, signal: AbortSignal): AsyncIterable<Delivery>;
  /** Advisory: this group has durably applied below these offsets; retention may delete below the lowest of all groups. */
  applied(group: string, offsets: Offsets): Promise<void>;
  /** Advisory: since when (ms) these partitions wait at a barrier in this group; undefined where one does not, or no more. */
  waits(group: string, sinceMs: ReadonlyMap<PartitionId, number | undefined>): Promise<void>;
  /** Forgets a group's advisory offsets: the person's consent to rebuild it from the log's start. */
  forget(group: string): Promise<void>;
  /** Advisory: what a part last ran into, kept past the end of its process for whoever looks; undefined when it runs again. */
  trouble(part: string, trouble: PartTrouble | undefined): Promise<void>;
  schema(id: string): Promise<TableSchema | undefined>;
  state(): Promise<LogState>;
}

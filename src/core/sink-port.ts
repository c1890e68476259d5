/** Where changes go, and what transforms make of them on the way. The rules for all ports are in ports.ts. */
import type { ChangeEvent, TableId, TableSchema, Version } from './change.ts';
import type { Offsets, PartitionId } from './log-port.ts';
import type { Finding } from './ports.ts';
import type { Quarantine } from './quarantine-port.ts';

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
  /**
   * Set for a TRUNCATE, which comes in a batch of its own (an entry for each mapping of the table, nothing else, never
   * `open`): all partitions of its stream, this one included. Its work waits until every one of them has come to it.
   */
  readonly barrier?: readonly PartitionId[];
}

/** What another pipeline left in a target under the same service's name: the last that it applied, over all partitions. */
export interface AppliedByOther {
  readonly pipeline: string;
  readonly transactionId: string;
  readonly committedAtUs: number;
}

export type WriteOutcome = 'committed' | 'open' | 'waiting';

export interface Sink extends AsyncDisposable {
  /** `schemas[i]`: the shape of mapping i's table behind its transforms; undefined where the source has no such table. */
  check(schemas: readonly (TableSchema | undefined)[]): Promise<readonly Finding[]>;
  /** What the target says, without claiming; for status and checks. */
  progress(): Promise<ReadonlyMap<PartitionId, Progress>>;
  /** Other pipelines that filled this target for a service of this name, in no order; for checks. */
  appliedByOthers(): Promise<readonly AppliedByOther[]>;
  /**
   * Takes the partitions: raises their owner epoch in the target, so that whoever held them before can no longer write,
   * and answers where each stands (absent: never applied). An open transaction of ours is rolled back first.
   */
  claim(partitions: readonly PartitionId[]): Promise<ReadonlyMap<PartitionId, Progress>>;
  /**
   * Advisory, and free of effects: these entries, the same array, come in a `write` soon, and what needs no server can be
   * done for them now, while another write is under way.
   */
  prepare?(entries: readonly Entry[]): void;
  /**
   * Rows and progress in one transaction, compared on owner epoch and on the progress this sink wrote or read last.
   * Answers `committed` when durable in the target, `open` while a transaction waits for its last part.
   * Throws TARGET_FENCED (retry) when another owner took the partition.
   *
   * A barrier answers `waiting` while other partitions have not come to it, or its work goes on in steps: then the same
   * batch is written again after a while, and nothing else in this partition before. That a partition came is noted in
   * the target, so several workers can share a barrier: the last to arrive does the work once and moves the progress of
   * all partitions in one transaction, and the others are answered `committed` when they ask again. These answers speak for
   * the batch's own partition alone, whatever is open in others. A claim leaves what
   * was noted, progress that is another than at the arrival makes it void, and a death at any point is harmless.
   */
  write(batch: SinkBatch): Promise<WriteOutcome>;
  /**
   * Batches of partitions that are all different, none open, no barrier: in one transaction, or `apart`: nothing was written,
   * and each is to be written by itself, where whatever is the matter with one is told. Throws only where that could not help.
   */
  writeTogether?(batches: readonly SinkBatch[]): Promise<'committed' | 'apart'>;
  /** Changes of the claimed partitions are held (see quarantine-port.ts), and {@link tend} is to be called again and again. */
  readonly holds?: boolean;
  /**
   * Tries what is held, in a transaction of its own under the same fence as a write; nothing while a transaction is open.
   * `ends`: of the log's last complete record, where it is known: what is still refused when all partitions of the service
   * have passed the ends of a record that holds all that any had reached when it was refused is poison. Answers how many
   * keys are free again. A partition that another owner took is left to him; one that only a person's order took from us
   * throws TARGET_FENCED (retry), as a write would. Throws what a write would throw for poison where the policy is to halt.
   */
  tend?(ends: Offsets | undefined): Promise<number>;
  /** What was refused, for a person; absent where this kind of target stops at every refusal. */
  readonly quarantine?: Quarantine;
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

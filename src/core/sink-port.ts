/** Where changes go, and what transforms make of them on the way. The rules for all ports are in ports.ts. */
import type { ChangeEvent, TableId, TableSchema, Version } from './change.ts';
import type { PartitionId } from './log-port.ts';
import type { Finding } from './ports.ts';

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

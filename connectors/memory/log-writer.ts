import type { TableSchema } from '../../src/core/change.ts';
import { invariant } from '../../src/core/assert.ts';
import { faultPoint } from '../../src/core/fault-point.ts';
import { fenced, logClosed, logFull, unknownPartition, writerBroken } from '../../src/core/log-errors.ts';
import type { Append, CompleteRecord, StartRecord, Tail, Writer } from '../../src/core/log-port.ts';
import type { MemoryLogCluster, MemoryOwner } from './log-cluster.ts';

/** A process that may die: then nothing more that it asked for happens. */
export interface WriterOwner extends MemoryOwner {
  throwIfClosed(): void;
}

export class MemoryWriter implements Writer {
  readonly term: number;
  readonly owner: WriterOwner;
  readonly batchBytesMax: number;
  readonly inFlightBytesMax = 8 * 1024 * 1024;
  readonly restMs = 0;
  readonly #cluster: MemoryLogCluster;
  #queue: Promise<unknown> = Promise.resolve();
  #broken: unknown;
  #disposed = false;

  constructor(cluster: MemoryLogCluster, owner: WriterOwner, term: number) {
    this.#cluster = cluster;
    this.owner = owner;
    this.term = term;
    this.batchBytesMax = cluster.settings.batchBytesMax ?? 8 * 1024 * 1024;
  }

  tail(): Promise<Tail> {
    return this.#inTurn(() => {
      const complete = this.#cluster.complete();
      return {
        partitions: new Map(this.owner.partitionIds.map((id) => [id, this.#cluster.state(this.#cluster.partition(id))])),
        ...(this.#cluster.startRecord && { start: this.#cluster.startRecord }),
        ...(complete && { complete }),
      };
    });
  }

  append(appends: readonly Append[]): Promise<void> {
    return this.#inTurn(() => {
      const known = new Set(this.owner.partitionIds);
      for (const { partition } of appends) if (!known.has(partition)) throw unknownPartition(partition);
      this.#write(() => {
        for (const { partition, batch } of appends) this.#cluster.store(this.#cluster.partition(partition), batch, this.term);
      });
    }, true);
  }

  start(record: StartRecord): Promise<void> {
    return this.#inTurn(() => {
      invariant(this.#cluster.startRecord === undefined, 'the start record is written once');
      this.#write(() => (this.#cluster.startRecord = record));
    }, true);
  }

  define(schema: TableSchema): Promise<void> {
    return this.#inTurn(() => {
      if (!this.#cluster.schemas.has(schema.id)) this.#write(() => this.#cluster.schemas.set(schema.id, schema));
    }, true);
  }

  complete(record: Omit<CompleteRecord, 'ends' | 'term'>): Promise<void> {
    return this.#inTurn(() => {
      this.#write(() => {
        this.#cluster.completeRecord = { ...record, term: this.term };
        for (const partition of this.#cluster.partitions.values()) partition.completeOffset = partition.endOffset;
      });
    }, true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    if (this.#cluster.leader !== this) return;
    this.#cluster.leader = undefined;
    this.#cluster.changed();
  }

  /** One after the other, in the order of the calls; the first failure of a write fails all behind it. */
  #inTurn<T>(task: () => T, isWrite = false): Promise<T> {
    const turn = this.#queue.then(async () => {
      if (isWrite) await this.#cluster.settings.commit?.();
      this.owner.throwIfClosed();
      if (this.#disposed) throw logClosed();
      if (this.#cluster.term !== this.term) throw fenced(this.term, this.#cluster.term);
      if (isWrite && this.#broken !== undefined) throw writerBroken(this.#broken);
      try {
        return task();
      } catch (error) {
        this.#broken ??= error;
        throw error;
      }
    });
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  #write(change: () => void): void {
    faultPoint('log:before-commit');
    if (!this.#cluster.takeSpace()) throw logFull('the memory log');
    change();
    faultPoint('log:after-commit');
    this.#cluster.changed();
  }
}

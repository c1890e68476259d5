/** A target in memory with a real one's manners: owner epochs, compare-and-set, transactions that stay open. For tests. */
import { invariant } from '../../src/core/assert.ts';
import { tableName, type TableSchema } from '../../src/core/change.ts';
import { asCrossfadeError } from '../../src/core/errors.ts';
import { faultPoint } from '../../src/core/fault-point.ts';
import type { AppliedByOther, Entry, Mapping, Progress, Sink, SinkBatch, WriteOutcome } from '../../src/core/sink-port.ts';
import type { Finding } from '../../src/core/ports.ts';
import type { Offsets, PartitionId } from '../../src/core/log-port.ts';
import type { PoisonPolicy, Quarantine } from '../../src/core/quarantine-port.ts';
import { applyRefusing, changesOf, type MemoryChange, MemoryDeadlines, MemoryQuarantine, type Queues, tendQueues } from './refusing.ts';
import { fenced, isOfOne, unreachable } from './sink-errors.ts';
import { furthest, type MemoryStore, type StoredProgress } from './store.ts';

export interface MemorySinkOptions {
  readonly mappings: readonly Mapping[];
  readonly pipeline?: string;
  readonly onPoison?: PoisonPolicy;
  /** All of the service: with more than one, what one refuses may be held. */
  readonly partitions?: readonly PartitionId[];
  /** Deliberate breakages, for tests that must notice them. */
  readonly skipCompareAndSet?: boolean;
  /** Progress moves on, rows do not, for every n-th batch. */
  readonly dropEveryBatches?: number;
}

interface Held {
  readonly ownerEpoch: number;
  readonly nextOffset: number | undefined;
}

interface OpenTransaction {
  readonly operations: MemoryChange[];
  /** What each partition was before the transaction, and is to become. */
  readonly before: Map<PartitionId, Held>;
  readonly after: Map<PartitionId, Progress>;
  readonly open: Set<PartitionId>;
}

export function openMemorySink(store: MemoryStore, options: MemorySinkOptions): Sink {
  return new MemorySink(store, options);
}

class MemorySink implements Sink {
  readonly #store: MemoryStore;
  readonly #options: MemorySinkOptions;
  readonly #progress: Map<PartitionId, StoredProgress>;
  readonly #held = new Map<PartitionId, Held>();
  #transaction: OpenTransaction | undefined;
  #gone = false;
  #batches = 0;
  readonly #queues: Queues;
  readonly #deadlines = new MemoryDeadlines();
  readonly quarantine: Quarantine;

  constructor(store: MemoryStore, options: MemorySinkOptions) {
    this.#store = store;
    this.#options = options;
    this.#progress = store.progressOf(options.pipeline ?? '');
    this.#queues = store.queuesOf(options.pipeline ?? '');
    this.quarantine = new MemoryQuarantine(
      this.#queues,
      (change) => {
        const { table, key, row } = change;
        const kind = row && store.refuse?.(store.table(table), key, row, table);
        if (!kind) this.#execute(change);
        return kind;
      },
      (partition) => {
        const stored = this.#progress.get(partition);
        if (stored) stored.ownerEpoch += 1;
      },
    );
  }

  get holds(): boolean {
    return this.#queues.queued.some(({ state, partition }) => state === 'held' && this.#held.has(partition));
  }

  async tend(ends: Offsets | undefined): Promise<number> {
    this.#alive();
    const { refuse } = this.#store;
    const partitions = new Set(this.#queues.queued.flatMap(({ partition }) => (this.#held.has(partition) ? [partition] : [])));
    if (this.#transaction) return 0;
    // What another took is his to look after.
    for (const one of partitions)
      if (this.#progress.get(one)?.ownerEpoch !== this.#held.get(one)?.ownerEpoch && partitions.delete(one)) {
        // Not another, but a person's order: nobody else looks after it.
        if (this.#progress.get(one)?.owner === this) throw fenced(one);
        this.#held.delete(one);
      }
    const own = ends && new Map([...ends].filter(([partition]) => this.#options.partitions?.includes(partition)));
    const nextOf = (partition: PartitionId) => this.#progress.get(partition)?.progress?.nextOffset ?? 0;
    return tendQueues(this.#store.tables, this.#queues, {
      partitions,
      policy: this.#policy(),
      refuse: refuse ?? (() => undefined),
      isPoison: ({ id, reached }) => this.#deadlines.passed(id, reached, own, nextOf),
      write: (draft) => this.#store.replace(draft),
    });
  }

  async check(schemas: readonly (TableSchema | undefined)[]): Promise<readonly Finding[]> {
    this.#alive();
    return schemas.flatMap((schema, index): Finding[] => {
      const where = this.#options.mappings[index]?.target ?? `mapping ${index}`;
      return schema ? [] : [{ level: 'error', code: 'SOURCE_TABLE_MISSING', where, message: 'the source has no such table' }];
    });
  }

  async progress(): Promise<ReadonlyMap<PartitionId, Progress>> {
    this.#alive();
    return new Map([...this.#progress].flatMap(([partition, { progress }]) => (progress ? [[partition, progress]] : [])));
  }

  async appliedByOthers(): Promise<readonly AppliedByOther[]> {
    this.#alive();
    const others = [...this.#store.pipelines].filter(([, progress]) => progress !== this.#progress);
    return others.flatMap(([pipeline, stored]) => {
      const applied = [...stored.values()].flatMap(({ progress }) => progress ?? []);
      const last = applied.toSorted((one, other) => (one.version < other.version ? 1 : -1))[0];
      return last ? [{ pipeline, transactionId: last.transactionId, committedAtUs: last.committedAtUs }] : [];
    });
  }

  async claim(partitions: readonly PartitionId[]): Promise<ReadonlyMap<PartitionId, Progress>> {
    this.#alive();
    // What was written and is rolled back now must come again: its partitions are ours only after another claim.
    for (const partition of this.#transaction?.after.keys() ?? []) this.#held.delete(partition);
    this.#transaction = undefined;
    const answer = new Map<PartitionId, Progress>();
    for (const partition of partitions) {
      const stored: StoredProgress = this.#progress.get(partition) ?? { ownerEpoch: 0, progress: undefined };
      stored.ownerEpoch += 1;
      stored.owner = this;
      this.#progress.set(partition, stored);
      this.#held.set(partition, { ownerEpoch: stored.ownerEpoch, nextOffset: stored.progress?.nextOffset });
      if (stored.progress) answer.set(partition, stored.progress);
    }
    return answer;
  }

  async write(batch: SinkBatch): Promise<WriteOutcome> {
    this.#alive();
    return batch.barrier === undefined ? this.#writeAll([batch]) : this.#arrive(batch, batch.barrier);
  }

  async writeTogether(batches: readonly SinkBatch[]): Promise<'committed' | 'apart'> {
    this.#alive();
    if (this.#transaction) return 'apart';
    try {
      this.#writeAll(batches, true);
      return 'committed';
    } catch (error) {
      if (!isOfOne(asCrossfadeError(error))) throw error;
      return 'apart';
    }
  }

  #writeAll(batches: readonly SinkBatch[], isTogether = false): WriteOutcome {
    try {
      for (const batch of batches) this.#join(batch);
      invariant(this.#transaction, 'something is written');
      if (this.#transaction.open.size > 0) return 'open';
      faultPoint('sink:before-commit');
      if (this.#wasCut()) throw unreachable();
      this.#commit(this.#transaction, isTogether);
    } catch (error) {
      // Any error rolls the whole open transaction back, as a real server would.
      this.#transaction = undefined;
      throw error;
    }
    this.#transaction = undefined;
    return this.#answer('committed');
  }

  /** A commit has happened; whether anybody hears of it is another matter. */
  #answer(outcome: WriteOutcome): WriteOutcome {
    faultPoint('sink:after-commit');
    if (this.#wasCut()) throw unreachable();
    if (this.#store.loseReplies === 0) return outcome;
    this.#store.loseReplies -= 1;
    this.#gone = true;
    throw unreachable();
  }

  /** Notes that the partition came to the barrier; the last to come does the work and moves all of them. */
  #arrive(batch: SinkBatch, all: readonly PartitionId[]): WriteOutcome {
    const { partition, progress } = batch;
    const held = this.#held.get(partition);
    const stored = this.#progress.get(partition);
    if (!held || stored?.ownerEpoch !== held.ownerEpoch) throw fenced(partition);
    if (stored.progress?.nextOffset === progress.nextOffset && stored.progress.version === progress.version) {
      // Whoever came last moved us too.
      this.#held.set(partition, { ...held, nextOffset: progress.nextOffset });
      return 'committed';
    }
    if (!this.#stands(partition, held)) throw fenced(partition);
    const tables = batch.entries.map((entry) => this.#tableOf(entry));
    // What is open here is not durable, and what it holds of this partition comes before the barrier.
    if (this.#transaction) return 'waiting';
    faultPoint('sink:before-commit');
    stored.arrival = { from: stored.progress?.nextOffset, to: progress };
    const others = all.map((one) => this.#progress.get(one));
    const arrived = others.every((one) => one?.arrival?.to.version === progress.version && one.arrival.from === one.progress?.nextOffset);
    if (!arrived) return this.#answer('waiting');
    this.#store.commits += 1;
    for (const table of tables) this.#store.table(table).clear();
    this.#queues.remove(this.#queues.queued.filter(({ table, event }) => tables.includes(table) && event.version < progress.version));
    for (const [index, one] of others.entries()) {
      const { to } = one?.arrival ?? {};
      if (one && to) this.#progress.set(all[index] as PartitionId, { ...ownerOf(one), progress: to });
    }
    this.#held.set(partition, { ...held, nextOffset: progress.nextOffset });
    return this.#answer('committed');
  }

  async reset(partitions: readonly PartitionId[]): Promise<void> {
    this.#alive();
    this.#transaction = undefined;
    for (const partition of partitions) {
      const stored = this.#progress.get(partition);
      if (stored) this.#progress.set(partition, { ...ownerOf(stored), ownerEpoch: stored.ownerEpoch + 1, progress: undefined });
      this.#held.delete(partition);
    }
    this.#queues.remove(this.#queues.queued.filter(({ partition }) => partitions.includes(partition)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#transaction = undefined;
    this.#gone = true;
  }

  #join(batch: SinkBatch): void {
    const held = this.#held.get(batch.partition);
    if (!held || !this.#stands(batch.partition, held)) throw fenced(batch.partition);
    invariant(!batch.entries.some(({ event }) => event.op === 'truncate'), 'a truncate comes alone, as a barrier');
    const operations = batch.entries.flatMap((entry) => changesOf(entry.event, this.#tableOf(entry), batch.partition));
    this.#batches += 1;
    if (this.#options.dropEveryBatches && this.#batches % this.#options.dropEveryBatches === 0) operations.length = 0;
    const transaction = (this.#transaction ??= begin());
    transaction.operations.push(...operations);
    if (!transaction.before.has(batch.partition)) transaction.before.set(batch.partition, held);
    transaction.after.set(batch.partition, batch.progress);
    if (batch.open) transaction.open.add(batch.partition);
    else transaction.open.delete(batch.partition);
  }

  #stands(partition: PartitionId, held: Held): boolean {
    if (this.#options.skipCompareAndSet) return true;
    const stored = this.#progress.get(partition);
    return stored?.ownerEpoch === held.ownerEpoch && stored.progress?.nextOffset === held.nextOffset;
  }

  #tableOf({ mapping: index }: Entry): string {
    const mapping = this.#options.mappings[index];
    invariant(mapping, `a batch names mapping ${index}, which does not exist`);
    return mapping.target === '' ? tableName(mapping.source) : mapping.target;
  }

  /** All or nothing: nothing here can throw after the first change, and nothing awaits. */
  #commit(transaction: OpenTransaction, isTogether: boolean): void {
    for (const [partition, held] of transaction.before) if (!this.#stands(partition, held)) throw fenced(partition);
    const { refuse, tables } = this.#store;
    if (refuse) {
      const reached = furthest(this.#progress, transaction.after);
      this.#store.replace(applyRefusing(tables, this.#queues, transaction.operations, this.#policy(isTogether), refuse, reached));
    } else for (const operation of transaction.operations) this.#execute(operation);
    this.#store.commits += 1;
    for (const [partition, progress] of transaction.after) {
      const ownerEpoch = this.#held.get(partition)?.ownerEpoch ?? 0;
      const stored = this.#progress.get(partition);
      this.#progress.set(partition, { ...ownerOf(stored ?? { ownerEpoch }), progress });
      this.#held.set(partition, { ownerEpoch, nextOffset: progress.nextOffset });
    }
  }

  #policy(isTogether = false) {
    const { onPoison = 'halt', partitions = [] } = this.#options;
    return { onPoison, mayHold: partitions.length > 1, isTogether };
  }

  #execute({ table, key, row }: MemoryChange): void {
    if (row) this.#store.table(table).set(key, row);
    else this.#store.table(table).delete(key);
  }

  #wasCut(): boolean {
    const { isCut } = this.#store;
    this.#store.isCut = false;
    this.#gone ||= isCut;
    return isCut;
  }

  #alive(): void {
    if (this.#gone) throw unreachable();
  }
}

const begin = (): OpenTransaction => ({ operations: [], before: new Map(), after: new Map(), open: new Set() });
const ownerOf = ({ ownerEpoch, owner }: Pick<StoredProgress, 'ownerEpoch' | 'owner'>) => ({ ownerEpoch, ...(owner && { owner }) });

/** A target in memory with a real one's manners: owner epochs, compare-and-set, transactions that stay open. For tests. */
import { invariant } from '../../src/core/assert.ts';
import { keyText } from '../../src/core/canonical.ts';
import { tableName, type Row, type TableSchema } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import { faultPoint } from '../../src/core/fault-point.ts';
import type { AppliedByOther, Entry, Mapping, Progress, Sink, SinkBatch, WriteOutcome } from '../../src/core/sink-port.ts';
import type { Finding } from '../../src/core/ports.ts';
import type { PartitionId } from '../../src/core/log-port.ts';

interface StoredProgress {
  ownerEpoch: number;
  progress: Progress | undefined;
  /** The partition came to a barrier: where it stood, and where it is to stand behind it. Void where it stands elsewhere. */
  arrival?: { readonly from: number | undefined; readonly to: Progress };
}

/** What outlives every process: several sinks on one store are several processes on one server. */
export class MemoryStore {
  readonly tables = new Map<string, Map<string, Row>>();
  /** Of the pipeline without a name; the others' are in `pipelines`. */
  readonly progress = new Map<PartitionId, StoredProgress>();
  readonly pipelines = new Map([['', this.progress]]);
  /** So many of the next commits happen, but their answer never arrives and the connection is gone. */
  loseReplies = 0;
  /** How often rows and progress changed. */
  commits = 0;

  progressOf(pipeline: string): Map<PartitionId, StoredProgress> {
    let progress = this.pipelines.get(pipeline);
    if (!progress) this.pipelines.set(pipeline, (progress = new Map<PartitionId, StoredProgress>()));
    return progress;
  }

  rows(target: string): Row[] {
    return [...(this.tables.get(target)?.values() ?? [])];
  }

  table(target: string): Map<string, Row> {
    let table = this.tables.get(target);
    if (!table) this.tables.set(target, (table = new Map<string, Row>()));
    return table;
  }
}

export interface MemorySinkOptions {
  readonly mappings: readonly Mapping[];
  readonly pipeline?: string;
  /** Deliberate breakages, for tests that must notice them. */
  readonly skipCompareAndSet?: boolean;
  /** Progress moves on, rows do not, for every n-th batch. */
  readonly dropEveryBatches?: number;
}

interface Held {
  readonly ownerEpoch: number;
  readonly nextOffset: number | undefined;
}

interface Operation {
  readonly table: string;
  /** undefined: all rows go. */
  readonly key: string | undefined;
  /** undefined: the row goes. */
  readonly row: Row | undefined;
}

interface OpenTransaction {
  readonly operations: Operation[];
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

  constructor(store: MemoryStore, options: MemorySinkOptions) {
    this.#store = store;
    this.#options = options;
    this.#progress = store.progressOf(options.pipeline ?? '');
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
      this.#progress.set(partition, stored);
      this.#held.set(partition, { ownerEpoch: stored.ownerEpoch, nextOffset: stored.progress?.nextOffset });
      if (stored.progress) answer.set(partition, stored.progress);
    }
    return answer;
  }

  async write(batch: SinkBatch): Promise<WriteOutcome> {
    this.#alive();
    if (batch.barrier !== undefined) return this.#arrive(batch, batch.barrier);
    try {
      const transaction = this.#join(batch);
      if (transaction.open.size > 0) return 'open';
      faultPoint('sink:before-commit');
      this.#commit(transaction);
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
    const operations = batch.entries.flatMap((entry) => this.#operations(entry));
    // What is open here is not durable, and what it holds of this partition comes before the barrier.
    if (this.#transaction) return 'waiting';
    faultPoint('sink:before-commit');
    stored.arrival = { from: stored.progress?.nextOffset, to: progress };
    const others = all.map((one) => this.#progress.get(one));
    const arrived = others.every((one) => one?.arrival?.to.version === progress.version && one.arrival.from === one.progress?.nextOffset);
    if (!arrived) return this.#answer('waiting');
    this.#store.commits += 1;
    for (const operation of operations) this.#execute(operation);
    for (const [index, one] of others.entries()) {
      const { to } = one?.arrival ?? {};
      if (one && to) this.#progress.set(all[index] as PartitionId, { ownerEpoch: one.ownerEpoch, progress: to });
    }
    this.#held.set(partition, { ...held, nextOffset: progress.nextOffset });
    return this.#answer('committed');
  }

  async reset(partitions: readonly PartitionId[]): Promise<void> {
    this.#alive();
    this.#transaction = undefined;
    for (const partition of partitions) {
      const stored = this.#progress.get(partition);
      if (stored) this.#progress.set(partition, { ownerEpoch: stored.ownerEpoch + 1, progress: undefined });
      this.#held.delete(partition);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#transaction = undefined;
    this.#gone = true;
  }

  #join(batch: SinkBatch): OpenTransaction {
    const held = this.#held.get(batch.partition);
    if (!held || !this.#stands(batch.partition, held)) throw fenced(batch.partition);
    invariant(!batch.entries.some(({ event }) => event.op === 'truncate'), 'a truncate comes alone, as a barrier');
    const operations = batch.entries.flatMap((entry) => this.#operations(entry));
    this.#batches += 1;
    if (this.#options.dropEveryBatches && this.#batches % this.#options.dropEveryBatches === 0) operations.length = 0;
    const transaction = (this.#transaction ??= begin());
    transaction.operations.push(...operations);
    if (!transaction.before.has(batch.partition)) transaction.before.set(batch.partition, held);
    transaction.after.set(batch.partition, batch.progress);
    if (batch.open) transaction.open.add(batch.partition);
    else transaction.open.delete(batch.partition);
    return transaction;
  }

  #stands(partition: PartitionId, held: Held): boolean {
    if (this.#options.skipCompareAndSet) return true;
    const stored = this.#progress.get(partition);
    return stored?.ownerEpoch === held.ownerEpoch && stored.progress?.nextOffset === held.nextOffset;
  }

  #operations({ mapping: index, event }: Entry): Operation[] {
    const mapping = this.#options.mappings[index];
    invariant(mapping, `a batch names mapping ${index}, which does not exist`);
    const table = mapping.target === '' ? tableName(mapping.source) : mapping.target;
    if (event.op === 'truncate') return [{ table, key: undefined, row: undefined }];
    const names = event.schema.key;
    const gone: Operation[] =
      event.op === 'delete' || event.op === 'update' ? [{ table, key: keyText(names, event.before), row: undefined }] : [];
    return event.op === 'delete' ? gone : [...gone, { table, key: keyText(names, event.after), row: event.after }];
  }

  /** All or nothing: nothing here can throw after the first change, and nothing awaits. */
  #commit(transaction: OpenTransaction): void {
    for (const [partition, held] of transaction.before) if (!this.#stands(partition, held)) throw fenced(partition);
    this.#store.commits += 1;
    for (const operation of transaction.operations) this.#execute(operation);
    for (const [partition, progress] of transaction.after) {
      const ownerEpoch = this.#held.get(partition)?.ownerEpoch ?? 0;
      const stored = this.#progress.get(partition);
      this.#progress.set(partition, { ownerEpoch: stored?.ownerEpoch ?? ownerEpoch, progress });
      this.#held.set(partition, { ownerEpoch, nextOffset: progress.nextOffset });
    }
  }

  #execute({ table, key, row }: Operation): void {
    if (key === undefined) this.#store.table(table).clear();
    else if (row) this.#store.table(table).set(key, row);
    else this.#store.table(table).delete(key);
  }

  #alive(): void {
    if (this.#gone) throw unreachable();
  }
}

const begin = (): OpenTransaction => ({ operations: [], before: new Map(), after: new Map(), open: new Set() });

function unreachable(): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_UNREACHABLE',
    fault: 'retry',
    message: 'the connection to the target is gone',
    remedy: 'Nothing to do: a new connection reads what happened.',
  });
}

function fenced(partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_FENCED',
    fault: 'retry',
    message: `another owner took ${partition}, or this one never claimed it`,
    remedy: 'Nothing to do: the owner of the partition goes on.',
  });
}

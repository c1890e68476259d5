/** The leader's hand on the log. Its calls become durable in their order, in the thread that appends. */
import type { TableSchema } from '../../src/core/change.ts';
import { unknownPartition, logClosed } from '../../src/core/log-errors.ts';
import type { Append, CompleteRecord, PartitionId, StartRecord, Tail, Writer } from '../../src/core/log-port.ts';
import type { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import type { AppendThread } from './append-thread.ts';
import { batchBytesMax, type PlainAppend } from './appender.ts';
import { readContents } from './records.ts';
import type { Store } from './store.ts';

/** What one commit takes while the next is collected. */
const inFlightBytesMax = 3 * 1024 * 1024;

export interface WriterParts {
  readonly thread: AppendThread;
  /** Another connection, for reading. */
  readonly store: Store;
  readonly partitions: ReadonlyMap<PartitionId, number>;
  /** Below what no group has applied, for retention. */
  readonly lowestApplied: () => ReadonlyMap<PartitionId, number>;
  /** So many batches were deleted. */
  readonly deleted: (batches: number) => void;
  /** Ends the thread, and then the leadership: it is let go only when nothing of ours can be written any more. */
  readonly close: () => Promise<void>;
}

export class SqliteWriter implements Writer {
  readonly term: number;
  readonly batchBytesMax = batchBytesMax;
  readonly inFlightBytesMax = inFlightBytesMax;
  readonly restMs = 0;
  readonly #parts: WriterParts;
  readonly #defined = new Set<string>();
  #closed = false;

  constructor(parts: WriterParts, term: number) {
    this.#parts = parts;
    this.term = term;
  }

  async tail(): Promise<Tail> {
    if (this.#closed) throw logClosed();
    const { start, complete, partitions } = readContents(this.#parts.store);
    const { logId } = this.#parts.store;
    const states = [...this.#parts.partitions.keys()].map(
      (id) => [id, partitions.get(id) ?? { logId, startOffset: 0, endOffset: 0 }] as const,
    );
    return { partitions: new Map(states), ...(start && { start }), ...(complete && { complete }) };
  }

  async append(appends: readonly Append[]): Promise<void> {
    const { thread } = this.#parts;
    const plain: PlainAppend[] = [];
    for (const append of appends) {
      const partition = this.#parts.partitions.get(append.partition);
      if (partition === undefined) {
        const error = unknownPartition(append.partition);
        thread.refuse(error);
        throw error;
      }
      plain.push(plainAppend(partition, append.batch));
    }
    const builders = appends.map(({ batch }) => batch);
    const memories = plain.map(({ batch }) => batch.memory);
    await thread.ask({ kind: 'append', appends: plain }, builders, memories);
  }

  async start(record: StartRecord): Promise<void> {
    await this.#parts.thread.ask({ kind: 'start', record: JSON.stringify(record) });
  }

  async define(schema: TableSchema): Promise<void> {
    if (this.#defined.has(schema.id)) return;
    await this.#parts.thread.ask({ kind: 'define', id: schema.id, definition: JSON.stringify(schema) });
    this.#defined.add(schema.id);
  }

  async complete(record: Omit<CompleteRecord, 'ends' | 'term'>): Promise<void> {
    const { thread, lowestApplied, deleted } = this.#parts;
    await thread.ask({ kind: 'complete', record: JSON.stringify({ ...record, term: this.term }) });
    const batches = await thread.ask({ kind: 'retain', lowestApplied: lowestApplied() });
    if (batches !== undefined && batches > 0) deleted(batches);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#parts.close();
  }
}

/** What the thread is told of a batch, and its memory. */
export function plainAppend(partition: number, batch: RecordBatchBuilder): PlainAppend {
  const { bytes, firstVersion, firstCommittedAtUs, lastVersion, lastTransactionId } = batch;
  return { partition, batch: batch.plain(), bytes, firstVersion, firstCommittedAtUs, lastVersion, lastTransactionId };
}

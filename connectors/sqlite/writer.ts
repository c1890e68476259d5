/** The leader's hand on the log. Every write is one transaction that compares the term first, so a leader of old cannot write. */
import type { StatementSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { invariant } from '../../src/core/assert.ts';
import type { TableSchema } from '../../src/core/change.ts';
import { faultPoint } from '../../src/core/fault-point.ts';
import { fenced, logClosed, unknownPartition, writerBroken } from '../../src/core/log-errors.ts';
import type { Append, CompleteRecord, PartitionId, StartRecord, Tail, Writer } from '../../src/core/log-port.ts';
import type { Codec } from '../../src/core/record-batch.ts';
import { readContents } from './records.ts';
import type { Store } from './store.ts';

export interface WriterParts {
  readonly store: Store;
  readonly partitions: ReadonlyMap<PartitionId, number>;
  readonly codec: Codec;
  /** After every commit that readers may wait for. */
  readonly committed: () => void;
  /** After a complete record: deletes what may be deleted, a little at a time. */
  readonly maintain: () => void;
  readonly close: () => void;
}

/** Takes the next term: from this commit on, no older leader can write. */
export function nextTerm(store: Store): number {
  return store.transaction(() => {
    store.db.exec('UPDATE leadership SET term = term + 1');
    return termOf(store.db.prepare('SELECT term FROM leadership'));
  });
}

function termOf(statement: StatementSync): number {
  return Number(statement.get()?.['term']);
}

/** SQLite takes a gigabyte in one row; this bounds what a reader of a huge transaction holds at once: a few thousand rows as objects. */
const batchBytesMax = 2 * 1024 * 1024;
/** Inserts no row. */
const nothing = Array.from({ length: 11 }, () => null);

export class SqliteWriter implements Writer {
  readonly term: number;
  readonly batchBytesMax = batchBytesMax;
  readonly #parts: WriterParts;
  readonly #defined = new Set<string>();
  readonly #term: StatementSync;
  readonly #end: StatementSync;
  readonly #moveEnd: StatementSync;
  readonly #insert: StatementSync;
  #broken: unknown;
  #closed = false;

  constructor(parts: WriterParts, term: number) {
    this.#parts = parts;
    this.term = term;
    const { db } = parts.store;
    this.#term = db.prepare('SELECT term FROM leadership');
    this.#end = db.prepare('SELECT end_offset FROM partitions WHERE id = ?');
    this.#moveEnd = db.prepare(
      'UPDATE partitions SET end_offset = ?, last_offset = ?, last_term = ?, last_version = ?, last_transaction = ? WHERE id = ?',
    );
    this.#insert = db.prepare(
      `INSERT INTO batches (partition, base_offset, next_offset, raw_bytes, term, first_version, first_committed_at_us, last_version,
       last_transaction, written_at_ms, data) SELECT * FROM (SELECT ? AS partition, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       WHERE partition IS NOT NULL`,
    );
  }

  async tail(): Promise<Tail> {
    this.#throwIfClosed();
    const { start, complete, partitions } = readContents(this.#parts.store);
    const { logId } = this.#parts.store;
    const states = [...this.#parts.partitions.keys()].map(
      (id) => [id, partitions.get(id) ?? { logId, startOffset: 0, endOffset: 0 }] as const,
    );
    return { partitions: new Map(states), ...(start && { start }), ...(complete && { complete }) };
  }

  append(appends: readonly Append[]): Promise<void> {
    return this.#write(() => {
      for (const append of appends) this.#append(append);
    });
  }

  #append({ partition, batch }: Append): void {
    const id = this.#parts.partitions.get(partition);
    if (id === undefined) throw unknownPartition(partition);
    const base = Number(this.#end.get(id)?.['end_offset']);
    const next = base + batch.count;
    const data = batch.finish(this.#parts.codec, base);
    const { bytes, firstVersion, firstCommittedAtUs, lastVersion, lastTransactionId } = batch;
    const first = [firstVersion, firstCommittedAtUs] as const;
    this.#insert.run(id, base, next, bytes, this.term, ...first, lastVersion, lastTransactionId, Date.now(), data);
    // SQLite keeps its copy of what was bound until the next call: a row of 100 MB would stay for as long as nothing follows.
    if (data.length > batchBytesMax) this.#insert.run(...nothing);
    this.#moveEnd.run(next, next - 1, this.term, lastVersion, lastTransactionId, id);
  }

  start(record: StartRecord): Promise<void> {
    return this.#write(() => {
      const { changes } = this.#parts.store.db
        .prepare("INSERT INTO control VALUES ('start', ?) ON CONFLICT DO NOTHING")
        .run(JSON.stringify(record));
      invariant(changes === 1, 'the start record is written once');
    });
  }

  async define(schema: TableSchema): Promise<void> {
    if (this.#defined.has(schema.id)) return;
    await this.#write(() => {
      this.#parts.store.db.prepare('INSERT INTO schemas VALUES (?, ?) ON CONFLICT DO NOTHING').run(schema.id, JSON.stringify(schema));
    });
    this.#defined.add(schema.id);
  }

  async complete(record: Omit<CompleteRecord, 'ends' | 'term'>): Promise<void> {
    this.#parts.store.throwIfReplaced();
    await this.#write(() => {
      const { db } = this.#parts.store;
      // Only what grew is touched: ten thousand idle partitions cost nothing.
      db.exec('UPDATE partitions SET complete_offset = end_offset WHERE complete_offset <> end_offset');
      db.prepare("INSERT INTO control VALUES ('complete', ?) ON CONFLICT DO UPDATE SET record = excluded.record").run(
        JSON.stringify({ ...record, term: this.term }),
      );
    });
    this.#parts.maintain();
  }

  /**
   * The transaction is one piece without an await, so calls become durable in their order; the first failure fails all
   * behind it. Then one turn of the event loop, or a capture that never waits would starve its sockets and signs of life.
   */
  async #write(work: () => void): Promise<void> {
    this.#throwIfClosed();
    if (this.#broken !== undefined) throw writerBroken(this.#broken);
    try {
      this.#parts.store.transaction(
        () => {
          const current = termOf(this.#term);
          if (current !== this.term) throw fenced(this.term, current);
          work();
        },
        () => faultPoint('log:before-commit'),
      );
    } catch (error) {
      this.#broken = error;
      throw error;
    }
    faultPoint('log:after-commit');
    this.#parts.committed();
    await nextTurn();
  }

  #throwIfClosed(): void {
    if (this.#closed) throw logClosed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#parts.close();
  }
}

/** What a leader writes, as transactions of one connection: each compares the term first, so a leader of old cannot write. */
import type { StatementSync } from 'node:sqlite';
import { invariant } from '../../src/core/assert.ts';
import { faultPoint } from '../../src/core/fault-point.ts';
import { fenced } from '../../src/core/log-errors.ts';
import { type Codec, finishBatch, freeBytes, type PlainBatch } from '../../src/core/record-batch.ts';
import type { Store } from './store.ts';

/** One batch of one partition, named by its row in the log's file. */
export interface PlainAppend {
  readonly partition: number;
  readonly batch: PlainBatch;
  /** Of the plain records. */
  readonly bytes: number;
  readonly firstVersion: string;
  readonly firstCommittedAtUs: number;
  readonly lastVersion: string;
  readonly lastTransactionId: string;
}

/** Records other than rows come as the JSON text that is stored. */
export type WriteRequest =
  | { readonly kind: 'append'; readonly appends: readonly PlainAppend[] }
  | { readonly kind: 'start'; readonly record: string }
  | { readonly kind: 'define'; readonly id: string; readonly definition: string }
  | { readonly kind: 'complete'; readonly record: string };

export interface Written {
  /** So many of the requests, from the first on, are durable. */
  readonly done: number;
  /** Why the next one is not. */
  readonly failure?: unknown;
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
export const batchBytesMax = 2 * 1024 * 1024;
/** Inserts no row. */
const nothing = Array.from({ length: 11 }, () => null);

export class Appender {
  readonly #store: Store;
  readonly #codec: Codec;
  readonly #leads: number;
  readonly #term: StatementSync;
  readonly #end: StatementSync;
  readonly #moveEnd: StatementSync;
  readonly #insert: StatementSync;

  constructor(store: Store, codec: Codec, term: number) {
    this.#store = store;
    this.#codec = codec;
    this.#leads = term;
    const { db } = store;
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

  /**
   * All of them in one transaction. Where one cannot be done, those before it are done without it: who asked earlier must not
   * suffer from who happened to ask in the same moment.
   */
  write(requests: readonly WriteRequest[]): Written {
    let reached = 0;
    try {
      this.#transaction(() => {
        for (const request of requests) {
          this.#do(request);
          reached += 1;
        }
      });
      return { done: requests.length };
    } catch (failure) {
      // At none, or at the commit itself, there is nothing in front that could stand alone.
      if (reached === 0 || reached === requests.length) return { done: 0, failure };
      const before = this.write(requests.slice(0, reached));
      return before.failure === undefined ? { done: reached, failure } : before;
    }
  }

  #transaction(work: () => void): void {
    this.#store.transaction(
      () => {
        const current = termOf(this.#term);
        if (current !== this.#leads) throw fenced(this.#leads, current);
        work();
      },
      () => faultPoint('log:before-commit'),
    );
    faultPoint('log:after-commit');
  }

  #do(request: WriteRequest): void {
    const { db } = this.#store;
    switch (request.kind) {
      case 'append':
        for (const append of request.appends) this.#append(append);
        return;
      case 'start': {
        const { changes } = db.prepare("INSERT INTO control VALUES ('start', ?) ON CONFLICT DO NOTHING").run(request.record);
        return invariant(changes === 1, 'the start record is written once');
      }
      case 'define':
        db.prepare('INSERT INTO schemas VALUES (?, ?) ON CONFLICT DO NOTHING').run(request.id, request.definition);
        return;
      case 'complete':
        this.#store.throwIfReplaced();
        // Only what grew is touched: ten thousand idle partitions cost nothing.
        db.exec('UPDATE partitions SET complete_offset = end_offset WHERE complete_offset <> end_offset');
        db.prepare("INSERT INTO control VALUES ('complete', ?) ON CONFLICT DO UPDATE SET record = excluded.record").run(request.record);
        return;
      default:
        return request satisfies never;
    }
  }

  #append({ partition, batch, bytes, firstVersion, firstCommittedAtUs, lastVersion, lastTransactionId }: PlainAppend): void {
    const base = Number(this.#end.get(partition)?.['end_offset']);
    const next = base + batch.count;
    const data = finishBatch(batch, this.#codec, base);
    const first = [firstVersion, firstCommittedAtUs] as const;
    this.#insert.run(partition, base, next, bytes, this.#leads, ...first, lastVersion, lastTransactionId, Date.now(), data);
    // SQLite keeps its copy of what was bound until the next call: a row of 100 MB would stay for as long as nothing follows.
    if (data.length > batchBytesMax) this.#insert.run(...nothing);
    this.#moveEnd.run(next, next - 1, this.#leads, lastVersion, lastTransactionId, partition);
    // SQLite has its own copy.
    if (data.buffer !== batch.memory) freeBytes(data);
  }
}

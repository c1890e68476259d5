/** Changes for the sinks' contract: a small history builder with rising versions, and a model to compare with. */
import * as fc from 'fast-check';

import type { ChangeEvent, Row, TableSchema } from '../../src/core/change.ts';
import type { Entry, Progress, SinkBatch } from '../../src/core/sink-port.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { versionOf, versionPrefix } from '../../src/core/version.ts';

export const people: TableSchema = {
  id: 'people-1',
  table: { database: 'shop', table: 'people' },
  key: ['id'],
  columns: [
    { name: 'id', kind: 'integer', nullable: false, type: 'int', bits: 32 },
    { name: 'name', kind: 'string', nullable: false, type: 'varchar(40)', length: 40 },
    { name: 'note', kind: 'string', nullable: true, type: 'text' },
    { name: 'balance', kind: 'decimal', nullable: true, type: 'decimal(10,2)', precision: 10, scale: 2 },
  ],
};

const members: TableSchema = {
  id: 'members-1',
  table: { database: 'shop', table: 'members' },
  key: ['person', 'club'],
  columns: [
    { name: 'person', kind: 'integer', nullable: false, type: 'bigint', bits: 64 },
    { name: 'club', kind: 'string', nullable: false, type: 'varchar(20)', length: 20 },
    { name: 'since', kind: 'date', nullable: true, type: 'date' },
  ],
};

/** Mapping 0 and mapping 1 of every harness. */
export const contractTables: readonly TableSchema[] = [people, members];

export const person = (id: number, name: string, rest: Partial<{ note: string | null; balance: string | null }> = {}): Row => ({
  id,
  name,
  note: rest.note ?? null,
  balance: rest.balance ?? null,
});
export const member = (personId: number, club: string, since: string | null = null): Row => ({ person: personId, club, since });

export type Operation =
  | { readonly op: 'insert'; readonly after: Row }
  | { readonly op: 'update'; readonly before: Row; readonly after: Row }
  | { readonly op: 'delete'; readonly before: Row };

/** One partition's history: every batch follows the one before. */
export class History {
  readonly partition: PartitionId;
  #offset: number;
  #transaction: number;
  readonly #logId: string;

  constructor(partition: PartitionId, options: { readonly from?: number; readonly transaction?: number; readonly logId?: string } = {}) {
    this.partition = partition;
    this.#offset = options.from ?? 0;
    this.#transaction = options.transaction ?? 1;
    this.#logId = options.logId ?? 'log-1';
  }

  /** One transaction with these changes: [mapping, operation]. `open`: it goes on in the next batch. */
  batch(changes: readonly (readonly [number, Operation])[], open = false): SinkBatch {
    const transactionId = `uuid:${this.#transaction}`;
    const prefix = versionPrefix({ epoch: 1, file: 1, offset: this.#transaction });
    this.#transaction += 1;
    const committedAtUs = 1_763_700_000_000_000 + this.#transaction;
    const entries = changes.map(([mapping, operation], ordinal): Entry => {
      const schema = contractTables[mapping] ?? people;
      const event: ChangeEvent = { ...operation, schema, version: versionOf(prefix, ordinal, 2), committedAtUs, transactionId };
      return { mapping, event };
    });
    this.#offset += changes.length;
    const version = versionOf(prefix, Math.max(changes.length - 1, 0), 2);
    return { partition: this.partition, entries, progress: this.#progress(version, transactionId, committedAtUs), open };
  }

  /** A TRUNCATE of mapping 0's table. `all`: the partitions of its stream; in each it is the one with this number. */
  truncate(transaction: number, all: readonly PartitionId[] = [this.partition]): SinkBatch {
    this.#transaction = transaction + 1;
    this.#offset += 1;
    const version = versionOf(versionPrefix({ epoch: 1, file: 1, offset: transaction }), 0, 0);
    const [transactionId, committedAtUs] = [`uuid:${transaction}`, 1_763_700_000_000_000 + transaction];
    const event: ChangeEvent = { op: 'truncate', schema: people, version, committedAtUs, transactionId };
    const progress = this.#progress(version, transactionId, committedAtUs);
    return { partition: this.partition, entries: [{ mapping: 0, event }], progress, open: false, barrier: all };
  }

  #progress(version: string, transactionId: string, committedAtUs: number): Progress {
    const place = { logId: this.#logId, nextOffset: this.#offset, lastOffset: this.#offset - 1, term: 7, version };
    return { ...place, transactionId, committedAtUs, mappingHash: 'hash' };
  }
}

export const insert = (after: Row): readonly [number, Operation] => [0, { op: 'insert', after }];
export const update = (before: Row, after: Row): readonly [number, Operation] => [0, { op: 'update', before, after }];
export const remove = (before: Row): readonly [number, Operation] => [0, { op: 'delete', before }];

/** Any text that Postgres can hold, heavy on what quoting gets wrong. */
export const oddText = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '',
      'NULL',
      'null',
      '\\N',
      '\\.',
      '{}',
      '{a,"b"}',
      '\\',
      '"',
      "'",
      ',',
      '\t',
      '\r\n',
      '\u2028',
      '😀',
      '\u00A0',
      ' x ',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.string({
      unit: fc.constantFrom('a', ' ', '"', "'", '\\', ',', '{', '}', '\t', '\n', '\r', '\b', 'N', '.', 'é', '漢', '😀'),
      maxLength: 20,
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .string({ unit: 'grapheme', maxLength: 10 })
      .filter((text) => !text.includes('\0') && text.isWellFormed() && Buffer.byteLength(text) <= 40),
  },
);

type Wish = {
  readonly kind: 'put' | 'remove' | 'move';
  readonly id: number;
  readonly to: number;
  readonly name: string;
  readonly note: string | null;
};

/** Batches of wishes; {@link realise} makes them changes that a source could really have made. */
export const wishes: fc.Arbitrary<Wish[][]> = fc.array(
  fc.array(
    fc.record({
      kind: fc.constantFrom('put' as const, 'put' as const, 'remove' as const, 'move' as const),
      id: fc.integer({ min: 1, max: 5 }),
      to: fc.integer({ min: 1, max: 5 }),
      name: oddText,
      note: fc.option(oddText, { nil: null }),
    }),
    { minLength: 1, maxLength: 12 },
  ),
  { minLength: 1, maxLength: 6 },
);

/** `model` is the table in the source: changed along the way. */
export function realise(batch: readonly Wish[], model: Map<number, Row>): (readonly [number, Operation])[] {
  return batch.flatMap(({ kind, id, to, name, note }) => {
    const before = model.get(id);
    if (kind === 'put') {
      const after = person(id, name, { note });
      model.set(id, after);
      return [before ? update(before, after) : insert(after)];
    }
    if (!before) return [];
    if (kind === 'remove') {
      model.delete(id);
      return [remove(before)];
    }
    if (model.has(to)) return [];
    const after = { ...before, id: to };
    model.delete(id);
    model.set(to, after);
    return [update(before, after)];
  });
}

/** Rows in a form that two readers can compare, whatever the order of rows and columns. */
export const byJson = (rows: readonly Row[]) =>
  rows
    .map((row) =>
      JSON.stringify(
        Object.keys(row)
          .sort()
          .map((name) => [name, row[name]]),
      ),
    )
    .sort();

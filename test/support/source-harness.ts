/** What the Source contract needs of a server, and the three tables that it works with. */
import type { ColumnSchema, Row, TableId } from '../../src/core/change.ts';
import type { RowChange, Source, SourceBatch } from '../../src/core/source-port.ts';
import { versionOf } from '../../src/core/version.ts';

export type Statement =
  | { readonly op: 'insert'; readonly table: TableId; readonly row: Row }
  /** `key`: the row's key now; `set`: columns to change, key columns included. */
  | { readonly op: 'update'; readonly table: TableId; readonly key: Row; readonly set: Row }
  | { readonly op: 'delete'; readonly table: TableId; readonly key: Row };

export interface SourceHarness extends AsyncDisposable {
  /** Where the tables `people`, `orders` and `audit` (each `id` integer key, `name` varchar(4000), `score` integer) are, empty. */
  readonly database: string;
  /** A source of these tables; `batchBytes` is the ceiling above which a transaction comes in parts. */
  open(tables: readonly TableId[], options?: { readonly batchBytes?: number }): Promise<Source>;
  /** One source transaction, its statements one after another. */
  execute(statements: readonly Statement[]): Promise<void>;
  /** The same, rolled back. */
  rollback(statements: readonly Statement[]): Promise<void>;
  /** TRUNCATE TABLE. */
  truncate(table: TableId): Promise<void>;
  /** Adds a nullable varchar(40). */
  addColumn(table: TableId, column: string): Promise<void>;
  /** The next transaction goes to a new binlog file. */
  rotate(): Promise<void>;
  /** Throws away every binlog file but a new, empty one. */
  purge(): Promise<void>;
  /** Cuts the connections of all sources. */
  disconnect(): Promise<void>;
  /** Loses the last transaction, as a failover to a replica that lagged does; absent where this cannot be staged. */
  loseLast?(): Promise<void>;
  /** Bytes that open sources hold but have not handed over, where the source can tell; and their limit. */
  readonly buffer?: { bytes(): number; readonly ceilingBytes: number };
}

export const contractColumns: readonly ColumnSchema[] = [
  { name: 'id', kind: 'integer', nullable: false, type: 'int', bits: 32, unsigned: false },
  { name: 'name', kind: 'string', nullable: true, type: 'varchar(4000)', length: 4000 },
  { name: 'score', kind: 'integer', nullable: true, type: 'int', bits: 32, unsigned: false },
];
export const contractTables = ['people', 'orders', 'audit'] as const;
/** For servers that speak SQL. */
export const contractTableSql = (name: string) =>
  `CREATE TABLE \`${name}\` (id INT NOT NULL PRIMARY KEY, name VARCHAR(4000) NULL, score INT NULL) CHARACTER SET utf8mb4`;

/** A change as a test compares it: images as objects, the version of its half 2. */
export interface PlainChange {
  readonly op: string;
  readonly table: string;
  readonly before: unknown;
  readonly after: unknown;
  readonly key: unknown;
  readonly oldKey: unknown;
  readonly ordinal: number;
  readonly transaction: string;
  readonly version: string;
}

const parse = (bytes: Uint8Array | null): unknown =>
  bytes === null || bytes.length === 0 ? null : JSON.parse(Buffer.from(bytes).toString('utf8'));

export function plain(change: RowChange): PlainChange {
  const { op, ordinal, transaction, schema } = change;
  return {
    op,
    table: schema.table.table,
    before: parse(change.before),
    after: parse(change.after),
    // TRUNCATE has no key.
    key: change.key.length === 0 ? undefined : parse(change.key),
    oldKey: parse(change.oldKey),
    ordinal,
    transaction: transaction.id,
    version: versionOf(transaction.versionPrefix, ordinal, 2),
  };
}

export interface PlainBatch extends Omit<SourceBatch, 'changes'> {
  readonly changes: readonly PlainChange[];
}

/** Reads until `done` says so; the batches are copied at once, as capture does. Fails after ten seconds. */
export async function readBatches(source: Source, from: string, done: (batches: readonly PlainBatch[]) => boolean): Promise<PlainBatch[]> {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(10_000)]);
  const batches: PlainBatch[] = [];
  for await (const batch of source.read(from, signal)) {
    batches.push({ ...batch, changes: batch.changes.map(plain) });
    if (done(batches)) return batches;
  }
  throw new Error(`the source ended after ${batches.length} batches`);
}

export const changesOf = (batches: readonly PlainBatch[]) => batches.flatMap((batch) => batch.changes);

/** Until `count` changes have come and no transaction is open. */
export const untilChanges = (count: number) => (batches: readonly PlainBatch[]) =>
  changesOf(batches).length >= count && batches.at(-1)?.open === false;

/**
 * A MySQL-like server in memory: tables, and a binlog of transactions that can be rotated, purged, cut off, forged and
 * lost as real ones can. Its tables after every transaction are the oracle of the simulation.
 */
import { canonicalValue, keyText } from '../../src/core/canonical.ts';
import type { ColumnSchema, Row, TableId, TableSchema } from '../../src/core/change.ts';
import { tableName } from '../../src/core/change.ts';
import { murmur2 } from '../../src/core/partition.ts';

export type MemoryStatement =
  | { readonly op: 'insert'; readonly table: TableId; readonly row: Row }
  /** `key`: the row's key now; `set`: columns to change, key columns included. */
  | { readonly op: 'update'; readonly table: TableId; readonly key: Row; readonly set: Row }
  | { readonly op: 'delete'; readonly table: TableId; readonly key: Row };

export interface StoredRow {
  readonly schema: TableSchema;
  /** `t`: no images, alone in its transaction. */
  readonly op: 'c' | 'u' | 'd' | 't';
  readonly before: Row | null;
  readonly after: Row | null;
  readonly pos: number;
  readonly row: number;
  /** Of `t`: what was in the table, so that it can be lost. */
  readonly emptied?: ReadonlyMap<string, Row>;
}

/** One transaction of the binlog; a DDL statement is one without rows. */
export interface StoredTransaction {
  readonly gtid: string;
  readonly file: number;
  readonly offset: number;
  readonly endOffset: number;
  readonly committedAtUs: number;
  readonly rows: readonly StoredRow[];
  /** A digest of its place and content: what a position remembers of the last transaction. */
  readonly fingerprint: string;
}

interface MemoryTable {
  schema: TableSchema;
  readonly rows: Map<string, Row>;
}

/** Key text → row. */
export type TableState = ReadonlyMap<string, Row>;

const headOfFile = 4;

export class MemoryServer {
  uuid: string;
  readonly #nowUs: () => number;
  readonly #tables = new Map<string, MemoryTable>();
  readonly #transactions: StoredTransaction[] = [];
  readonly #listeners = new Set<() => void>();
  #file = 1;
  #offset = headOfFile;
  #purged = 0;
  /** Grows with every cut of the connections: a reader that sees another number than at its start has lost its own. */
  connections = 0;

  constructor(uuid = 'aaaaaaaa-0000-0000-0000-000000000001', nowUs: () => number = () => Date.now() * 1000) {
    this.uuid = uuid;
    this.#nowUs = nowUs;
  }

  /** All transactions ever, purged ones included: the index of one is the number of those before it. */
  get transactions(): readonly StoredTransaction[] {
    return this.#transactions;
  }
  get purgedTransactions(): number {
    return this.#purged;
  }
  get place(): { readonly file: number; readonly offset: number } {
    return { file: this.#file, offset: this.#offset };
  }
  nowUs(): number {
    return this.#nowUs();
  }

  createTable(table: TableId, columns: readonly ColumnSchema[], key: readonly string[]): TableSchema {
    const schema = makeSchema(table, columns, key);
    this.#tables.set(tableName(table), { schema, rows: new Map() });
    this.#write([]);
    return schema;
  }

  /** Adds a nullable column; as in MySQL, rows that are there get NULL and no row events. */
  addColumn(table: TableId, column: ColumnSchema): void {
    const entry = this.#table(table);
    entry.schema = makeSchema(table, [...entry.schema.columns, column], entry.schema.key);
    for (const [key, row] of entry.rows) entry.rows.set(key, { ...row, [column.name]: null });
    this.#write([]);
  }

  /** All or nothing: an impossible statement throws and leaves no trace. */
  commit(statements: readonly MemoryStatement[]): void {
    const undo: (() => void)[] = [];
    const rows: StoredRow[] = [];
    let pos = this.#offset + 80;
    try {
      for (const statement of statements) {
        const last = rows.at(-1);
        const change = this.#execute(statement, undo);
        // Neighbouring inserts of one table share an event, as a statement with several rows would.
        const joins = last?.op === 'c' && change.op === 'c' && last.schema === change.schema && last.row < 2;
        if (!joins) pos += 120;
        rows.push({ ...change, pos, row: joins ? last.row + 1 : 0 });
      }
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
    if (rows.length > 0) this.#write(rows);
  }

  /** All rows go; a transaction of its own. */
  truncate(table: TableId): void {
    const { schema, rows } = this.#table(table);
    const emptied = new Map(rows);
    rows.clear();
    this.#write([{ schema, op: 't', before: null, after: null, pos: this.#offset + 80, row: 0, emptied }]);
  }

  rotate(): void {
    this.#file += 1;
    this.#offset = headOfFile;
  }
  /** Throws every finished file away. */
  purge(): void {
    this.rotate();
    this.#purged = this.#transactions.length;
  }
  /** A failover or a power cut that lost the last transactions; their effect in the tables is undone too. */
  loseLast(count: number): void {
    for (const transaction of this.#transactions.splice(this.#transactions.length - count).reverse()) {
      for (const { schema, before, after, emptied } of transaction.rows.toReversed()) {
        const { rows } = this.#table(schema.table);
        for (const [key, row] of emptied ?? []) rows.set(key, row);
        if (after) rows.delete(keyText(schema.key, after));
        if (before) rows.set(keyText(schema.key, before), before);
      }
      this.#file = transaction.file;
      this.#offset = transaction.offset;
    }
    this.disconnect();
  }
  disconnect(): void {
    this.connections += 1;
    this.#wake();
  }

  schema(table: TableId): TableSchema | undefined {
    return this.#tables.get(tableName(table))?.schema;
  }
  rows(table: TableId): TableState {
    return this.#table(table).rows;
  }
  /** The rows of a table after the first `count` transactions, from the binlog alone. */
  rowsAfter(table: TableId, count: number): TableState {
    const name = tableName(table);
    const state = new Map<string, Row>();
    for (const transaction of this.#transactions.slice(0, count)) {
      for (const { schema, op, before, after } of transaction.rows) {
        if (tableName(schema.table) !== name) continue;
        if (op === 't') state.clear();
        if (before) state.delete(keyText(schema.key, before));
        if (after) state.set(keyText(schema.key, after), after);
      }
    }
    return state;
  }

  /** Calls back at the next commit or disconnect; the answer takes the listener away. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #table(table: TableId): MemoryTable {
    const entry = this.#tables.get(tableName(table));
    if (!entry) throw new Error(`no table ${tableName(table)}`);
    return entry;
  }

  #execute(statement: MemoryStatement, undo: (() => void)[]): Omit<StoredRow, 'pos' | 'row'> {
    const { schema, rows } = this.#table(statement.table);
    const before = statement.op === 'insert' ? null : (rows.get(keyText(schema.key, statement.key)) ?? null);
    if (statement.op !== 'insert' && !before) throw new Error(`no such row in ${tableName(statement.table)}`);
    const after =
      statement.op === 'delete' ? null : fill(schema, statement.op === 'insert' ? statement.row : { ...before, ...statement.set });
    const from = before && keyText(schema.key, before);
    const to = after && keyText(schema.key, after);
    if (to !== null && to !== from && rows.has(to)) throw new Error(`duplicate key in ${tableName(statement.table)}`);
    if (from !== null) rows.delete(from);
    if (to !== null && after) rows.set(to, after);
    undo.push(() => {
      if (to !== null) rows.delete(to);
      if (from !== null && before) rows.set(from, before);
    });
    return { schema, op: statement.op === 'insert' ? 'c' : statement.op === 'update' ? 'u' : 'd', before, after };
  }

  #write(rows: readonly StoredRow[]): void {
    const gtid = `${this.uuid}:${this.#transactions.length + 1}`;
    const offset = this.#offset;
    const endOffset = (rows.at(-1)?.pos ?? offset + 80) + 151;
    const content = rows.map((row) => `${row.op}${row.pos}${row.schema.id}${imageText(row.before)}${imageText(row.after)}`).join('|');
    const fingerprint = (murmur2(Buffer.from(`${gtid}@${this.#file}:${offset}|${content}`)) >>> 0).toString(16);
    this.#transactions.push({ gtid, file: this.#file, offset, endOffset, committedAtUs: this.#nowUs(), rows, fingerprint });
    this.#offset = endOffset;
    this.#wake();
  }

  #wake(): void {
    for (const listener of this.#listeners) listener();
  }
}

function fill(schema: TableSchema, row: Row): Row {
  return Object.fromEntries(schema.columns.map(({ name }) => [name, row[name] ?? null]));
}

const imageText = (row: Row | null) => (row === null ? '0' : Object.values(row).map(canonicalValue).join(''));

function makeSchema(table: TableId, columns: readonly ColumnSchema[], key: readonly string[]): TableSchema {
  const text = JSON.stringify([tableName(table), columns, key]);
  return { id: (murmur2(Buffer.from(text)) >>> 0).toString(16).padStart(8, '0'), table, columns, key };
}

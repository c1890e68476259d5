/**
 * Values of many types on a real server, seen from three sides: what our capture put into the log, what SELECT says, and
 * what Postgres holds behind our own sink, in the columns that `check` proposes.
 */
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import type { RowDataPacket } from 'mysql2/promise';
import type { TableId, TableSchema } from '../../src/core/change.ts';
import { envelopeScanner } from '../../src/core/envelope-scanner.ts';
import { parseExactJson } from '../../src/core/exact-json.ts';
import type { RowChange } from '../../src/core/source-port.ts';
import { mysqlSettings, mysqlSource } from './mysql-server.ts';
import { freshMysqlDatabase, type MysqlDatabase } from './servers.ts';
import { mostByArrays, mostParsed, TypedTarget } from './typed-target.ts';

export type Flavor = 'mysql' | 'mariadb';

/** `SEED=…` repeats a run; `TYPED_VALUES=…` generates more. */
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
export const perColumn = Math.max(1, Number(process.env['TYPED_VALUES'] ?? 2_000));

/** For each column of a family with many of them. */
export const half = Math.ceil(perColumn / 2);

/** As many generated values as a family has rows, or fewer where there are not so many; the edges come first. */
export const some = <T>(arbitrary: fc.Arbitrary<T>, count = perColumn): T[] => fc.sample(arbitrary, { numRuns: count, seed });

export const quote = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
export const hexLiteral = (bytes: Uint8Array): string => `X'${Buffer.from(bytes).toString('hex')}'`;
export const utf8Literal = (text: string): string => `_utf8mb4 ${hexLiteral(Buffer.from(text))}`;

/** Exactly so many bytes: of characters that have one to four bytes, or are escaped. */
export function textOfBytes(bytes: number): string {
  const unit = 'aü"\\😀\n';
  const unitBytes = Buffer.byteLength(unit);
  return unit.repeat(Math.floor(bytes / unitBytes)) + 'x'.repeat(bytes % unitBytes);
}

export interface ValueColumn {
  /** As in CREATE TABLE. */
  readonly type: string;
  /** SQL expressions; where another column has more of them, these come again from the first on. */
  readonly values: readonly string[];
  /** SQL at the source: the value's text, of which everything that is expected is made. By default a cast to characters. */
  readonly select?: (column: string) => string;
  /** From SELECT's text to the cell in the log, parsed so that no integer is rounded. */
  readonly cell: (text: string) => unknown;
  /** From that cell to what is compared with `cell`. */
  readonly readCell?: (cell: unknown) => unknown;
  /** SQL at the target: by default a cast to text. */
  readonly show?: (column: string) => string;
  /** From SELECT's text to what Postgres shows. */
  readonly shown: (text: string) => unknown;
  /** Lengths that must be among the values as the server keeps them: by this SQL, by default in bytes. */
  readonly lengths?: readonly number[];
  readonly measure?: (column: string) => string;
  /** From Postgres' text to what is compared with `shown`. */
  readonly readShown?: (text: string) => unknown;
}

export interface ValueFamily {
  readonly name: string;
  readonly columns: readonly ValueColumn[];
  /** The mapping's options: policies for values that Postgres cannot hold. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** The proposed columns of the target, changed by these statements; `%t` is the table. */
  readonly alter?: readonly string[];
}

export interface Proof {
  /** One line a value that is not the same on all sides; nothing of it but the first few. */
  readonly differences: readonly string[];
  /** Values that were written, each compared in the log and in the target tables. */
  readonly values: number;
  /** Of these, so many went from the log's bytes into the target, where the shape allows it at all. */
  readonly scanned: number;
}

const rowsPerStatement = 250;
const mostDifferences = 25;

export class TypedValues implements AsyncDisposable {
  readonly database: MysqlDatabase;
  readonly flavor: Flavor;
  readonly target: TypedTarget;
  #tables = 0;

  private constructor(database: MysqlDatabase, flavor: Flavor, target: TypedTarget) {
    this.database = database;
    this.flavor = flavor;
    this.target = target;
  }

  /** On the shared server, or in a database that somebody made elsewhere. */
  static async open(flavor: Flavor, database?: MysqlDatabase): Promise<TypedValues> {
    process.stderr.write(`typed values on ${flavor}: SEED=${seed}\n`);
    const values = new TypedValues(database ?? (await freshMysqlDatabase(flavor)), flavor, await TypedTarget.open());
    // Zero dates, partly zero dates and labels that an ENUM does not know are what this is about.
    await values.sql("SET SESSION sql_mode = '', time_zone = '+00:00', NAMES utf8mb4");
    return values;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.target[Symbol.asyncDispose]();
    await this.database[Symbol.asyncDispose]();
  }

  async sql(statement: string): Promise<void> {
    await this.database.connection.query(statement);
  }
  /** Every value as text. */
  async select(statement: string): Promise<(string | null)[][]> {
    const [rows] = await this.database.connection.query<RowDataPacket[]>({ sql: statement, rowsAsArray: true });
    return (rows as unknown as (string | number | null)[][]).map((row) => row.map((value) => (value === null ? null : String(value))));
  }

  readonly table = (name: string): TableId => ({ database: this.database.name, table: name });
  source(...names: readonly string[]) {
    return mysqlSource(mysqlSettings(this.database.url), names.map(this.table));
  }

  /** The changes of these statements, in the binlog's order; images copied. */
  async changes(tables: readonly string[], statements: readonly string[], count: number): Promise<RowChange[]> {
    const source = this.source(...tables);
    const start = await source.start();
    for (const statement of statements) await this.sql(statement);
    return await this.read(source, start, count);
  }

  async read(source: ReturnType<typeof mysqlSource>, start: string, count: number): Promise<RowChange[]> {
    const changes: RowChange[] = [];
    for await (const batch of source.read(start, AbortSignal.timeout(30_000 * Math.max(1, perColumn / 2_000)))) {
      changes.push(...batch.changes.map(copied));
      if (changes.length >= count) break;
    }
    return changes;
  }

  async prove(family: ValueFamily): Promise<Proof> {
    const started = Date.now();
    const name = `f${(this.#tables += 1)}`;
    const { columns } = family;
    const definitions = columns.map(({ type }, index) => `c${index} ${type}${/ NULL\b/i.test(type) ? '' : ' NULL'}`);
    await this.sql(`CREATE TABLE ${name} (id INT PRIMARY KEY, ${definitions.join(', ')}, tail INT NOT NULL)`);
    const source = this.source(name);
    const start = await source.start();
    const count = await this.#fill(name, columns);
    await this.sql(`UPDATE ${name} SET tail = -1 WHERE id % 10 = 3`);
    const updated = Math.floor((count - 1 - 3) / 10) + 1;
    const texts = await this.select(`SELECT id, ${columns.map(selected).join(', ')} FROM ${name} ORDER BY id`);
    const changes = await this.read(source, start, count + updated);
    const [schema] = await source.schemas([this.table(name)]);
    const proof = new Comparison(family, texts);
    proof.shapes(schema, changes[0]?.schema);
    proof.log(changes);
    for (const [index, column] of columns.entries()) proof.differences.push(...(await this.#unreached(name, `c${index}`, column)));
    let scannedRows = 0;
    if (schema) {
      const stored = await this.target.store(schema, changes, family);
      proof.target(stored.rows);
      // Shapes with a place or a vector are the parser's altogether.
      scannedRows = envelopeScanner(schema) === undefined ? Number.MAX_SAFE_INTEGER : stored.scannedRows;
    }
    process.stderr.write(`  ${family.name} on ${this.flavor}: ${proof.comparisons} comparisons, ${Date.now() - started} ms\n`);
    const valuesIn = (rows: number) => columns.reduce((sum, { values }) => sum + Math.min(rows, values.length), 0);
    return { differences: proof.differences, values: valuesIn(count), scanned: valuesIn(scannedRows) };
  }

  /** What is about a length proves nothing where no value has it. */
  async #unreached(table: string, name: string, column: ValueColumn): Promise<string[]> {
    const { lengths = [], measure = (of: string) => `LENGTH(${of})`, type } = column;
    if (lengths.length === 0) return [];
    const rows = await this.select(`SELECT DISTINCT ${measure(name)} FROM ${table}`);
    const reached = new Set(rows.map(([length]) => Number(length)));
    return lengths.filter((length) => !reached.has(length)).map((length) => `${type}: no value of ${length} bytes was stored`);
  }

  /** A row of NULLs, then the values. */
  async #fill(name: string, columns: readonly ValueColumn[]): Promise<number> {
    const longest = Math.max(...columns.map(({ values }) => values.length));
    const rows = Array.from({ length: longest + 1 }, (_, id) => {
      const cells = columns.map(({ values }) => (id === 0 ? 'NULL' : values[(id - 1) % values.length]));
      return `(${id}, ${cells.join(', ')}, ${id})`;
    });
    for (let at = 0; at < rows.length; at += rowsPerStatement)
      await this.sql(`INSERT INTO ${name} VALUES ${rows.slice(at, at + rowsPerStatement).join(', ')}`);
    return rows.length;
  }
}

function selected({ select = asCharacters }: ValueColumn, index: number): string {
  return `${select(`c${index}`)} AS c${index}`;
}
const asCharacters = (column: string) => `CAST(${column} AS CHAR CHARACTER SET utf8mb4)`;

const copied = (change: RowChange): RowChange => ({
  ...change,
  before: change.before === null ? null : Buffer.from(change.before),
  after: change.after === null ? null : Buffer.from(change.after),
  key: Buffer.from(change.key),
  oldKey: change.oldKey === null ? null : Buffer.from(change.oldKey),
});

export const imageOf = (bytes: Uint8Array | null): Record<string, unknown> =>
  parseExactJson(Buffer.from(bytes ?? Buffer.from('{}')).toString('utf8')) as Record<string, unknown>;

/** As {@link TypedTarget.store} has its tables. */
const ways = [
  { name: 'by arrays', most: mostByArrays },
  { name: 'by COPY', most: Number.MAX_SAFE_INTEGER },
  { name: 'by arrays, parsed', most: mostParsed },
] as const;

/** SELECT's texts against both other sides. */
class Comparison {
  readonly differences: string[] = [];
  comparisons = 0;
  readonly #family: ValueFamily;
  /** By row: the id and the columns' texts. */
  readonly #texts: readonly (readonly (string | null)[])[];

  constructor(family: ValueFamily, texts: readonly (readonly (string | null)[])[]) {
    this.#family = family;
    this.#texts = texts;
  }

  shapes(described: TableSchema | undefined, streamed: TableSchema | undefined): void {
    if (isDeepStrictEqual(described, streamed)) return;
    const differing = (described?.columns ?? []).filter((column, index) => !isDeepStrictEqual(column, streamed?.columns[index]));
    const types = differing.map(({ name, type }) => `${name} ${type}`).join(', ') || 'the key or the whole table';
    this.differences.push(`the table's shape differs between information_schema and the binlog: ${types}`);
  }

  log(changes: readonly RowChange[]): void {
    const inserted = changes.filter(({ op }) => op === 'c');
    const updated = changes.filter(({ op }) => op === 'u');
    if (inserted.length !== this.#texts.length) this.differences.push(`${inserted.length} inserts in the log, ${this.#texts.length} rows`);
    for (const change of inserted) this.#image(imageOf(change.after), 'the log', false);
    for (const change of updated) {
      this.#image(imageOf(change.before), 'the image before an update', false);
      this.#image(imageOf(change.after), 'the image after an update', true);
    }
  }

  #image(image: Record<string, unknown>, where: string, changed: boolean): void {
    const id = Number(image['id']);
    if (image['tail'] !== (changed ? -1 : id)) this.#differ(`row ${id} of ${where}: its last column is misread`);
    for (const [index, column] of this.#family.columns.entries()) {
      const text = this.#texts[id]?.[index + 1];
      const cell = image[`c${index}`];
      const { readCell = (given: unknown) => given } = column;
      const should = text === null || text === undefined ? text : column.cell(text);
      this.comparisons += 1;
      const is = cell === null ? null : readCell(cell);
      if (!isDeepStrictEqual(is, should)) this.#differ(told(column, where, text, is, should));
    }
  }

  /** `rows`: by target table, in the order of the ids: the id and the columns as they are shown. */
  target(rows: readonly (readonly (readonly (string | null)[])[])[]): void {
    for (const [way, table] of rows.entries()) {
      const { name, most } = ways[way] as (typeof ways)[number];
      const wanted = Math.min(most, this.#texts.length);
      if (table.length !== wanted) this.#differ(`Postgres ${name} has ${table.length} rows, not ${wanted}`);
      for (const [at, cells] of table.entries()) this.#row(at, cells, `Postgres ${name}`);
    }
  }

  #row(at: number, cells: readonly (string | null)[], where: string): void {
    for (const [index, column] of this.#family.columns.entries()) {
      const text = this.#texts[at]?.[index + 1];
      const cell = cells[index + 1];
      const { readShown = (given: string) => given } = column;
      const should = text === null || text === undefined ? text : column.shown(text);
      const is = cell === null || cell === undefined ? cell : readShown(cell);
      this.comparisons += 1;
      if (!isDeepStrictEqual(is, should)) this.#differ(told(column, where, text, is, should));
    }
  }

  #differ(line: string): void {
    if (this.differences.length < mostDifferences) this.differences.push(line);
  }
}

const written = (value: unknown): string =>
  typeof value === 'string' ? JSON.stringify(value) : Object.is(value, -0) ? '-0' : (JSON.stringify(value, plainBig) ?? 'nothing');
/** The beginning, and where it first differs from what it should be. */
function short(value: unknown, other: unknown = value): string {
  const [text, against] = [written(value), written(other)];
  if (text.length <= 120) return text;
  const differs = Math.max(60, text.split('').findIndex((unit, at) => unit !== against[at]) - 20);
  return `${text.slice(0, 60)}…${text.slice(differs, differs + 100)}… (${text.length})`;
}
const plainBig = (_key: string, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value);

function told({ type }: ValueColumn, where: string, text: unknown, is: unknown, should: unknown): string {
  return `${type.slice(0, 60)}, SELECT says ${short(text)}: ${where} has ${short(is, should)}, not ${short(should, is)} (SEED=${seed})`;
}

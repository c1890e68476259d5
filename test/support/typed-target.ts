/** The way of a change behind the capture: encoded as for the log, decoded again, written by the real sink, read back. */
import type { ChangeEvent, TableSchema } from '../../src/core/change.ts';
import type { Finding } from '../../src/core/ports.ts';
import type { Mapping, Sink } from '../../src/core/sink-port.ts';
import type { RowChange } from '../../src/core/source-port.ts';
import { postgresFixture, type PostgresFixture } from '../integration/postgres-fixture.ts';
import { byReading, throughLog } from './typed-log.ts';
import type { ValueFamily } from './typed-values.ts';

const rowsByArrays = 500;
/** COPY takes all rows; the way by arrays is shown with these. */
export const mostByArrays = 700;
const first = (events: readonly ChangeEvent[], most: number) =>
  events.filter((event) => 'after' in event && Number(event.after['id']) < most);
/** And the way of rows that the parser has read with these: all values are compared in memory before. */
export const mostParsed = 200;

export interface Stored {
  /** By table. */
  readonly rows: readonly (string | null)[][][];
  /** So many inserts went from the log's bytes to Postgres without a value made of them. */
  readonly scannedRows: number;
}

export class TypedTarget implements AsyncDisposable {
  readonly postgres: PostgresFixture;
  #partitions = 0;

  private constructor(postgres: PostgresFixture) {
    this.postgres = postgres;
  }

  static async open(): Promise<TypedTarget> {
    const postgres = await postgresFixture();
    await postgres.execute("SET extra_float_digits = 1; SET IntervalStyle = postgres; SET DateStyle = 'ISO, YMD'; SET bytea_output = hex");
    return new TypedTarget(postgres);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.postgres[Symbol.asyncDispose]();
  }

  /**
   * Into three tables: as apply does it, the first rows by arrays in small batches and all by COPY in one large one; and
   * the first of them as the parser reads them. Answers the tables' rows in the order of the ids: the id, and each column
   * as the family shows it.
   */
  async store(schema: TableSchema, changes: readonly RowChange[], { columns, options = {}, alter = [] }: ValueFamily): Promise<Stored> {
    const { table } = schema.table;
    const tables = [`${table}_arrays`, `${table}_copy`, `${table}_parsed`];
    const mappings = tables.map((name): Mapping => ({ source: schema.table, transforms: [], target: `public.${name}`, options }));
    const sink = await this.postgres.open(mappings);
    await this.propose(sink, [schema, schema, schema]);
    for (const name of tables) for (const statement of alter) await this.postgres.execute(statement.replaceAll('%t', name));
    const { applied, parsed } = await throughLog(schema, changes);
    const [scanned, others] = byReading(applied);
    for (const events of [scanned, others]) {
      await this.write(sink, 0, first(events, mostByArrays), rowsByArrays);
      await this.write(sink, 1, events, Number.MAX_SAFE_INTEGER);
    }
    await this.write(sink, 2, first(parsed, mostParsed), rowsByArrays);
    const shown = columns.map(({ show = (column: string) => `${column}::text` }, index) => show(`c${index}`));
    const rows = await Promise.all(tables.map((name) => this.postgres.rows(`SELECT id, ${shown.join(', ')} FROM ${name} ORDER BY id`)));
    return { rows, scannedRows: scanned.filter(({ op }) => op === 'insert').length };
  }

  /** Runs the statements that `check` proposes for tables that are not there; throws where it is not content then. */
  async propose(sink: Sink, schemas: readonly TableSchema[]): Promise<readonly Finding[]> {
    for (const { code, fix } of await sink.check(schemas)) if (code === 'TARGET_TABLE_MISSING') await this.postgres.execute(fix ?? '');
    const findings = await sink.check(schemas);
    const errors = findings.filter(({ level }) => level === 'error');
    if (errors.length > 0) throw new Error(`check is not content with its own tables: ${errors.map(({ message }) => message).join('; ')}`);
    return findings;
  }

  /** Through one partition of its own. */
  async write(sink: Sink, mapping: number, events: readonly ChangeEvent[], rowsPerBatch = rowsByArrays): Promise<void> {
    const partition = `typed-${(this.#partitions += 1)}#0`;
    await sink.claim([partition]);
    for (let at = 0; at < events.length; at += rowsPerBatch) {
      const part = events.slice(at, at + rowsPerBatch);
      const last = part.at(-1) as ChangeEvent;
      const nextOffset = at + part.length;
      const { version, transactionId, committedAtUs } = last;
      const place = { version, transactionId, committedAtUs, logId: 'log-1', term: 1, mappingHash: 'hash' };
      const progress = { ...place, nextOffset, lastOffset: nextOffset - 1 };
      const said = this.postgres.logged.length;
      await sink.write({ partition, entries: part.map((event) => ({ mapping, event })), progress, open: false });
      // That way each value is made and written on its own: whatever the bytes said would not be seen.
      const fallback = this.postgres.logged.slice(said).find((message) => message.includes('one by one'));
      if (fallback !== undefined) throw new Error(`rows were refused as they came from the log: ${fallback}`);
    }
  }
}

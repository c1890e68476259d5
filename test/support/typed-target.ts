/** The way of a change behind the capture: encoded as for the log, decoded again, written by the real sink, read back. */
import { codec } from '../../src/codec.ts';
import { tableName, type ChangeEvent, type TableSchema } from '../../src/core/change.ts';
import { readEnvelope } from '../../src/core/envelope.ts';
import type { Finding } from '../../src/core/ports.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';
import type { Mapping, Sink } from '../../src/core/sink-port.ts';
import type { RowChange } from '../../src/core/source-port.ts';
import { Encoder } from '../../src/runtime/encode.ts';
import { TailFilter } from '../../src/runtime/resume.ts';
import { postgresFixture, type PostgresFixture } from '../integration/postgres-fixture.ts';
import type { ValueFamily } from './typed-values.ts';

const rowsByArrays = 500;
/** COPY takes all rows; the way by arrays is shown with these. */
export const mostByArrays = 700;
const isAmongFirst = (event: ChangeEvent) => 'after' in event && Number(event.after['id']) < mostByArrays;
const everything = 1024 ** 3;

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
   * Into two tables, the first rows by arrays in small batches, and all by COPY in one large one. Answers both tables' rows in the order of the
   * ids: the id, and each column as the family shows it.
   */
  async store(
    schema: TableSchema,
    changes: readonly RowChange[],
    { columns, options = {}, alter = [] }: ValueFamily,
  ): Promise<(string | null)[][][]> {
    const { table } = schema.table;
    const tables = [`${table}_arrays`, `${table}_copy`];
    const mappings = tables.map((name): Mapping => ({ source: schema.table, transforms: [], target: `public.${name}`, options }));
    const sink = await this.postgres.open(mappings);
    await this.propose(sink, [schema, schema]);
    for (const name of tables) for (const statement of alter) await this.postgres.execute(statement.replaceAll('%t', name));
    const events = eventsOf(schema, changes);
    await this.write(sink, 0, events.filter(isAmongFirst), rowsByArrays);
    await this.write(sink, 1, events, Number.MAX_SAFE_INTEGER);
    const shown = columns.map(({ show = (column: string) => `${column}::text` }, index) => show(`c${index}`));
    return await Promise.all(tables.map((name) => this.postgres.rows(`SELECT id, ${shown.join(', ')} FROM ${name} ORDER BY id`)));
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
      await sink.write({ partition, entries: part.map((event) => ({ mapping, event })), progress, open: false });
    }
  }
}

/** As the log would give them back. */
export function eventsOf(schema: TableSchema, changes: readonly RowChange[]): ChangeEvent[] {
  const topic = 'typed';
  const routing = new Map([[tableName(schema.table), { topic, partitions: 1 }]]);
  const encoder = new Encoder('typed', routing, { term: 1, batchBytesMax: everything }, new TailFilter({ partitions: new Map() }));
  encoder.add(changes, false, 1);
  return encoder.take().flatMap(({ batch, partition }) => {
    const records = decodeRecordBatch(batch.finish(codec, 0), codec, partition);
    return records.flatMap((record) => readEnvelope(record, schema, `${partition}, offset ${record.offset}`) ?? []);
  });
}

/** One table, one sink, one partition: what the suites of the Postgres sink start from. */
import { postgresSchema, type PostgresSettings } from '../../connectors/postgres/config.ts';
import { openPostgresSink } from '../../connectors/postgres/sink.ts';
import type { ChangeEvent, ColumnSchema, TableSchema } from '../../src/core/change.ts';
import type { Entry, Mapping, Sink, SinkBatch } from '../../src/core/sink-port.ts';
import type { Logger } from '../../src/core/ports.ts';
import { versionOf, versionPrefix } from '../../src/core/version.ts';
import type { Operation } from '../contract/sink-histories.ts';
import { freshPostgresDatabase, type PostgresDatabase } from '../support/servers.ts';

export interface PostgresFixture extends AsyncDisposable {
  readonly database: PostgresDatabase;
  readonly settings: PostgresSettings;
  /** What the sinks said at debug and above. */
  readonly logged: string[];
  execute(sql: string): Promise<void>;
  /** Every value as text. */
  rows(sql: string): Promise<(string | null)[][]>;
  open(mappings: readonly Mapping[], settings?: PostgresSettings): Promise<Sink>;
}

export async function postgresFixture(): Promise<PostgresFixture> {
  const database = await freshPostgresDatabase();
  const settings = postgresSchema.parse(database.url);
  const logged: string[] = [];
  const log = (_fields: object, message: string) => void logged.push(message);
  const logger: Logger = { debug: log, info: log, warn: log, error: log };
  const sinks: Sink[] = [];
  await database.client.query(`SET TimeZone = 'UTC'`);
  return {
    database,
    settings,
    logged,
    execute: async (sql) => void (await database.client.query(sql)),
    rows: async (sql) => {
      const types = { getTypeParser: () => (value: string | Buffer) => value.toString() };
      return (await database.client.query<(string | null)[]>({ text: sql, rowMode: 'array', types })).rows;
    },
    open: async (mappings, other = settings) => {
      const sink = await openPostgresSink(other, { pipeline: 'test', service: 'orders', mappings, logger });
      sinks.push(sink);
      return sink;
    },
    [Symbol.asyncDispose]: async () => {
      for (const sink of sinks) await sink[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

export function tableOf(table: string, key: readonly string[], columns: readonly ColumnSchema[]): TableSchema {
  return { id: `${table}-1`, table: { database: 'shop', table }, key, columns };
}
export const column = (name: string, rest: Partial<ColumnSchema> = {}): ColumnSchema => ({
  name,
  kind: 'integer',
  nullable: true,
  type: rest.kind ?? 'int',
  ...((rest.kind ?? 'integer') === 'integer' ? { bits: 32 } : {}),
  ...rest,
});
export const mappingTo = (schema: TableSchema, target = ''): Mapping => ({ source: schema.table, transforms: [], target, options: {} });

/** Batches of one partition, for tables of any shape. */
export class Batches {
  readonly partition: string;
  #offset = 0;

  constructor(partition: string) {
    this.partition = partition;
  }

  of(changes: readonly (readonly [number, TableSchema, Operation | { readonly op: 'truncate' }])[], open = false): SinkBatch {
    const prefix = versionPrefix({ epoch: 1, file: 1, offset: this.#offset + 1 });
    const common = { committedAtUs: 1_763_700_000_123_456, transactionId: `uuid:${this.#offset}` };
    const entries = changes.map(([mapping, schema, operation], ordinal): Entry => {
      const event: ChangeEvent = { ...operation, schema, version: versionOf(prefix, ordinal, 2), ...common };
      return { mapping, event };
    });
    this.#offset += Math.max(changes.length, 1);
    const progress = {
      logId: 'log-1',
      nextOffset: this.#offset,
      lastOffset: this.#offset - 1,
      term: 1,
      version: versionOf(prefix, 0, 2),
      mappingHash: 'hash',
      ...common,
    };
    return { partition: this.partition, entries, progress, open };
  }
}

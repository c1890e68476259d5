/** Values of one type on a real server: inserted, read from the binlog, and read with SELECT. */
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { TableId } from '../../src/core/change.ts';
import { parseExactJson } from '../../src/core/exact-json.ts';
import { mysqlSettings, mysqlSource } from './mysql-server.ts';
import { freshMysqlDatabase, type MysqlDatabase } from './servers.ts';

/** `SEED=…` repeats a run. */
export const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const runs = 300;

export const sample = <T>(arbitrary: fc.Arbitrary<T>, numRuns = runs): T[] => fc.sample(arbitrary, { numRuns, seed });
export const quote = (text: string) => `'${text}'`;
export const hexLiteral = (bytes: Uint8Array) => `X'${Buffer.from(bytes).toString('hex')}'`;

export interface Family {
  readonly type: string;
  /** SQL literals. */
  readonly values: readonly string[];
  /** The SELECT expression whose text is compared, by default the column itself. */
  readonly select?: string;
  /** From SELECT's text to what the log must hold. */
  readonly expected: (text: string) => unknown;
  /** From the parsed JSON cell to what is compared. */
  readonly read?: (cell: unknown) => unknown;
}

export class ValueServer implements AsyncDisposable {
  readonly database: MysqlDatabase;
  readonly sql: Connection;
  /** The id of the last decoded row's schema. */
  schemaId = '';
  #tables = 0;

  private constructor(database: MysqlDatabase) {
    this.database = database;
    this.sql = database.connection;
  }

  static async open(name: 'mysql' | 'mariadb' = 'mysql'): Promise<ValueServer> {
    process.stderr.write(`mysql values: SEED=${seed}\n`);
    const server = new ValueServer(await freshMysqlDatabase(name));
    await server.sql.query("SET SESSION sql_mode = '', time_zone = '+00:00'");
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.database[Symbol.asyncDispose]();
  }

  source(...tables: readonly TableId[]) {
    return mysqlSource(mysqlSettings(this.database.url), tables);
  }

  /** Inserts every value, reads the rows from the binlog and with SELECT, and answers the cells that differ. */
  async differences({ type, values, select = 'v', expected, read = (cell) => cell }: Family): Promise<string[]> {
    const name = `v${(this.#tables += 1)}`;
    const table: TableId = { database: this.database.name, table: name };
    await this.sql.query(`CREATE TABLE ${name} (id INT PRIMARY KEY, v ${type} NULL, tail INT NOT NULL)`);
    const source = this.source(table);
    const start = await source.start();
    const rows = ['NULL', ...values].map((value, id) => `(${id}, ${value}, ${id})`);
    for (let at = 0; at < rows.length; at += 100) await this.sql.query(`INSERT INTO ${name} VALUES ${rows.slice(at, at + 100).join(', ')}`);
    const [selected] = await this.sql.query<RowDataPacket[]>(
      `SELECT id, CAST(${select} AS CHAR CHARACTER SET utf8mb4) AS v FROM ${name} ORDER BY id`,
    );
    const decoded = (await this.decode(source, start, rows.length)) as { v: unknown; tail: unknown }[];
    const [schema] = await source.schemas([table]);
    const wrong = schema?.id === this.schemaId ? [] : [`${type}: the schema's id differs between binlog and information_schema`];
    if (decoded.length !== selected.length) wrong.push(`${type}: ${decoded.length} rows, not ${selected.length}`);
    for (const [index, row] of selected.entries()) {
      const text = row['v'] as string | null;
      const cell = decoded[index];
      const should = text === null ? null : expected(text);
      const is = cell?.v === null ? null : read(cell?.v);
      if (!isDeepStrictEqual(is, should) || cell?.tail !== index)
        wrong.push(`${type} ${rows[index]?.slice(0, 80)}: ${String(is)} is not ${String(should)}`);
    }
    return wrong;
  }

  async decode(source: ReturnType<typeof mysqlSource>, start: string, count: number): Promise<unknown[]> {
    const rows: unknown[] = [];
    for await (const batch of source.read(start, AbortSignal.timeout(20_000))) {
      for (const change of batch.changes) {
        this.schemaId = change.schema.id;
        rows.push(parseExactJson(Buffer.from(change.after ?? []).toString('utf8')));
      }
      if (rows.length >= count) break;
    }
    return rows;
  }
}

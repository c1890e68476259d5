/** The Source contract's harness for servers that speak SQL: MySQL and MariaDB. */
import { createConnection, type Connection } from 'mysql2/promise';
import { mysqlSchema } from '../../connectors/mysql/config.ts';
import { highBytes } from '../../connectors/mysql/stream/outbox.ts';
import { MysqlSource } from '../../connectors/mysql/source.ts';
import type { Position } from '../../src/core/change.ts';
import type { SourceBatch } from '../../src/core/source-port.ts';
import { silentLogger, until } from './mysql-server.ts';
import { contractTables, contractTableSql, type SourceHarness, type Statement } from './source-harness.ts';
import { freshName } from './servers.ts';

export interface SqlServer {
  readonly url: string;
  /** The statement that names its newest binlog file. */
  readonly status: string;
}

const name = (text: string) => `\`${text}\``;

async function perform(connection: Connection, statement: Statement): Promise<void> {
  const table = `${name(statement.table.database)}.${name(statement.table.table)}`;
  const where = (key: Readonly<Record<string, unknown>>) =>
    Object.keys(key)
      .map((column) => `${name(column)} = ?`)
      .join(' AND ');
  if (statement.op === 'insert') {
    const columns = Object.keys(statement.row);
    await connection.query(
      `INSERT INTO ${table} (${columns.map(name).join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
      Object.values(statement.row),
    );
  } else if (statement.op === 'update') {
    const set = Object.keys(statement.set).map((column) => `${name(column)} = ?`);
    await connection.query(`UPDATE ${table} SET ${set.join(', ')} WHERE ${where(statement.key)}`, [
      ...Object.values(statement.set),
      ...Object.values(statement.key),
    ]);
  } else await connection.query(`DELETE FROM ${table} WHERE ${where(statement.key)}`, Object.values(statement.key));
}

/** Counts the readings that are on, so that a cut can wait until all of them are up. */
class CountedSource extends MysqlSource {
  readings = 0;
  override async *read(from: Position, signal: AbortSignal): AsyncGenerator<SourceBatch, void, undefined> {
    this.readings += 1;
    try {
      yield* super.read(from, signal);
    } finally {
      this.readings -= 1;
    }
  }
}

/**
 * Ends every binlog dump until no reading is left. One round is not enough: a dump of an ended reading lingers, and would be
 * counted for a reading that has not come so far.
 */
async function cutDumps(connection: Connection, sources: readonly CountedSource[]): Promise<void> {
  await until(async () => {
    const [rows] = await connection.query("SELECT ID AS id FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'");
    // One may have ended between the question and the order.
    for (const { id } of rows as { id: number }[]) await connection.query(`KILL ${id}`).catch(ignoreNoSuchThread);
    return sources.every(({ readings }) => readings === 0);
  });
}

function ignoreNoSuchThread(error: unknown): void {
  if ((error as { code?: string }).code !== 'ER_NO_SUCH_THREAD') throw error;
}

/** A new database with the contract's tables on a server of the suite's own: it is purged and its connections are cut. */
export async function sqlSourceHarness({ url, status }: SqlServer): Promise<SourceHarness> {
  const connection = await createConnection({ uri: url });
  const database = freshName();
  await connection.query(`CREATE DATABASE ${database}`);
  await connection.query(`USE ${database}`);
  for (const table of contractTables) await connection.query(contractTableSql(table));
  const settings = { ...mysqlSchema.parse(url), heartbeatSeconds: 0.4 };
  const sources: CountedSource[] = [];
  const transaction = async (statements: readonly Statement[], end: 'COMMIT' | 'ROLLBACK') => {
    await connection.query('BEGIN');
    for (const statement of statements) await perform(connection, statement);
    await connection.query(end);
  };
  return {
    database,
    open: async (tables, options) => {
      const partBytes = options?.batchBytes;
      const source = new CountedSource(settings, {
        tables,
        keys: new Map(),
        logger: silentLogger,
        ...(partBytes === undefined ? {} : { partBytes }),
      });
      sources.push(source);
      return source;
    },
    execute: (statements) => transaction(statements, 'COMMIT'),
    rollback: (statements) => transaction(statements, 'ROLLBACK'),
    truncate: async (table) => {
      await connection.query(`TRUNCATE TABLE ${name(table.database)}.${name(table.table)}`);
    },
    addColumn: async (table, column) => {
      await connection.query(`ALTER TABLE ${name(table.database)}.${name(table.table)} ADD COLUMN ${name(column)} VARCHAR(40) NULL`);
    },
    rotate: async () => {
      await connection.query('FLUSH BINARY LOGS');
    },
    purge: async () => {
      await connection.query('FLUSH BINARY LOGS');
      const [rows] = await connection.query(status);
      // MariaDB keeps a file until the engine has told, from a thread of its own, that it needs it no more.
      await until(async () => {
        await connection.query('PURGE BINARY LOGS TO ?', [(rows as { File: string }[])[0]?.File]);
        const [files] = await connection.query('SHOW BINARY LOGS');
        return (files as unknown[]).length === 1;
      });
    },
    disconnect: () => cutDumps(connection, sources),
    buffer: { bytes: () => sources.reduce((sum, source) => sum + source.bufferedBytes, 0), ceilingBytes: highBytes + 512 * 1024 },
    [Symbol.asyncDispose]: async () => {
      await connection.query(`DROP DATABASE ${database}`);
      await connection.end();
    },
  };
}

/** Short connections for questions to the server; the binlog's own connections are in binlog.ts. */
import type { Connection, ConnectionOptions, RowDataPacket } from 'mysql2/promise';
import { createConnection } from 'mysql2/promise';
import { tlsOptions } from '../../../src/config-tls.ts';
import type { TableId } from '../../../src/core/change.ts';
import type { Collations } from '../charsets/charsets.ts';
import type { MysqlSettings } from '../config.ts';
import { fromDriver } from '../errors.ts';
import type { Flavor } from '../position/executed.ts';

const connectTimeoutMs = 10_000;
/** A server that was frozen takes the question and never answers. */
const answerTimeoutMs = 15_000;

/** `host:port`, for messages. */
export const serverName = ({ host, port }: MysqlSettings): string => `${host}:${port}`;

/** For both drivers: zongji hands its settings to mysql2 as they are. */
export function connectionOptions(settings: MysqlSettings): ConnectionOptions {
  const { host, port, user, password } = settings;
  const tls = tlsOptions(settings.tls);
  return {
    host,
    port,
    user,
    password,
    connectTimeout: connectTimeoutMs,
    enableKeepAlive: true,
    keepAliveInitialDelay: 10_000,
    dateStrings: true,
    timezone: 'Z',
    supportBigNumbers: true,
    charset: 'utf8mb4',
    ...(tls ? { ssl: { ...tls, verifyIdentity: tls.rejectUnauthorized } } : {}),
  };
}

/** What our questions select: text, numbers (beyond 2^53 text too), NULL. */
export type Row = Readonly<Record<string, string | number | null>>;

export interface ServerVersion {
  readonly flavor: Flavor;
  readonly major: number;
  readonly minor: number;
}

export function parseVersion(text: string): ServerVersion {
  const [major = 0, minor = 0] = text.split('.').map((part) => Number.parseInt(part, 10));
  return { flavor: /mariadb/i.test(text) ? 'mariadb' : 'mysql', major, minor };
}

export const isAtLeast = (version: ServerVersion, major: number, minor: number): boolean =>
  version.major > major || (version.major === major && version.minor >= minor);

/** One connection for a few questions; errors are ours. */
export class Metadata implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #doing: string;
  #version: ServerVersion | undefined;
  private constructor(connection: Connection, doing: string) {
    this.#connection = connection;
    this.#doing = doing;
    // A connection that dies between two questions makes the next one fail; without a listener it would end the process.
    connection.on('error', () => {});
  }

  static async open(settings: MysqlSettings, doing = 'asking'): Promise<Metadata> {
    const what = `${doing} ${serverName(settings)}`;
    const metadata = await createConnection(connectionOptions(settings)).then(
      (connection) => new Metadata(connection, what),
      (error: unknown) => {
        throw fromDriver(error, what);
      },
    );
    try {
      // Whatever the server gives its sessions (init_connect, skip-character-set-client-handshake, ANSI quotes, time zones) or keeps
      // from the handshake: our questions and answers are in UTF-8, quoted and timed as we mean them.
      await metadata.rows("SET NAMES utf8mb4, SESSION sql_mode = '', SESSION time_zone = '+00:00'");
      return metadata;
    } catch (error) {
      await metadata[Symbol.asyncDispose]();
      throw error;
    }
  }

  async rows(sql: string, values: readonly (string | number)[] = []): Promise<readonly Row[]> {
    try {
      const [rows] = await this.#connection.query<RowDataPacket[]>({ sql, values: [...values], timeout: answerTimeoutMs });
      return rows;
    } catch (error) {
      throw fromDriver(error, this.#doing);
    }
  }

  /** Of the handshake's version MariaDB's is prefixed for old clients; VERSION() is true. */
  async version(): Promise<ServerVersion> {
    if (this.#version) return this.#version;
    const [row] = await this.rows('SELECT VERSION() AS version');
    this.#version = parseVersion(String(row?.['version']));
    return this.#version;
  }

  /** `SHOW MASTER STATUS` became `SHOW BINARY LOG STATUS` in MySQL 8.2, and `SHOW BINLOG STATUS` in MariaDB 10.5. */
  async statusStatement(): Promise<string> {
    const version = await this.version();
    if (version.flavor === 'mariadb') return 'SHOW BINLOG STATUS';
    return isAtLeast(version, 8, 2) ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS';
  }

  /**
   * The server's clock, and how far it is ahead of ours. Never by a local time: where the clocks go back, an hour comes twice.
   */
  async clock(): Promise<{ readonly nowUs: number; readonly offsetUs: number }> {
    const before = Date.now();
    const [row] = await this.rows("SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) AS now");
    const nowUs = Number(row?.['now']);
    return { nowUs, offsetUs: nowUs - ((before + Date.now()) / 2) * 1000 };
  }

  /** System variables by name; one that the server does not know is absent. */
  async variables(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const rows = await this.rows(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${names.map(() => '?').join(', ')})`, names);
    return new Map(rows.map((row) => [String(row['Variable_name']).toLowerCase(), String(row['Value'])]));
  }

  async collations(): Promise<Collations> {
    // From 10.10 on MariaDB has collations that serve several character sets, each pair with an id of its own.
    const pairs = 'information_schema.COLLATION_CHARACTER_SET_APPLICABILITY';
    const version = await this.version();
    const table = version.flavor === 'mariadb' && isAtLeast(version, 10, 10) ? pairs : 'information_schema.COLLATIONS';
    const ids = await this.rows(`SELECT ID AS id, CHARACTER_SET_NAME AS name FROM ${table} WHERE ID IS NOT NULL`);
    const widths = await this.rows('SELECT CHARACTER_SET_NAME AS name, MAXLEN AS bytes FROM information_schema.CHARACTER_SETS');
    return {
      charsetOf: new Map(ids.map((row) => [Number(row['id']), String(row['name'])])),
      maxBytesOf: new Map(widths.map((row) => [String(row['name']), Number(row['bytes'])])),
      ofSpatial: version.flavor === 'mariadb',
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.destroy();
  }
}

const systemDatabases = "'mysql', 'information_schema', 'performance_schema', 'sys'";

/** All tables that could be captured, with the server's estimate of their rows; for `init`. */
export async function listTables(settings: MysqlSettings): Promise<readonly { readonly table: TableId; readonly rows: number }[]> {
  await using metadata = await Metadata.open(settings, 'listing the tables of');
  const rows = await metadata.rows(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, TABLE_ROWS AS estimate FROM information_schema.TABLES
      WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND TABLE_SCHEMA NOT IN (${systemDatabases}) ORDER BY TABLE_SCHEMA, TABLE_NAME`,
  );
  return rows.map((row) => ({ table: { database: String(row['db']), table: String(row['name']) }, rows: Number(row['estimate'] ?? 0) }));
}

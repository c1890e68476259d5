/** What the suites about positions share: the table that they capture, and short words for what comes out. */
import type { Connection } from 'mysql2/promise';
import { createConnection } from 'mysql2/promise';

export const t = { database: 'shop', table: 't' };
/** Leaves `shop` chosen. */
export const tablesSql =
  'CREATE DATABASE shop; USE shop; CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(40)); CREATE TABLE other (id INT PRIMARY KEY)';

export async function connect(url: string): Promise<Connection> {
  const sql = await createConnection({ uri: url, multipleStatements: true });
  // Servers are killed here; the next statement of a dead connection fails by itself.
  sql.on('error', () => undefined);
  return sql;
}

export const keysOf = (changes: readonly { readonly key: unknown }[]) => changes.map((change) => (change.key as { id: number }).id);
export const epochOf = (version = '') => Number.parseInt(version.slice(0, 8), 16);
export const epochAt = (position: string) => (JSON.parse(position) as { epoch: number }).epoch;

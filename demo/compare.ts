/** The last word of a timed demo: every row of every table, read as text on both sides and compared. */
import type { RowDataPacket } from 'mysql2/promise';

import { renamed, shopTables, type ColumnKind, type ShopTable } from './shop.ts';
import { stockPrefix, type Sides } from './sides.ts';

export interface Verdict {
  readonly table: string;
  readonly target: 'Postgres' | 'Redis';
  readonly sourceRows: number;
  readonly targetRows: number;
  /** Keys that are missing, too many or different, sorted. */
  readonly differing: readonly string[];
}

/** A table as key text → row text, in a spelling that both sides can produce. */
export type Canonical = ReadonlyMap<string, string>;
type Cells = readonly (string | null)[];

export async function compareShop(sides: Sides): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const table of shopTables) {
    const source = await fromMysql(sides, table);
    for (const target of table.targets) {
      const found = target === 'postgres' ? await fromPostgres(sides, table) : await fromRedis(sides, table);
      verdicts.push({
        table: table.name,
        target: target === 'postgres' ? 'Postgres' : 'Redis',
        sourceRows: source.size,
        targetRows: found.size,
        differing: differences(source, found),
      });
    }
  }
  return verdicts;
}

export function differences(source: Canonical, target: Canonical): string[] {
  const differing = [...source].filter(([key, row]) => target.get(key) !== row).map(([key]) => key);
  for (const key of target.keys()) if (!source.has(key)) differing.push(key);
  return differing.sort();
}

function canonical(table: ShopTable, rows: Iterable<Cells>): Canonical {
  const names = Object.keys(table.columns);
  const keyAt = table.key.map((name) => names.indexOf(name));
  const found = new Map<string, string>();
  for (const cells of rows) {
    const key = keyAt.map((at) => cells[at] ?? '').join(' / ');
    // JSON keeps NULL apart from '' and the cells apart from each other.
    if (found.has(key)) throw new Error(`${table.name} has two rows with the key ${key}`);
    found.set(key, JSON.stringify(cells));
  }
  return found;
}

async function fromMysql({ mysql }: Sides, table: ShopTable): Promise<Canonical> {
  const connection = await mysql.getConnection();
  try {
    await connection.query("SET time_zone = '+00:00'");
    const sql = `SELECT ${Object.keys(table.columns).join(', ')} FROM ${table.name}`;
    // As the server prints it: no conversion on the way can round or shift anything.
    const [rows] = await connection.query<RowDataPacket[][]>({ sql, rowsAsArray: true, typeCast: (field) => field.string('utf8') });
    return canonical(table, rows as unknown as Cells[]);
  } finally {
    connection.release();
  }
}

async function fromPostgres({ postgres }: Sides, table: ShopTable): Promise<Canonical> {
  const expression: Record<ColumnKind, (name: string) => string> = {
    integer: (name) => `${name}::text`,
    decimal: (name) => `${name}::text`,
    text: (name) => `${name}::text`,
    datetime: (name) => `to_char(${name}, 'YYYY-MM-DD HH24:MI:SS.MS')`,
    timestamp: (name) => `to_char(${name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')`,
  };
  const columns = Object.entries(table.columns).map(([name, kind]) => expression[kind](renamed[table.name]?.[name] ?? name));
  const { rows } = await postgres.query<(string | null)[]>({ text: `SELECT ${columns.join(', ')} FROM ${table.name}`, rowMode: 'array' });
  return canonical(table, rows);
}

async function fromRedis(sides: Sides, table: ShopTable): Promise<Canonical> {
  const keys = await sides.stockKeys();
  const rows: Cells[] = [];
  for (let from = 0; from < keys.length; from += 500) {
    const pipeline = sides.redis.pipeline();
    for (const key of keys.slice(from, from + 500)) pipeline.hgetall(key);
    for (const [index, [error, hash]] of ((await pipeline.exec()) ?? []).entries()) {
      if (error) throw error;
      const fields = hash as Record<string, string>;
      const cells = Object.entries(table.columns).map(([name, kind]) => redisCell(fields[name], kind));
      // A hash under a wrong name is a difference even when its fields are right.
      const named = keys[from + index]?.slice(stockPrefix.length);
      rows.push(named === cells[0] ? cells : [`${named} holding ${cells[0]}`, ...cells.slice(1)]);
    }
  }
  return canonical(table, rows);
}

/** A hash holds the log's spelling; NULL is a field that is not there. */
function redisCell(text: string | undefined, kind: ColumnKind): string | null {
  if (text === undefined) return null;
  return kind === 'datetime' || kind === 'timestamp' ? text.replace('T', ' ').replace(/Z$/, '') : text;
}

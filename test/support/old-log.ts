/** A history of definitions and rows, made first and read afterwards: the log of then, with the schema of then. */
import { parse } from 'yaml';
import type { CrossfadeError } from '../../src/core/errors.ts';
import type { RowChange } from '../../src/core/source-port.ts';
import { mysqlSettings, mysqlSource } from './mysql-server.ts';
import { imageOf, type TypedValues } from './typed-values.ts';

export interface Chapter {
  /** What was done to the definition, for messages. */
  readonly title: string;
  /** Empty in the first chapter of a table that is there. */
  readonly ddl: readonly string[];
  /** What may be written while the table has this shape. */
  readonly rows: readonly string[];
}

/** One row as the server showed it right after it was written. */
export interface Written {
  readonly chapter: string;
  readonly row: Readonly<Record<string, string | null>>;
  readonly columns: readonly string[];
  readonly key: readonly string[];
}

/** Runs all of it; after each statement that writes a row, the row that has the largest `at` is what it wrote. */
export async function tell(values: TypedValues, table: string, chapters: readonly Chapter[]): Promise<Written[]> {
  const written: Written[] = [];
  for (const { title, ddl, rows } of chapters) {
    for (const statement of ddl) await values.sql(statement);
    const columns = await values.select(
      `SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '${table}' ORDER BY ORDINAL_POSITION`,
    );
    const key = await values.select(
      `SELECT COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '${table}' AND CONSTRAINT_NAME = 'PRIMARY' ORDER BY ORDINAL_POSITION`,
    );
    const names = columns.map(([name]) => name ?? '');
    const shown = names.map((name) => `CAST(\`${name}\` AS CHAR CHARACTER SET utf8mb4)`).join(', ');
    for (const statement of rows) {
      await values.sql(statement);
      const [row = []] = await values.select(`SELECT ${shown} FROM \`${table}\` ORDER BY at DESC LIMIT 1`);
      const cells = Object.fromEntries(names.map((name, index) => [name, row[index] ?? null]));
      written.push({ chapter: title, row: cells, columns: names, key: key.map(([name]) => name ?? '') });
    }
  }
  return written;
}

export interface Read {
  readonly changes: readonly RowChange[];
  /** Where capture stopped, in order; each was passed the way that its remedy says. */
  readonly stops: readonly CrossfadeError[];
}

/** Reads until `count` changes have come; where capture stops at a definition, it goes on as the error says. */
export async function readOldLog(values: TypedValues, table: string, start: string, count: number): Promise<Read> {
  const changes: RowChange[] = [];
  const stops: CrossfadeError[] = [];
  let source = values.source(table);
  let position = start;
  while (changes.length < count) {
    try {
      await collect(source, position, changes, count);
    } catch (thrown) {
      const stop = thrown as CrossfadeError;
      const line = /"(start: \{[^"]*\})"/.exec(stop.remedy ?? '')?.[1];
      if (line === undefined || stops.length > 100) throw thrown;
      stops.push(stop);
      source = mysqlSource(mysqlSettings(values.database.url, parse(line)), [values.table(table)]);
      position = await source.start();
    }
  }
  return { changes, stops };
}

async function collect(source: ReturnType<TypedValues['source']>, from: string, into: RowChange[], count: number): Promise<void> {
  for await (const batch of source.read(from, AbortSignal.timeout(20_000))) {
    for (const change of batch.changes) into.push({ ...change, before: copy(change.before), after: copy(change.after) });
    if (into.length >= count) return;
  }
}
const copy = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes));

/** An image in SELECT's spelling: the log's T and Z are its own. */
export function plainImage(bytes: Uint8Array | null): Record<string, string | null> {
  const entries = Object.entries(imageOf(bytes)).map(([name, cell]): [string, string | null] => {
    if (cell === null) return [name, null];
    const text = typeof cell === 'string' || typeof cell === 'number' || typeof cell === 'bigint' ? String(cell) : JSON.stringify(cell);
    return [name, text.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d+)?)Z?$/, '$1 $2')];
  });
  return Object.fromEntries(entries);
}

/** A few values of one column, all the way: for tests that say what must come out. */
import { expect } from 'vitest';
import type { ChangeEvent, TableSchema } from '../../src/core/change.ts';
import type { Mapping } from '../../src/core/sink-port.ts';
import type { RowChange } from '../../src/core/source-port.ts';
import { byReading, throughLog } from './typed-log.ts';
import { imageOf, type TypedValues } from './typed-values.ts';

export interface Carriage {
  /** As in CREATE TABLE. */
  readonly type: string;
  /** One row each: SQL expressions for the column `c`. */
  readonly values: readonly string[];
  /** Run in the session before the rows are written, and taken back behind them. */
  readonly session?: readonly [before: string, behind: string];
}

/** What capture made of it. */
export interface Captured {
  readonly table: string;
  /** As the server describes it: what `init` and `check` go by. */
  readonly schema: TableSchema;
  readonly changes: readonly RowChange[];
  /** The cells in the log, parsed so that no integer is rounded. */
  readonly log: readonly unknown[];
}

/** All of them in one reading. */
export async function capture(values: TypedValues, carriages: readonly Carriage[]): Promise<Captured[]> {
  const tables = carriages.map((_, index) => `carried_${index}`);
  for (const [index, { type }] of carriages.entries()) await values.sql(`CREATE TABLE carried_${index} (id INT PRIMARY KEY, c ${type})`);
  const statements = carriages.flatMap(({ values: literals, session }, table) => {
    const inserts = literals.map((literal, id) => `INSERT INTO carried_${table} VALUES (${id}, ${literal})`);
    return session === undefined ? inserts : [session[0], ...inserts, session[1]];
  });
  const rows = carriages.reduce((sum, { values: literals }) => sum + literals.length, 0);
  const changes = await values.changes(tables, statements, rows);
  const schemas = await values.source(...tables).schemas(tables.map(values.table));
  return tables.map((table): Captured => {
    const own = changes.filter(({ schema }) => schema.table.table === table);
    const schema = schemas.find((each) => each.table.table === table);
    if (!schema) throw new Error(`${table} is not described`);
    return { table, schema, changes: own, log: own.map(({ after }) => imageOf(after)['c']) };
  });
}

export interface Landing {
  /** The mapping's `values`. */
  readonly policies?: Readonly<Record<string, unknown>>;
  /** The column in the target, instead of what `check` proposes. */
  readonly target?: string;
  /** SQL at the target, where a cast to text is not it. */
  readonly show?: string;
}

let landings = 0;

/**
 * Through the log's form and the real sink into a table of its own; what it shows then. Throws what the sink throws. Once as
 * apply does it, then again as the parser reads the rows: both must show the same.
 */
export async function land(values: TypedValues, { schema, changes }: Captured, landing: Landing): Promise<(string | null)[]> {
  const { policies, target, show = 'c::text' } = landing;
  const name = `landed_${(landings += 1)}`;
  const { postgres } = values.target;
  if (target !== undefined) await postgres.execute(`CREATE TABLE ${name} (id int PRIMARY KEY, c ${target})`);
  const options = policies === undefined ? {} : { values: policies };
  const mapping: Mapping = { source: schema.table, transforms: [], target: `public.${name}`, options };
  const sink = await postgres.open([mapping]);
  await values.target.propose(sink, [schema]);
  // Rows have the shape that the binlog gave them.
  const { applied, parsed } = await throughLog(changes[0]?.schema ?? schema, changes);
  const shown = async (events: readonly ChangeEvent[]) => {
    for (const part of byReading(events)) await values.target.write(sink, 0, part);
    const rows = await postgres.rows(`SELECT ${show} FROM ${name} ORDER BY id`);
    return rows.map(([text]) => text ?? null);
  };
  const first = await shown(applied).catch((error: unknown) => ({ error }));
  await postgres.execute(`DELETE FROM ${name}`);
  const second = await shown(parsed).catch((error: unknown) => ({ error }));
  if ('error' in first || 'error' in second) throw refusedAlike(first, second);
  expect(second).toEqual(first);
  return first;
}

type Shown = (string | null)[] | { readonly error: unknown };

/** What the first way threw, where the other threw the like. */
function refusedAlike(first: Shown, second: Shown): unknown {
  const messages = [first, second].map((shown) => ('error' in shown ? String(shown.error).replace(/typed-\d+#/, 'typed#') : 'passed'));
  expect(messages[1]).toBe(messages[0]);
  return 'error' in first ? first.error : undefined;
}

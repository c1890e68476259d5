/**
 * What a statement in the binlog means for us. There is no SQL parser here: the first words decide, by a closed list, and
 * what is not on it stops the stream.
 */
import type { TableId } from '../../../src/core/change.ts';
import { alterTable } from './alter-table.ts';
import { copiesRows, isHarmless } from './harmless.ts';
import { savepointName } from './savepoint-name.ts';
import { plain, tokensOf, TokenReader } from './sql-tokens.ts';
import { writtenTable } from './written-table.ts';

export type StatementMeaning =
  | { readonly kind: 'begin' }
  | { readonly kind: 'commit' }
  | { readonly kind: 'rollback' }
  | { readonly kind: 'savepoint'; readonly name: string }
  | { readonly kind: 'rollback to'; readonly name: string }
  | { readonly kind: 'xa start'; readonly xid: string }
  | { readonly kind: 'xa commit'; readonly xid: string }
  | { readonly kind: 'xa rollback'; readonly xid: string }
  /** Every row of one table is gone. */
  | { readonly kind: 'truncates'; readonly table: TableId }
  /** Of no concern to row changes. */
  | { readonly kind: 'ignore' }
  /** Changes rows, columns or keys of these tables without row events: emptied, dropped, renamed, altered. */
  | {
      readonly kind: 'destroys';
      readonly what: string;
      readonly tables: readonly TableId[];
      readonly database?: string;
      /** Only a matter for tables whose rows are told apart by something else than a primary key, or whose engine has no transactions. */
      readonly only?: 'index' | 'repair';
    }
  /** Rows changed by statement, or a statement that nobody knows. `writes`: the one table that it can change, where its text says so. */
  | { readonly kind: 'unknown'; readonly what: string; readonly writes?: TableId };

const name = '(?:`(?:[^`]|``)+`|"(?:[^"]|"")+"|[^\\s`".,;()]+)';
const qualified = `${name}(?:\\s*\\.\\s*${name})?`;

function tableOf(text: string, database: string): TableId {
  const parts = text.match(new RegExp(name, 'g')) ?? [];
  const [first = '', second] = parts.map(plain);
  return second === undefined ? { database, table: first } : { database: first, table: second };
}

const tablesOf = (list: string, database: string): TableId[] =>
  (list.match(new RegExp(qualified, 'g')) ?? []).map((text) => tableOf(text, database));

export function meaningOf(sql: string, database: string): StatementMeaning {
  const tokens = withoutWrapping(tokensOf(sql));
  const text = tokens.join(' ');
  const rest = (pattern: string) => new RegExp(`^${pattern}`, 'i').exec(text);
  if (rest('BEGIN\\s+NOT\\s+ATOMIC\\b')) return { kind: 'unknown', what: 'BEGIN NOT ATOMIC' };
  if (rest('BEGIN\\b') || rest('START\\s+TRANSACTION\\b')) return { kind: 'begin' };
  if (rest('COMMIT\\b')) return { kind: 'commit' };
  const savepoint = rest(`(SAVEPOINT|ROLLBACK\\s+(?:WORK\\s+)?TO(?:\\s+SAVEPOINT)?)\\s+(${name})`);
  if (savepoint)
    return { kind: /^S/i.test(savepoint[1] as string) ? 'savepoint' : 'rollback to', name: savepointName(plain(savepoint[2] as string)) };
  if (rest('ROLLBACK\\b')) return { kind: 'rollback' };
  const xa = rest('XA\\s+(START|BEGIN|COMMIT|ROLLBACK)\\s+([^]*?)(?:\\s+ONE\\s+PHASE)?\\s*;?\\s*$');
  if (xa) return { kind: xaKinds[(xa[1] as string).toUpperCase()] ?? 'xa start', xid: (xa[2] as string).replace(/\s+/g, '').toLowerCase() };
  if (copiesRows(tokens)) return copy(text, tokens, database);
  const destroyed = destruction(text, tokens, database);
  if (destroyed) return destroyed;
  if (isHarmless(text)) return { kind: 'ignore' };
  const verb = rest('(?:INSERT|REPLACE|UPDATE|DELETE)\\b') ?? rest('[A-Za-z]+(?: [A-Za-z]+)?');
  return unknown(verb?.[0].toUpperCase() ?? 'an unreadable statement', tokens, database);
}

/**
 * MariaDB's `SET STATEMENT name = value, … FOR statement` and `ANALYZE [FORMAT = name] statement`, which runs it: what is inside
 * is what counts.
 */
function withoutWrapping(tokens: readonly string[]): readonly string[] {
  for (let rest = tokens; ;) {
    const [first = '', second = ''] = rest.map((token) => token.toUpperCase());
    if (first === 'SET' && second === 'STATEMENT') {
      const setFor = rest.findIndex((token) => /^FOR$/i.test(token));
      // A form that cannot be read stops as what it is.
      if (setFor < 0) return ['SET_STATEMENT', ...rest];
      rest = rest.slice(setFor + 1);
    } else if (first === 'ANALYZE' && !/^(?:TABLES?|LOCAL|NO_WRITE_TO_BINLOG)$/.test(second)) {
      rest = rest.slice(second === 'FORMAT' ? 4 : 1);
    } else return rest;
  }
}

/** Rows of another table, written as a statement. Into a table of the session's own only a function's doings are of concern. */
function copy(text: string, tokens: readonly string[], database: string): StatementMeaning {
  const meaning = unknown('CREATE TABLE … SELECT', tokens, database);
  const isTemporary = /^CREATE (?:OR REPLACE )?TEMPORARY\b/i.test(text);
  return isTemporary && 'writes' in meaning ? { kind: 'ignore' } : meaning;
}

function unknown(what: string, tokens: readonly string[], database: string): StatementMeaning {
  const writes = writtenTable(tokens, database);
  return writes ? { kind: 'unknown', what, writes } : { kind: 'unknown', what };
}

const xaKinds: Readonly<Record<string, 'xa start' | 'xa commit' | 'xa rollback'>> = {
  START: 'xa start',
  BEGIN: 'xa start',
  COMMIT: 'xa commit',
  ROLLBACK: 'xa rollback',
};

function destruction(text: string, tokens: readonly string[], database: string): StatementMeaning | undefined {
  const rest = (pattern: string) => new RegExp(`^${pattern}`, 'i').exec(text);
  const truncate = rest(`TRUNCATE\\s+(?:TABLE\\s+)?(${qualified})`);
  if (truncate) return { kind: 'truncates', table: tableOf(truncate[1] as string, database) };
  if (rest('DROP\\s+TEMPORARY\\b')) return { kind: 'ignore' };
  const drop = rest(`DROP\\s+TABLES?\\s+(?:IF\\s+EXISTS\\s+)?(${qualified}(?:\\s*,\\s*${qualified})*)`);
  if (drop) return { kind: 'destroys', what: 'DROP TABLE', tables: tablesOf(drop[1] as string, database) };
  const dropDatabase = rest(`(DROP|CREATE OR REPLACE) (?:DATABASE|SCHEMA) (?:IF (?:NOT )?EXISTS )?(${name})`);
  if (dropDatabase)
    return {
      kind: 'destroys',
      what: `${(dropDatabase[1] as string).toUpperCase()} DATABASE`,
      tables: [],
      database: plain(dropDatabase[2] as string),
    };
  const replaced = rest(`CREATE OR REPLACE (TABLE|SEQUENCE) (?:IF NOT EXISTS )?(${qualified})`);
  if (replaced)
    return {
      kind: 'destroys',
      what: `CREATE OR REPLACE ${(replaced[1] as string).toUpperCase()}`,
      tables: [tableOf(replaced[2] as string, database)],
    };
  // Rows that it cannot save are gone.
  const repair = rest(`REPAIR (?:(?:NO_WRITE_TO_BINLOG|LOCAL) )?TABLES? (${qualified}(?: , ${qualified})*)`);
  if (repair) return { kind: 'destroys', what: 'REPAIR TABLE', tables: tablesOf(repair[1] as string, database), only: 'repair' };
  const rename = rest(`RENAME\\s+TABLES?\\s+(?:IF\\s+EXISTS\\s+)?([^]*)`);
  if (rename)
    return { kind: 'destroys', what: 'RENAME TABLE', tables: tablesOf((rename[1] as string).replace(/\s+TO\s+/gi, ','), database) };
  return indexStatement(text, database) ?? alteration(text, tokens, database);
}

/** CREATE INDEX and DROP INDEX, which are clauses of ALTER TABLE in other words. */
function indexStatement(text: string, database: string): StatementMeaning | undefined {
  const found = new RegExp(
    `^(CREATE UNIQUE|CREATE OR REPLACE(?: UNIQUE)?|DROP) INDEX (?:IF (?:NOT )?EXISTS )?(${name}) (?:USING \\w+ )?ON (${qualified})`,
    'i',
  ).exec(text);
  if (!found) return undefined;
  const tables = [tableOf(found[3] as string, database)];
  if (/^PRIMARY$/i.test(plain(found[2] as string))) return { kind: 'destroys', what: 'DROP PRIMARY KEY', tables };
  return { kind: 'destroys', what: `${(found[1] as string).toUpperCase()} INDEX`, tables, only: 'index' };
}

function alteration(text: string, tokens: readonly string[], database: string): StatementMeaning | undefined {
  if (!/^ALTER (?:(?:IGNORE|ONLINE|OFFLINE) )*TABLE\b/i.test(text)) return undefined;
  const reader = new TokenReader(tokens);
  // The word may have grown into another one (`TABLEü`), and then there is none.
  while (!reader.done && reader.take().toUpperCase() !== 'TABLE');
  reader.takes('IF', 'EXISTS');
  const table = reader.table(database);
  if (!table) return undefined;
  if (reader.takes('WAIT')) reader.take();
  else reader.takes('NOWAIT');
  const judged = alterTable(tokens.slice(reader.at), database);
  const ignoresErrors = tokens.slice(0, reader.at).some((token) => /^IGNORE$/i.test(token));
  // Whatever copies the table leaves out the rows that are doubled by a key, break a CHECK or fit into no partition.
  const meaning = ignoresErrors && !(typeof judged === 'object' && 'stop' in judged) ? { stop: 'IGNORE' } : judged;
  if (meaning === 'harmless') return { kind: 'ignore' };
  if ('index' in meaning) return { kind: 'destroys', what: `ALTER TABLE … ${meaning.index}`, tables: [table], only: 'index' };
  const tables = meaning.otherTable ? [table, meaning.otherTable] : [table];
  return { kind: 'destroys', what: `ALTER TABLE … ${meaning.stop}`, tables };
}

/**
 * What a statement in the binlog means for us. There is no SQL parser here: the first words decide, by a closed list, and
 * what is not on it stops the stream.
 */
import type { TableId } from '../../../src/core/change.ts';
import { alterTable } from './alter-table.ts';
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
      /** Only a matter for tables whose rows are told apart by something else than a primary key. */
      readonly index?: true;
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

const ignored =
  /^(?:CREATE|GRANT|REVOKE|ANALYZE|OPTIMIZE|REPAIR|CHECK|FLUSH|SET|INSTALL|UNINSTALL|RELEASE|RESET|CACHE|XA\s+END|DROP\s+(?!TABLES?\b|TEMPORARY\b|DATABASE\b|SCHEMA\b)|ALTER\s+(?!TABLE\b|IGNORE\b|ONLINE\b|OFFLINE\b)|RENAME\s+USER|COMMENT)\b/i;

export function meaningOf(sql: string, database: string): StatementMeaning {
  const tokens = withoutSettings(tokensOf(sql));
  const text = tokens.join(' ');
  const rest = (pattern: string) => new RegExp(`^${pattern}`, 'i').exec(text);
  if (rest('BEGIN\\s+NOT\\s+ATOMIC\\b')) return { kind: 'unknown', what: 'BEGIN NOT ATOMIC' };
  if (rest('BEGIN\\b') || rest('START\\s+TRANSACTION\\b')) return { kind: 'begin' };
  if (rest('COMMIT\\b')) return { kind: 'commit' };
  const savepoint = rest(`(SAVEPOINT|ROLLBACK\\s+(?:WORK\\s+)?TO(?:\\s+SAVEPOINT)?)\\s+(${name})`);
  if (savepoint)
    return { kind: /^S/i.test(savepoint[1] as string) ? 'savepoint' : 'rollback to', name: plain(savepoint[2] as string).toLowerCase() };
  if (rest('ROLLBACK\\b')) return { kind: 'rollback' };
  const xa = rest('XA\\s+(START|BEGIN|COMMIT|ROLLBACK)\\s+([^]*?)(?:\\s+ONE\\s+PHASE)?\\s*;?\\s*$');
  if (xa) return { kind: xaKinds[(xa[1] as string).toUpperCase()] ?? 'xa start', xid: (xa[2] as string).replace(/\s+/g, '').toLowerCase() };
  // With row events CREATE … SELECT is written as CREATE and rows; the statement itself only in statement format.
  if (/^CREATE TABLE\b/i.test(text) && tokens.some((token) => /^SELECT$/i.test(token)))
    return unknown('CREATE TABLE … SELECT', tokens, database);
  const destroyed = destruction(text, tokens, database);
  if (destroyed) return destroyed;
  if (ignored.test(text)) return { kind: 'ignore' };
  const verb = rest('(?:INSERT|REPLACE|UPDATE|DELETE)\\b') ?? rest('[A-Za-z]+(?: [A-Za-z]+)?');
  return unknown(verb?.[0].toUpperCase() ?? 'an unreadable statement', tokens, database);
}

/** MariaDB's `SET STATEMENT name = value, … FOR statement`: what it sets holds for the statement alone, which is what counts. */
function withoutSettings(tokens: readonly string[]): readonly string[] {
  let rest = tokens;
  while (/^SET$/i.test(rest[0] ?? '') && /^STATEMENT$/i.test(rest[1] ?? '')) {
    const setFor = rest.findIndex((token) => /^FOR$/i.test(token));
    // A form that cannot be read stops as what it is.
    if (setFor < 0) return ['SET_STATEMENT', ...rest];
    rest = rest.slice(setFor + 1);
  }
  return rest;
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
  const dropDatabase = rest(`DROP\\s+(?:DATABASE|SCHEMA)\\s+(?:IF\\s+EXISTS\\s+)?(${name})`);
  if (dropDatabase) return { kind: 'destroys', what: 'DROP DATABASE', tables: [], database: plain(dropDatabase[1] as string) };
  const replaced = rest(`CREATE OR REPLACE TABLE (?:IF NOT EXISTS )?(${qualified})`);
  if (replaced) return { kind: 'destroys', what: 'CREATE OR REPLACE TABLE', tables: [tableOf(replaced[1] as string, database)] };
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
  return { kind: 'destroys', what: `${(found[1] as string).toUpperCase()} INDEX`, tables, index: true };
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
  const meaning = alterTable(tokens.slice(reader.at), database);
  if (meaning === 'harmless') return { kind: 'ignore' };
  if ('index' in meaning) return { kind: 'destroys', what: `ALTER TABLE … ${meaning.index}`, tables: [table], index: true };
  const tables = meaning.otherTable ? [table, meaning.otherTable] : [table];
  return { kind: 'destroys', what: `ALTER TABLE … ${meaning.stop}`, tables };
}

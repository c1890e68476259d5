/**
 * What a statement in the binlog means for us. There is no SQL parser here: the first words decide, by a closed list, and
 * what is not on it stops the stream.
 */
import type { TableId } from '../../src/core/change.ts';

export type StatementMeaning =
  | { readonly kind: 'begin' }
  | { readonly kind: 'commit' }
  | { readonly kind: 'rollback' }
  | { readonly kind: 'savepoint'; readonly name: string }
  | { readonly kind: 'rollback to'; readonly name: string }
  | { readonly kind: 'xa start'; readonly xid: string }
  | { readonly kind: 'xa commit'; readonly xid: string }
  | { readonly kind: 'xa rollback'; readonly xid: string }
  /** Of no concern to row changes. */
  | { readonly kind: 'ignore' }
  /** Changes rows of these tables without row events: emptied, dropped, renamed, partitions taken. */
  | { readonly kind: 'destroys'; readonly what: string; readonly tables: readonly TableId[]; readonly database?: string }
  /** Rows changed by statement, or a statement that nobody knows. */
  | { readonly kind: 'unknown'; readonly what: string };

/** Comments go; what stands in a versioned comment counts. */
function bare(sql: string): string {
  let text = sql;
  for (;;) {
    const next = text
      .replace(/^(?:\s+|\/\*(?!!|M!)[^]*?\*\/|--[ \t][^\n]*\n?|#[^\n]*\n?)+/, '')
      .replace(/^\/\*M?!\d*\s*([^]*?)\*\//, '$1 ');
    if (next === text) return text;
    text = next;
  }
}

const name = '(?:`(?:[^`]|``)+`|"(?:[^"]|"")+"|[^\\s`".,;()]+)';
const qualified = `${name}(?:\\s*\\.\\s*${name})?`;
const plain = (text: string) => (/^[`"]/.test(text) ? text.slice(1, -1).replaceAll('``', '`').replaceAll('""', '"') : text);

function tableOf(text: string, database: string): TableId {
  const parts = text.match(new RegExp(name, 'g')) ?? [];
  const [first = '', second] = parts.map(plain);
  return second === undefined ? { database, table: first } : { database: first, table: second };
}

const tablesOf = (list: string, database: string): TableId[] =>
  (list.match(new RegExp(qualified, 'g')) ?? []).map((text) => tableOf(text, database));

const ignored =
  /^(?:CREATE|GRANT|REVOKE|ANALYZE|OPTIMIZE|REPAIR|CHECK|FLUSH|SET|INSTALL|UNINSTALL|RELEASE|RESET|CACHE|XA\s+END|DROP\s+(?!TABLE|TEMPORARY|DATABASE|SCHEMA)|ALTER\s+(?!TABLE|IGNORE|ONLINE)|RENAME\s+USER|COMMENT)\b/i;
const partitionLoss = /\b(?:DROP|TRUNCATE|EXCHANGE|DISCARD|IMPORT)\s+(?:PARTITION|SUBPARTITION|TABLESPACE)\b/i;
const renameTo = new RegExp(`\\bRENAME\\s+(?!COLUMN\\b|INDEX\\b|KEY\\b|CONSTRAINT\\b)(?:TO\\s+|AS\\s+|=\\s*)?(${qualified})`, 'i');

export function meaningOf(sql: string, database: string): StatementMeaning {
  const text = bare(sql);
  const rest = (pattern: string) => new RegExp(`^${pattern}`, 'i').exec(text);
  if (rest('BEGIN\\b') || rest('START\\s+TRANSACTION\\b')) return { kind: 'begin' };
  if (rest('COMMIT\\b')) return { kind: 'commit' };
  const savepoint = rest(`(SAVEPOINT|ROLLBACK\\s+(?:WORK\\s+)?TO(?:\\s+SAVEPOINT)?)\\s+(${name})`);
  if (savepoint)
    return { kind: /^S/i.test(savepoint[1] as string) ? 'savepoint' : 'rollback to', name: plain(savepoint[2] as string).toLowerCase() };
  if (rest('ROLLBACK\\b')) return { kind: 'rollback' };
  const xa = rest('XA\\s+(START|BEGIN|COMMIT|ROLLBACK)\\s+([^]*?)(?:\\s+ONE\\s+PHASE)?\\s*;?\\s*$');
  if (xa) return { kind: xaKinds[(xa[1] as string).toUpperCase()] ?? 'xa start', xid: (xa[2] as string).replace(/\s+/g, '').toLowerCase() };
  // With row events CREATE … SELECT is written as CREATE and rows; the statement itself only in statement format.
  if (/^CREATE\s+TABLE\b[^]*\bSELECT\b/i.test(withoutStrings(text))) return { kind: 'unknown', what: 'CREATE TABLE … SELECT' };
  if (ignored.test(text)) return { kind: 'ignore' };
  return (
    destruction(text, database) ?? {
      kind: 'unknown',
      what: /^[A-Za-z]+(?:\s+[A-Za-z]+)?/.exec(text)?.[0].toUpperCase() ?? 'an unreadable statement',
    }
  );
}

const xaKinds: Readonly<Record<string, 'xa start' | 'xa commit' | 'xa rollback'>> = {
  START: 'xa start',
  BEGIN: 'xa start',
  COMMIT: 'xa commit',
  ROLLBACK: 'xa rollback',
};

function destruction(text: string, database: string): StatementMeaning | undefined {
  const rest = (pattern: string) => new RegExp(`^${pattern}`, 'i').exec(text);
  const truncate = rest(`TRUNCATE\\s+(?:TABLE\\s+)?(${qualified})`);
  if (truncate) return { kind: 'destroys', what: 'TRUNCATE TABLE', tables: [tableOf(truncate[1] as string, database)] };
  if (rest('DROP\\s+TEMPORARY\\b')) return { kind: 'ignore' };
  const drop = rest(`DROP\\s+TABLES?\\s+(?:IF\\s+EXISTS\\s+)?(${qualified}(?:\\s*,\\s*${qualified})*)`);
  if (drop) return { kind: 'destroys', what: 'DROP TABLE', tables: tablesOf(drop[1] as string, database) };
  const dropDatabase = rest(`DROP\\s+(?:DATABASE|SCHEMA)\\s+(?:IF\\s+EXISTS\\s+)?(${name})`);
  if (dropDatabase) return { kind: 'destroys', what: 'DROP DATABASE', tables: [], database: plain(dropDatabase[1] as string) };
  const rename = rest(`RENAME\\s+TABLES?\\s+(?:IF\\s+EXISTS\\s+)?([^]*)`);
  if (rename)
    return { kind: 'destroys', what: 'RENAME TABLE', tables: tablesOf((rename[1] as string).replace(/\s+TO\s+/gi, ','), database) };
  const alter = rest(`ALTER\\s+(?:IGNORE\\s+|ONLINE\\s+)*TABLE\\s+(?:IF\\s+EXISTS\\s+)?(${qualified})([^]*)`);
  if (!alter) return undefined;
  const table = tableOf(alter[1] as string, database);
  const what = withoutStrings(alter[2] as string);
  const renamed = renameTo.test(what) ? (renameTo.exec(alter[2] as string) ?? []) : null;
  if (renamed) return { kind: 'destroys', what: 'ALTER TABLE … RENAME', tables: [table, tableOf(renamed[1] ?? '?', database)] };
  return partitionLoss.test(what) ? { kind: 'destroys', what: 'ALTER TABLE … PARTITION', tables: [table] } : { kind: 'ignore' };
}

/** So that a comment or a default that says "drop partition" is not taken for one. */
const withoutStrings = (text: string) => text.replace(/'(?:[^'\\]|''|\\.)*'|`[^`]*`/g, "''").replace(/\/\*(?!!)[^]*?\*\//g, ' ');

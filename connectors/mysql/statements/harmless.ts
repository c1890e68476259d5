/** The closed list of statements that no captured row can notice, by how they begin. What is not on it stops the stream. */

const defining = 'DEFINER|ALGORITHM|SQL|VIEW|AGGREGATE|PROCEDURE|FUNCTION|TRIGGER|EVENT|PACKAGE|ROLE|USER|SERVER';
const making = `${defining}|DATABASE|SCHEMA|TABLE|TEMPORARY|SEQUENCE|INDEX|UNIQUE|FULLTEXT|SPATIAL|VECTOR|TABLESPACE|UNDO|LOGFILE|RESOURCE|LIBRARY|JSON|ONLINE|OFFLINE`;
/** What replaces a table, a sequence (a table too) or a database is judged as a DROP of it; see statement.ts. */
const replacing = `${defining}|TEMPORARY|INDEX|FULLTEXT|SPATIAL|VECTOR`;
const dropping = `VIEW|PROCEDURE|FUNCTION|TRIGGER|EVENT|PACKAGE|ROLE|USER|SERVER|SEQUENCE|TABLESPACE|UNDO|LOGFILE|RESOURCE|LIBRARY|SPATIAL|TEMPORARY|PREPARE`;

const harmless = new RegExp(
  `^(?:${[
    `CREATE (?!OR REPLACE\\b)(?:${making})`,
    `CREATE OR REPLACE (?:${replacing})`,
    `DROP (?:${dropping})`,
    'ALTER (?!TABLE\\b|IGNORE\\b|ONLINE\\b|OFFLINE\\b)',
    // MariaDB's ANALYZE of a statement runs it; see withoutWrapping.
    '(?:ANALYZE|OPTIMIZE|CHECK|REPAIR) (?:(?:NO_WRITE_TO_BINLOG|LOCAL) )?(?:TABLES?|VIEW)',
    'GRANT|REVOKE|RENAME USER|FLUSH|RESET|CACHE|INSTALL|UNINSTALL',
    // A function that SET calls is written as a SELECT of its own.
    'SET|RELEASE|XA END',
  ].join('|')})\\b`,
  'i',
);

/** `text`: the statement's tokens with a blank between each two. */
export const isHarmless = (text: string): boolean => harmless.test(text);

/** CREATE TABLE … SELECT (or TABLE or VALUES): with row events it is written without that, and rows follow. */
export function copiesRows(tokens: readonly string[]): boolean {
  const words = tokens.map((token) => token.toUpperCase());
  if (words[0] !== 'CREATE') return false;
  const table = words.indexOf('TABLE');
  const isTable = table > 0 && words.slice(1, table).every((word) => /^(?:OR|REPLACE|TEMPORARY)$/.test(word));
  return isTable && words.some((word, at) => at > table && startsRows(word, words[at + 1] ?? '', words[at - 1] ?? ''));
}

/** VALUES is a word of partitions too (VALUES IN, VALUES LESS THAN), and any of them may be a name behind a dot. */
const startsRows = (word: string, next: string, before: string): boolean =>
  before !== '.' && (word === 'SELECT' || word === 'TABLE' || (word === 'VALUES' && (next === '(' || next === 'ROW')));

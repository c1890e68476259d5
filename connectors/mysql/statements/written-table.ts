/** Which table a statement writes to, where that can be told from its text alone. */
import type { TableId } from '../../../src/core/change.ts';
import { isReadable, TokenReader } from './sql-tokens.ts';

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));
const modifiers = words('LOW_PRIORITY HIGH_PRIORITY DELAYED QUICK IGNORE');
const loadModifiers = words('LOW_PRIORITY CONCURRENT LOCAL');
const behindTarget = words('WHERE ORDER LIMIT');
/**
 * What may stand in front of a bracket. A stored function may write to any table, and in statement format nothing tells
 * of it; so a function passes only when it is one of the server's own.
 */
const bracketed = words(
  'VALUES VALUE ROW IN AND OR NOT XOR WHERE ON SELECT DISTINCT ALL FROM JOIN EXISTS BY HAVING UNION AS WHEN THEN ELSE CASE BETWEEN LIKE IS DIV MOD USING INDEX KEY PARTITION OVER INTERVAL ANY SOME CHAR DECIMAL BINARY VARCHAR DATETIME TIME ' +
    'NOW CURRENT_TIMESTAMP SYSDATE UTC_TIMESTAMP UTC_DATE CURDATE CURRENT_DATE CURTIME UNIX_TIMESTAMP FROM_UNIXTIME DATE DATE_ADD DATE_SUB DATE_FORMAT TIMESTAMPDIFF COUNT SUM MIN MAX AVG BIT_XOR BIT_AND BIT_OR COALESCE IFNULL NULLIF ISNULL IF GREATEST LEAST CONCAT CONCAT_WS LOWER UPPER LENGTH CHAR_LENGTH SUBSTRING SUBSTR LEFT RIGHT TRIM REPLACE HEX UNHEX CONV CRC32 MD5 SHA1 SHA2 ABS ROUND FLOOR CEIL RAND CAST CONVERT UUID LAST_INSERT_ID CONNECTION_ID USER CURRENT_USER DATABASE VERSION REPEAT LPAD RPAD',
);

/** undefined: several tables, a stored function, or a form that is not known here. */
export function writtenTable(tokens: readonly string[], database: string): TableId | undefined {
  if (!isReadable(tokens)) return undefined;
  const reader = new TokenReader(tokens);
  const target = targetOf(reader, database);
  return target && onlyBuiltIn(tokens, reader.at) ? target : undefined;
}

function targetOf(reader: TokenReader, database: string): TableId | undefined {
  const verb = reader.take().toUpperCase();
  if (verb === 'CREATE') {
    reader.takes('OR', 'REPLACE');
    reader.takes('TEMPORARY');
    if (!reader.takes('TABLE')) return undefined;
    reader.takes('IF', 'NOT', 'EXISTS');
    return reader.table(database);
  }
  if (verb === 'LOAD') return loaded(reader, database);
  if (!/^(?:INSERT|REPLACE|UPDATE|DELETE)$/.test(verb)) return undefined;
  while (reader.takesAny(modifiers));
  if (verb === 'DELETE' && !reader.takes('FROM')) return undefined;
  if (verb === 'INSERT' || verb === 'REPLACE') {
    reader.takes('INTO');
    return reader.table(database);
  }
  const target = reader.table(database);
  const isSingle = () => (verb === 'UPDATE' ? reader.word === 'SET' : reader.done || behindTarget.has(reader.word));
  if (isSingle()) return target;
  reader.takes('AS');
  reader.name();
  return isSingle() ? target : undefined;
}

/** LOAD DATA [LOCAL] INFILE 'name' [REPLACE | IGNORE] INTO TABLE t …, and the same with XML. */
function loaded(reader: TokenReader, database: string): TableId | undefined {
  if (!reader.takes('DATA') && !reader.takes('XML')) return undefined;
  while (reader.takesAny(loadModifiers));
  if (!reader.takes('INFILE')) return undefined;
  reader.take();
  while (reader.takesAny(modifiers) || reader.takes('REPLACE'));
  return reader.takes('INTO', 'TABLE') ? reader.table(database) : undefined;
}

/** `from`: behind the target, whose own list of columns is in a bracket. */
function onlyBuiltIn(tokens: readonly string[], from: number): boolean {
  return tokens.every((token, at) => {
    if (token !== '(' || at <= from) return true;
    const before = (tokens[at - 1] ?? '').toUpperCase();
    if (!/^[`"A-Z0-9_$\u0080-\uffff]/.test(before)) return true;
    return bracketed.has(before) && tokens[at - 2] !== '.';
  });
}

/** The bodies of QUERY and ROTATE events. */
import { corruptEvent } from '../errors.ts';
import { inflated } from './mariadb-events.ts';

export interface QueryEvent {
  readonly database: string;
  readonly sql: string;
}

const queryHeadBytes = 13;
/** EXECUTE_LOAD_QUERY has behind it the number of its file, and where in the text the file's name is. */
const loadHeadBytes = queryHeadBytes + 13;

interface QueryParts {
  readonly database: string;
  readonly textAt: number;
  /** The collation of the client, whose character set the text is in; 0: not said. */
  readonly collation: number;
}

/** `decode`: the text of a statement that is not plain ASCII, by the number of its client's collation. */
export function parseQuery(b: Buffer, from: number, end: number, decode: DecodeStatement): QueryEvent {
  if (isBegin(b, from, end)) return begin;
  const { database, textAt, collation } = queryParts(b, from, end, queryHeadBytes);
  return { database, sql: statementText(b.subarray(textAt, end), collation, decode) };
}
/** Every transaction begins with BEGIN: neither text nor database need to be made for it. */
const begin: QueryEvent = { database: '', sql: 'BEGIN' };
const letters = { begi: 0x42454749, n: 0x4e };

function isBegin(b: Buffer, from: number, end: number): boolean {
  if (end - from < queryHeadBytes) return false;
  const textAt = from + queryHeadBytes + b.readUInt16LE(from + 11) + (b[from + 8] as number) + 1;
  return end - textAt === 5 && b.readUInt32BE(textAt) === letters.begi && b[textAt + 4] === letters.n;
}

export function parseLoadQuery(b: Buffer, from: number, end: number, decode: DecodeStatement): QueryEvent {
  const { database, textAt, collation } = queryParts(b, from, end, loadHeadBytes);
  return { database, sql: statementText(b.subarray(textAt, end), collation, decode) };
}

/** MariaDB: only the text is compressed. */
export function parseCompressedQuery(b: Buffer, from: number, end: number, decode: DecodeStatement, where: () => string): QueryEvent {
  const { database, textAt, collation } = queryParts(b, from, end, queryHeadBytes);
  return { database, sql: statementText(inflated(b, textAt, end, where), collation, decode) };
}

export type DecodeStatement = (bytes: Buffer, collation: number) => string;

function statementText(bytes: Buffer, collation: number, decode: DecodeStatement): string {
  const text = bytes.toString('latin1');
  return /^[\0-\x7f]*$/.test(text) ? text : decode(bytes, collation);
}

function queryParts(b: Buffer, from: number, end: number, headBytes: number): QueryParts {
  if (end - from < headBytes) throw corruptEvent('a QUERY is cut');
  const databaseBytes = b[from + 8] as number;
  const statusAt = from + headBytes;
  const databaseAt = statusAt + b.readUInt16LE(from + 11);
  const textAt = databaseAt + databaseBytes + 1;
  if (textAt > end) throw corruptEvent('a QUERY is cut');
  return {
    database: b.toString('utf8', databaseAt, databaseAt + databaseBytes),
    textAt,
    collation: clientCollation(b, statusAt, databaseAt),
  };
}

/** Of what the session was like when it ran the statement, in the order of the numbers: flags, sql_mode, (catalog,) auto increment, charset. */
function clientCollation(b: Buffer, from: number, end: number): number {
  for (let at = from; at + 3 <= end;) {
    const kind = b[at] as number;
    at += 1;
    if (kind === 4) return b.readUInt16LE(at);
    if (kind === 0 || kind === 3) at += 4;
    else if (kind === 1) at += 8;
    else if (kind === 6) at += 1 + (b[at] as number);
    else return 0;
  }
  return 0;
}

export function parseRotate(b: Buffer, from: number, end: number): { readonly file: string; readonly offset: number } {
  if (end - from < 9) throw corruptEvent('a ROTATE is cut');
  const offset = Number(b.readBigUInt64LE(from));
  const file = b.toString('utf8', from + 8, end);
  if (!Number.isSafeInteger(offset) || !/\.\d{1,10}$/.test(file)) throw corruptEvent('a ROTATE names no file of a binlog');
  return { offset, file };
}

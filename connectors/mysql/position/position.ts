/** A place in a MySQL server's history as text. Only this file reads and writes that text. */
import type { Position } from '../../../src/core/change.ts';
import { CrossfadeError } from '../../../src/core/errors.ts';
import { parseExecuted, type Flavor } from './executed.ts';

/** The last transaction before a position: where it begins, so that it can be read again, and what it held. */
export interface LastTransaction {
  readonly file: string;
  readonly pos: number;
  readonly gtid: string | null;
  /** MariaDB: the GTID in front of it in its domain, null where there was none; null on MySQL. See ExecutedSet. */
  readonly before: string | null;
  /** Hex; see fingerprint in transaction-assembler.ts. */
  readonly print: string;
}

/** An XA transaction that was prepared and not ended yet. */
export interface PreparedXa {
  readonly xid: string;
  /** Where its first half (XA START … XA PREPARE) begins, so that it can be read again; as in LastTransaction. */
  readonly gtid: string | null;
  readonly before: string | null;
  readonly file: string;
  readonly pos: number;
  /** It holds rows of captured tables, which are handed on at XA COMMIT; else its end is of no interest. */
  readonly captured: boolean;
}

export interface MysqlPosition {
  readonly flavor: Flavor;
  /** The server that file and offset belong to: server_uuid; of MariaDB see serverIdentity in mariadb-state.ts. */
  readonly uuid: string;
  /** Grows when the same history is read from another server, or at other offsets. */
  readonly epoch: number;
  /** All transactions up to here, in the flavor's form; null where GTIDs are off. */
  readonly gtid: string | null;
  /** '' where only the GTID set is known. */
  readonly file: string;
  readonly pos: number;
  readonly last: LastTransaction | null;
  readonly xa: readonly PreparedXa[];
  /** What was committed before this instant (microseconds, the server's clock) lies before the position. */
  readonly throughUs: number;
}

export function positionText(position: MysqlPosition): Position {
  return JSON.stringify(position);
}

export function parsePosition(text: Position): MysqlPosition {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalidPosition();
  }
  if (!isPosition(value)) throw invalidPosition();
  if (value.gtid !== null) parseExecuted(value.gtid, value.flavor);
  return value;
}

function isPosition(value: unknown): value is MysqlPosition {
  if (typeof value !== 'object' || value === null) return false;
  const it = value as Partial<Record<keyof MysqlPosition, unknown>>;
  return (
    (it.flavor === 'mysql' || it.flavor === 'mariadb') &&
    typeof it.uuid === 'string' &&
    isCount(it.epoch) &&
    (it.gtid === null || typeof it.gtid === 'string') &&
    typeof it.file === 'string' &&
    isCount(it.pos) &&
    (it.gtid !== null || it.file !== '') &&
    isLast(it.last) &&
    Array.isArray(it.xa) &&
    it.xa.every(isPreparedXa) &&
    isCount(it.throughUs)
  );
}

function isLast(value: unknown): value is LastTransaction | null {
  if (value === null) return true;
  if (typeof value !== 'object') return false;
  const it = value as Partial<Record<keyof LastTransaction, unknown>>;
  return isBegin(it) && typeof it.print === 'string';
}

function isPreparedXa(value: unknown): value is PreparedXa {
  if (typeof value !== 'object' || value === null) return false;
  const it = value as Partial<Record<keyof PreparedXa, unknown>>;
  return isBegin(it) && typeof it.xid === 'string' && typeof it.captured === 'boolean';
}

const isBegin = (it: Partial<Record<'file' | 'pos' | 'gtid' | 'before', unknown>>): boolean =>
  typeof it.file === 'string' && isCount(it.pos) && isTextOrNull(it.gtid) && isTextOrNull(it.before);
const isTextOrNull = (value: unknown): boolean => value === null || typeof value === 'string';

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function invalidPosition(): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_POSITION_INVALID',
    fault: 'fatal',
    message: 'the position in the log is not one of a MySQL source',
    remedy: 'The log belongs to another kind of source or release. Use a new pipeline name, or the release that wrote it.',
  });
}

/** For people: the GTID set, or `file:offset`. */
export function describePosition(position: MysqlPosition): string {
  if (position.gtid !== null) return position.gtid === '' ? 'the beginning (empty GTID set)' : position.gtid;
  return `${position.file}:${position.pos}`;
}

/** `binlog.000042` → 42. */
export function fileNumber(file: string): number {
  if (file === known.file) return known.number;
  const digits = /\.(\d+)$/.exec(file)?.[1];
  const number = digits === undefined ? Number.NaN : Number(digits);
  if (!(number <= 0xffffffff)) throw invalidPosition();
  known = { file, number };
  return number;
}
/** Each transaction asks for the file that the last one was in. */
let known = { file: '', number: Number.NaN };

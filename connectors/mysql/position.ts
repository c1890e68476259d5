/** A place in a MySQL server's history as text. Only this file reads and writes that text. */
import type { Position } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import { GtidSet } from './gtid.ts';

/** The last transaction before a position: where it begins, so that it can be read again, and what it held. */
export interface LastTransaction {
  readonly file: string;
  readonly pos: number;
  readonly gtid: string | null;
  /** Hex; see fingerprint in transaction.ts. */
  readonly print: string;
}

export interface MysqlPosition {
  /** The server that file and offset belong to. */
  readonly uuid: string;
  /** Grows when the same history is read from another server, or at other offsets. */
  readonly epoch: number;
  /** All transactions up to here; null where GTIDs are off. */
  readonly gtid: string | null;
  /** '' where only the GTID set is known. */
  readonly file: string;
  readonly pos: number;
  readonly last: LastTransaction | null;
  /** XA transactions that were prepared without rows of ours and not ended yet: their end is of no interest. */
  readonly xa: readonly string[];
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
  if (value.gtid !== null) GtidSet.parse(value.gtid);
  return value;
}

function isPosition(value: unknown): value is MysqlPosition {
  if (typeof value !== 'object' || value === null) return false;
  const it = value as Partial<Record<keyof MysqlPosition, unknown>>;
  return (
    typeof it.uuid === 'string' &&
    isCount(it.epoch) &&
    (it.gtid === null || typeof it.gtid === 'string') &&
    typeof it.file === 'string' &&
    isCount(it.pos) &&
    (it.gtid !== null || it.file !== '') &&
    isLast(it.last) &&
    Array.isArray(it.xa) &&
    isCount(it.throughUs)
  );
}

function isLast(value: unknown): value is LastTransaction | null {
  if (value === null) return true;
  if (typeof value !== 'object') return false;
  const it = value as Partial<Record<keyof LastTransaction, unknown>>;
  return (
    typeof it.file === 'string' && isCount(it.pos) && (it.gtid === null || typeof it.gtid === 'string') && typeof it.print === 'string'
  );
}

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
  const digits = /\.(\d+)$/.exec(file)?.[1];
  const number = digits === undefined ? Number.NaN : Number(digits);
  if (!(number <= 0xffffffff)) throw invalidPosition();
  return number;
}

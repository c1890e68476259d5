/** Which cells of the log are already as Postgres reads them, but for quoting: compiled once a column, checked once a cell. */
import {
  beginMask,
  codeShift,
  falseCell,
  hasBackslash,
  hasUnicodeEscape,
  integerCell,
  kindMask,
  textCell,
  trueCell,
} from '../../src/core/image-scanner.ts';
import { hasMinusZero } from './key-columns.ts';
import type { PlannedColumn } from './plan.ts';
import { characterRoom } from './values-text.ts';
import { daysInMonth } from './values-time.ts';

/** `converted`: only the column's own writer knows what becomes of a value. */
export type CellForm = 'converted' | 'verbatim' | 'limited' | 'truth' | 'bit' | 'moment' | 'timeOfDay' | 'jsonDocument';

const numbers = new Set(['int2', 'int4', 'int8', 'numeric', 'float4', 'float8']);
const moments = new Set(['date', 'timestamp', 'timestamptz']);

export function cellForm(column: PlannedColumn, isKey: boolean): CellForm {
  const { source, target, toBytes } = column;
  const { base } = target;
  if (toBytes !== undefined) return 'converted';
  const room = characterRoom(source, target);
  const asText = room === undefined ? 'verbatim' : 'limited';
  switch (source.kind) {
    case 'integer':
    case 'year':
      return numbers.has(base) ? 'verbatim' : base === 'bool' || room !== undefined ? 'converted' : 'verbatim';
    case 'decimal':
      if (isKey && hasMinusZero(source, target)) return 'converted';
      return numbers.has(base) ? 'verbatim' : base === 'bool' ? 'converted' : asText;
    case 'boolean':
      return base === 'bool' ? 'truth' : base === 'bit' || base === 'varbit' || numbers.has(base) ? 'bit' : 'converted';
    case 'string':
      return base === 'jsonb' || base === 'uuid' || base === 'inet' ? 'converted' : asText;
    case 'json':
      return base !== 'jsonb' ? asText : source.type === 'json' ? 'jsonDocument' : 'converted';
    case 'date':
    case 'datetime':
    case 'timestamp':
      return moments.has(base) ? 'moment' : asText;
    case 'time':
      return base === 'interval' ? 'verbatim' : base === 'time' ? 'timeOfDay' : asText;
    case 'set':
      return target.isArray ? 'converted' : asText;
    case 'enum':
    case 'uuid':
    case 'inet4':
    case 'inet6':
      return asText;
    default:
      return 'converted';
  }
}

/** Whether this cell, which is not NULL, goes over as it lies there; else its value must be made and written. */
export function isReady(form: CellForm, room: number, bytes: Uint8Array, cells: Int32Array, slot: number): boolean {
  const head = cells[slot] as number;
  const code = head >>> codeShift;
  const kind = code & kindMask;
  if (form === 'truth' || form === 'bit') return kind === trueCell || kind === falseCell;
  if (kind === integerCell) return form === 'verbatim';
  if (kind !== textCell || (code & hasUnicodeEscape) !== 0) return false;
  const begin = head & beginMask;
  const end = cells[slot + 1] as number;
  switch (form) {
    case 'verbatim':
      return true;
    case 'limited':
      // Never more characters than bytes.
      return end - begin <= room;
    case 'moment':
      return isPlainDate(bytes, begin, end);
    case 'timeOfDay':
      return isTimeOfDay(bytes, begin, end);
    case 'jsonDocument':
      return (code & hasBackslash) === 0;
    default:
      return false;
  }
}

const digit = (bytes: Uint8Array, at: number) => (bytes[at] as number) - 0x30;
const two = (bytes: Uint8Array, at: number) => digit(bytes, at) * 10 + digit(bytes, at + 1);

/** `YYYY-MM-DD…`, not of the year 0, of a day that its month has in every year. */
function isPlainDate(bytes: Uint8Array, begin: number, end: number): boolean {
  if (end - begin < 10 || bytes[begin + 4] !== 0x2d || bytes[begin + 7] !== 0x2d) return false;
  const month = two(bytes, begin + 5);
  const day = two(bytes, begin + 8);
  return (
    two(bytes, begin) + two(bytes, begin + 2) > 0 && month > 0 && month <= 12 && day > 0 && (day <= 28 || day <= daysInMonth(1, month))
  );
}

function isTimeOfDay(bytes: Uint8Array, begin: number, end: number): boolean {
  if (end - begin < 8 || bytes[begin + 2] !== 0x3a) return false;
  const first = digit(bytes, begin);
  const second = digit(bytes, begin + 1);
  return second >= 0 && second <= 9 && (first === 0 || first === 1 || (first === 2 && second <= 3));
}

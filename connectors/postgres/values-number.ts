/** Numbers and booleans as Postgres reads them. */
import type { Value } from '../../src/core/change.ts';
import { Refused, stringOf } from './policy.ts';

/** Exact: an integer of any size, a float's shortest text, a decimal's digits. */
export function numberText(value: Value): string {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (typeof value === 'boolean') return value ? '1' : '0';
  return typeof value === 'bigint' ? value.toString() : stringOf(value);
}

/** For numeric, which knows no minus zero. */
export function floatAsNumeric(value: Value): string {
  if (Object.is(value, -0)) throw new Refused('numeric has no minus zero', 'Make the column double precision, then start again.');
  return numberText(value);
}

export function booleanText(value: Value): string {
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (value === 0 || value === 1) return value === 1 ? 't' : 'f';
  throw new Refused('a boolean column cannot hold a number other than 0 and 1', 'Make the column smallint.');
}

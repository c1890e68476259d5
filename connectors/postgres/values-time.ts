/** Dates and times as Postgres reads them. */
import type { Value } from '../../src/core/change.ts';
import { type Policy, policyRemedy, Refused, stringOf } from './policy.ts';

/** The proleptic Gregorian calendar, which both servers use; 0 for a month that is none. */
export function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month >= 1 && month <= 12 ? (month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31) : 0;
}

/** 0000-00-00, 2026-00-10, 2026-01-00, the year 0 that Postgres does not have, and 2026-02-31 (ALLOW_INVALID_DATES). */
function isNoDate(text: string): boolean {
  if (text.startsWith('0000') || text.startsWith('-00', 4) || text.startsWith('-00', 7)) return true;
  const day = digits(text, 8);
  return day > 28 && day > daysInMonth(digits(text, 0) * 100 + digits(text, 2), digits(text, 5));
}
const digits = (text: string, at: number) => (text.charCodeAt(at) - 48) * 10 + text.charCodeAt(at + 1) - 48;

/** DATE, DATETIME and TIMESTAMP. */
export function dateText(value: Value, { zeroDate, altered }: Policy): string | null {
  const text = stringOf(value);
  if (!isNoDate(text)) return text;
  if (zeroDate === 'stop') {
    throw new Refused(
      'a zero or partly zero date, or one beyond the end of its month, cannot be stored',
      policyRemedy({
        'zeroDate: null': 'it is stored as NULL (the column must take NULL and be no part of the key)',
        'zeroDate: "0001-01-01"': 'it is stored as that date',
      }),
    );
  }
  altered('zeroDate');
  return zeroDate === 'null' ? null : zeroDate;
}

/** For a `time` column, which has the times of one day. */
export function timeText(value: Value, { timeRange, altered }: Policy): string | null {
  const text = stringOf(value);
  if (/^(?:[01]\d|2[0-3]):/.test(text) || /^24:00:00(?:\.0*)?$/.test(text)) return text;
  if (timeRange === 'stop') {
    throw new Refused(
      'a time column cannot hold a time that is negative or beyond 24 hours',
      `Make the column interval. ${policyRemedy({ 'timeRange: null': 'it is stored as NULL (the column must take NULL and be no part of the key)' })}`,
    );
  }
  altered('timeRange');
  return null;
}

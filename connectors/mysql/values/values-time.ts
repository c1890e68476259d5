/** Dates and times as JSON strings in the log's form (semantics section 4), straight from the binlog's bytes. */
import { writeDigits } from './values-number.ts';

export const bigEndian = (b: Uint8Array, p: number, size: number): number => {
  let value = 0;
  for (let index = 0; index < size; index += 1) value = value * 256 + (b[p + index] as number);
  return value;
};

/** Bytes of the fraction behind a TIME, DATETIME or TIMESTAMP with so many fraction digits. */
export const fractionSize = (digits: number): number => (digits + 1) >> 1;

/** `.123`: fractions are stored in even numbers of digits. */
function writeFraction(w: Uint8Array, q: number, stored: number, digits: number): number {
  if (digits === 0) return q;
  w[q] = 46;
  return writeDigits(w, q + 1, digits % 2 === 1 ? Math.floor(stored / 10) : stored, digits);
}

/** `hh:mm:ss` */
export function writeClock(w: Uint8Array, start: number, hour: number, minute: number, second: number): number {
  let q = writeDigits(w, start, hour, 2);
  w[q++] = 58;
  q = writeDigits(w, q, minute, 2);
  w[q++] = 58;
  return writeDigits(w, q, second, 2);
}

/** `yyyy-mm-dd` */
export function writeDay(w: Uint8Array, start: number, year: number, month: number, day: number): number {
  let q = writeDigits(w, start, year, 4);
  w[q++] = 45;
  q = writeDigits(w, q, month, 2);
  w[q++] = 45;
  return writeDigits(w, q, day, 2);
}

/** `"2026-11-21"`; zero and partly zero dates as they are. */
export function writeDate(w: Uint8Array, start: number, b: Uint8Array, p: number): number {
  const packed = (b[p] as number) | ((b[p + 1] as number) << 8) | ((b[p + 2] as number) << 16);
  w[start] = 34;
  const q = writeDay(w, start + 1, packed >> 9, (packed >> 5) & 15, packed & 31);
  w[q] = 34;
  return q + 1;
}

/** `"2026-11-21T10:11:12.123456"`: no zone, it is not an instant. */
export function writeDatetime(w: Uint8Array, start: number, b: Uint8Array, p: number, digits: number): number {
  // 1 bit sign (always set), 17 bits year * 13 + month, 5 day, 5 hour, 6 minute, 6 second.
  const day = ((b[p] as number) & 0x7f) * 0x10000 + (((b[p + 1] as number) << 8) | (b[p + 2] as number));
  const clock = (((b[p + 2] as number) & 1) << 16) | ((b[p + 3] as number) << 8) | (b[p + 4] as number);
  const yearMonth = day >> 6;
  const year = (yearMonth / 13) | 0;
  w[start] = 34;
  let q = writeDay(w, start + 1, year, yearMonth - year * 13, (day >> 1) & 31);
  w[q++] = 84;
  q = writeClock(w, q, clock >> 12, (clock >> 6) & 63, clock & 63);
  q = writeFraction(w, q, bigEndian(b, p + 5, fractionSize(digits)), digits);
  w[q] = 34;
  return q + 1;
}

let civilOf = -1;
const civil = { year: 0, month: 0, day: 0 };
/** Days since 1970 to year, month, day; the last answer is kept because rows of one time are neighbours. */
function setCivil(days: number): void {
  if (days === civilOf) return;
  civilOf = days;
  const date = new Date(days * 86_400_000);
  civil.year = date.getUTCFullYear();
  civil.month = date.getUTCMonth() + 1;
  civil.day = date.getUTCDate();
}

/** `2026-11-21T10:11:12` of seconds since 1970; 0 is MySQL's zero timestamp, all zeros. */
export function writeSecond(w: Uint8Array, start: number, seconds: number): number {
  let q = start;
  if (seconds === 0) q = writeDay(w, q, 0, 0, 0);
  else {
    setCivil(Math.floor(seconds / 86_400));
    q = writeDay(w, q, civil.year, civil.month, civil.day);
  }
  w[q++] = 84;
  const ofDay = seconds % 86_400;
  return writeClock(w, q, Math.floor(ofDay / 3600), Math.floor(ofDay / 60) % 60, ofDay % 60);
}

/** `"2026-11-21T10:11:12.123456Z"` */
export function writeTimestamp(w: Uint8Array, start: number, b: Uint8Array, p: number, digits: number): number {
  w[start] = 34;
  let q = writeSecond(w, start + 1, bigEndian(b, p, 4));
  q = writeFraction(w, q, bigEndian(b, p + 4, fractionSize(digits)), digits);
  w[q++] = 90;
  w[q] = 34;
  return q + 1;
}

/** `"-12:34:56.000"`: the whole number, fraction included, is stored with an offset of half its range. */
export function writeTime(w: Uint8Array, start: number, b: Uint8Array, p: number, digits: number): number {
  const size = fractionSize(digits);
  const unit = 256 ** size;
  let packed = bigEndian(b, p, 3 + size) - 0x800000 * unit;
  let q = start;
  w[q++] = 34;
  if (packed < 0) {
    w[q++] = 45;
    packed = -packed;
  }
  const whole = Math.floor(packed / unit);
  const hour = (whole >> 12) & 0x3ff;
  if (hour >= 100) w[q++] = 48 + Math.floor(hour / 100);
  q = writeClock(w, q, hour % 100, (whole >> 6) & 63, whole & 63);
  q = writeFraction(w, q, packed - whole * unit, digits);
  w[q] = 34;
  return q + 1;
}

export function writeYear(w: Uint8Array, q: number, stored: number): number {
  if (stored === 0) {
    w[q] = 48;
    return q + 1;
  }
  return writeDigits(w, q, 1900 + stored, 4);
}

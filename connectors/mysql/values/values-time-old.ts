/** Dates and times in the storage formats of before MySQL 5.6.4, and with MariaDB's own fractions, in the log's form. */
import { writeDigits } from './values-number.ts';
import { bigEndian, writeClock, writeDay, writeSecond } from './values-time.ts';

/** Bytes that MariaDB's fractions of so many digits add to a TIMESTAMP; DATETIME and TIME are one number and have their own sizes. */
const timestampBytes = [4, 5, 5, 6, 6, 7, 7] as const;
const datetimeBytes = [8, 6, 6, 7, 7, 7, 8] as const;
const timeBytes = [3, 4, 4, 5, 5, 5, 6] as const;

const sizeOf = (sizes: readonly number[], digits: number): number => sizes[digits] ?? 0;
export const oldTimestampSize = (digits: number): number => sizeOf(timestampBytes, digits);
export const oldDatetimeSize = (digits: number): number => sizeOf(datetimeBytes, digits);
export const oldTimeSize = (digits: number): number => sizeOf(timeBytes, digits);

function writeFraction(w: Uint8Array, q: number, fraction: number, digits: number): number {
  if (digits === 0) return q;
  w[q] = 46;
  return writeDigits(w, q + 1, fraction, digits);
}

/** Without a fraction four bytes little-endian; with one four big-endian and the fraction's number behind. */
export function writeOldTimestamp(w: Uint8Array, start: number, b: Uint8Array, p: number, digits: number): number {
  const plain = (b[p] as number) + ((b[p + 1] as number) << 8) + ((b[p + 2] as number) << 16) + (b[p + 3] as number) * 0x1000000;
  const seconds = digits === 0 ? plain : bigEndian(b, p, 4);
  w[start] = 34;
  let q = writeSecond(w, start + 1, seconds);
  q = writeFraction(w, q, bigEndian(b, p + 4, oldTimestampSize(digits) - 4), digits);
  w[q] = 90;
  w[q + 1] = 34;
  return q + 2;
}

/** Without a fraction the decimal number YYYYMMDDhhmmss, little-endian; with one a count of fractions, big-endian. -1 where it is no such number. */
export function writeOldDatetime(w: Uint8Array, start: number, b: Buffer, p: number, digits: number): number {
  let q = start;
  w[q++] = 34;
  if (digits === 0) {
    const value = b.readUInt32LE(p + 4) * 4294967296 + b.readUInt32LE(p);
    const day = Math.floor(value / 1e6);
    const clock = value - day * 1e6;
    const month = Math.floor(day / 100) % 100;
    const hour = Math.floor(clock / 1e4);
    const minute = Math.floor(clock / 100) % 100;
    if (day > 99_991_231 || month > 12 || day % 100 > 31 || hour > 23 || minute > 59 || clock % 100 > 59) return -1;
    q = writeDay(w, q, Math.floor(day / 1e4), month, day % 100);
    w[q++] = 84;
    q = writeClock(w, q, hour, minute, clock % 100);
  } else {
    const unit = 10n ** BigInt(digits);
    let packed = 0n;
    for (let index = 0; index < oldDatetimeSize(digits); index += 1) packed = packed * 256n + BigInt(b[p + index] as number);
    const fraction = Number(packed % unit);
    let rest = Number(packed / unit);
    const next = (base: number) => {
      const part = rest % base;
      rest = Math.floor(rest / base);
      return part;
    };
    const [second, minute, hour, day, month] = [next(60), next(60), next(24), next(32), next(13)];
    if (rest > 9999) return -1;
    q = writeDay(w, q, rest, month, day);
    w[q++] = 84;
    q = writeFraction(w, writeClock(w, q, hour, minute, second), fraction, digits);
  }
  w[q] = 34;
  return q + 1;
}

/** Every TIME is below 838:59:59.999999 on either side; MariaDB counts its fractions from there. */
const beyondSeconds = 838 * 3600 + 59 * 60 + 60;

/** Without a fraction the signed decimal number hhmmss in three bytes, little-endian; with one a count of fractions above the least TIME, big-endian. */
export function writeOldTime(w: Uint8Array, start: number, b: Uint8Array, p: number, digits: number): number {
  const unit = 10 ** digits;
  const plain = (((b[p] as number) | ((b[p + 1] as number) << 8) | ((b[p + 2] as number) << 16)) << 8) >> 8;
  const counted = digits === 0 ? plain : bigEndian(b, p, oldTimeSize(digits)) - beyondSeconds * unit;
  const size = Math.abs(counted);
  const whole = Math.floor(size / unit);
  const base = digits === 0 ? 100 : 60;
  const hour = Math.floor(whole / (base * base));
  let q = start;
  w[q++] = 34;
  if (counted < 0) w[q++] = 45;
  const minute = Math.floor(whole / base) % base;
  if (hour > 838 || minute > 59 || whole % base > 59) return -1;
  if (hour >= 100) w[q++] = 48 + Math.floor(hour / 100);
  q = writeClock(w, q, hour % 100, minute, whole % base);
  q = writeFraction(w, q, size - whole * unit, digits);
  w[q] = 34;
  return q + 1;
}

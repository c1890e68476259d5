/**
 * What JSON itself does not have: decimals, dates, times and binary strings. Writers answer the place behind, -1 where
 * the bytes are not what the server stores.
 */
import { decimalSize, writeDecimal, writeDigits, writeInt } from '../values/values-number.ts';

/** The types that the server prints as values of their own; any other opaque value it prints in base64. */
const opaque = { timestamp: 7, date: 10, time: 11, datetime: 12, decimal: 246 } as const;

const prefix = Buffer.from('base64:type');
const digits = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
/** The server breaks base64 into lines of this many characters. */
const lineCharacters = 76;

/** Room that `writeOpaque` takes at most for a value of so many bytes. */
export const opaqueRoom = (bytes: number): number => 160 + bytes + (bytes >> 1);

/** The value of an opaque field of MySQL's type number `type` whose bytes are `from` to `end`. */
export function writeOpaque(w: Buffer, q: number, type: number, b: Buffer, from: number, end: number): number {
  switch (type) {
    case opaque.decimal:
      return writeJsonDecimal(w, q, b, from, end);
    case opaque.date:
    case opaque.datetime:
    case opaque.timestamp:
      return end - from === 8 ? writeMoment(w, q, b, from, type !== opaque.date) : -1;
    case opaque.time:
      return end - from === 8 ? writeClockTime(w, q, b, from) : -1;
    default:
      return writeBinary(w, q, type, b, from, end);
  }
}

const quote = (w: Uint8Array, q: number): number => {
  w[q] = 92;
  w[q + 1] = 34;
  return q + 2;
};

/** 65 at most, but the server counts those before the point in whole groups of nine. */
const mostDigits = 81;

/** One byte of precision, one of scale, then the number as a DECIMAL column has it. */
function writeJsonDecimal(w: Buffer, q: number, b: Buffer, from: number, end: number): number {
  if (end - from < 2) return -1;
  const precision = b[from] as number;
  const scale = b[from + 1] as number;
  if (precision < 1 || precision > mostDigits || scale > 30 || scale > precision) return -1;
  if (end - from - 2 !== decimalSize(precision, scale) || !areDecimalGroups(b, from + 2, precision, scale)) return -1;
  // The column's writer puts quotes around it: the first goes over the byte in front and is taken back.
  const before = w[q - 1] as number;
  const behind = writeDecimal(w, q - 1, b, from + 2, precision, scale) - 1;
  w[q - 1] = before;
  return behind;
}

const bytesOfDigits = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

/** Each group of up to nine digits must be below its power of ten. */
function areDecimalGroups(b: Buffer, from: number, precision: number, scale: number): boolean {
  const mask = ((b[from] as number) & 0x80) === 0 ? 0xff : 0;
  let p = from;
  const isBelow = (count: number): boolean => {
    let value = 0;
    for (let left = bytesOfDigits[count] as number; left > 0; left -= 1) {
      value = value * 256 + ((b[p] as number) ^ mask ^ (p === from ? 0x80 : 0));
      p += 1;
    }
    return value < 10 ** count;
  };
  const integral = precision - scale;
  if (!isBelow(integral % 9)) return false;
  for (let left = Math.floor(integral / 9) + Math.floor(scale / 9); left > 0; left -= 1) if (!isBelow(9)) return false;
  return isBelow(scale % 9);
}

/** Eight bytes, little-endian: three of microseconds, five of the rest; negative ones as the whole number's complement. */
const micros = (b: Buffer, p: number) => b.readUIntLE(p, 3);
const whole = (b: Buffer, p: number) => b.readIntLE(p + 3, 5);

function writeMoment(w: Buffer, start: number, b: Buffer, p: number, withTime: boolean): number {
  const packed = whole(b, p);
  const fraction = micros(b, p);
  const days = Math.floor(packed / 0x20000);
  const clock = packed - days * 0x20000;
  const month = Math.floor(days / 32);
  const year = Math.floor(month / 13);
  const hour = clock >> 12;
  const minute = (clock >> 6) & 63;
  const second = clock & 63;
  if (packed < 0 || year > 9999 || hour > 23 || minute > 59 || second > 59 || fraction > 999_999) return -1;
  let q = quote(w, start);
  q = writeDigits(w, q, year, 4);
  w[q++] = 45;
  q = writeDigits(w, q, month - year * 13, 2);
  w[q++] = 45;
  q = writeDigits(w, q, days % 32, 2);
  if (withTime) {
    w[q++] = 32;
    q = writeClock(w, q, hour, minute, second, fraction);
  }
  return quote(w, q);
}

function writeClockTime(w: Buffer, start: number, b: Buffer, p: number): number {
  let packed = whole(b, p);
  let fraction = micros(b, p);
  const isNegative = packed < 0;
  if (isNegative) {
    packed = fraction === 0 ? -packed : -packed - 1;
    fraction = fraction === 0 ? 0 : 0x1000000 - fraction;
  }
  const hour = Math.floor(packed / 4096);
  const minute = (packed >> 6) & 63;
  const second = packed & 63;
  if (hour > 838 || minute > 59 || second > 59 || fraction > 999_999) return -1;
  let q = quote(w, start);
  if (isNegative) w[q++] = 45;
  q = writeClock(w, q, hour, minute, second, fraction);
  return quote(w, q);
}

function writeClock(w: Uint8Array, start: number, hour: number, minute: number, second: number, fraction: number): number {
  let q = hour < 100 ? writeDigits(w, start, hour, 2) : writeInt(w, start, hour);
  w[q++] = 58;
  q = writeDigits(w, q, minute, 2);
  w[q++] = 58;
  q = writeDigits(w, q, second, 2);
  w[q++] = 46;
  return writeDigits(w, q, fraction, 6);
}

function writeBinary(w: Buffer, start: number, type: number, b: Buffer, from: number, end: number): number {
  let q = quote(w, start);
  q += prefix.copy(w, q);
  q = writeInt(w, q, type);
  w[q++] = 58;
  let line = 0;
  for (let p = from; p < end; p += 3) {
    if (line === lineCharacters) {
      // A line break, escaped in the document and once more around it.
      w[q++] = 92;
      w[q++] = 92;
      w[q++] = 110;
      line = 0;
    }
    const left = end - p;
    const three = ((b[p] as number) << 16) | ((left > 1 ? (b[p + 1] as number) : 0) << 8) | (left > 2 ? (b[p + 2] as number) : 0);
    w[q++] = digits[three >> 18] as number;
    w[q++] = digits[(three >> 12) & 63] as number;
    w[q++] = left > 1 ? (digits[(three >> 6) & 63] as number) : 61;
    w[q++] = left > 2 ? (digits[three & 63] as number) : 61;
    line += 4;
  }
  return quote(w, q);
}

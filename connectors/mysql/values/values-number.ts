/** Integers, decimals and floats as JSON text, straight from the binlog's bytes. Each writer answers the place behind. */
const pairs = new Uint8Array(200);
for (let n = 0; n < 100; n += 1) {
  pairs[n * 2] = 48 + Math.floor(n / 10);
  pairs[n * 2 + 1] = 48 + (n % 10);
}

/** `count` digits of a non-negative integer below 2^31, with leading zeros. */
export function writeDigits(w: Uint8Array, q: number, value: number, count: number): number {
  let at = q + count;
  let rest = value;
  while (at - q >= 2) {
    const next = (rest / 100) | 0;
    const pair = (rest - next * 100) << 1;
    w[--at] = pairs[pair + 1] as number;
    w[--at] = pairs[pair] as number;
    rest = next;
  }
  if (at > q) w[q] = 48 + (rest % 10);
  return q + count;
}

/** Any integer of 32 bits, signed or not. */
export function writeInt(w: Uint8Array, q: number, value: number): number {
  let at = q;
  let rest = value;
  if (rest < 0) {
    w[at++] = 45;
    rest = -rest;
  }
  if (rest < 10) {
    w[at++] = 48 + rest;
    return at;
  }
  if (rest > 0x7fffffff) {
    const high = Math.floor(rest / 1e8);
    return writeDigits(w, writeInt(w, at, high), rest - high * 1e8, 8);
  }
  const count =
    rest < 1e5
      ? rest < 100
        ? 2
        : rest < 1e3
          ? 3
          : rest < 1e4
            ? 4
            : 5
      : rest < 1e7
        ? rest < 1e6
          ? 6
          : 7
        : rest < 1e8
          ? 8
          : rest < 1e9
            ? 9
            : 10;
  return writeDigits(w, at, rest, count);
}

/** A 64-bit integer from its two little-endian halves; `high` is signed where the column is. */
export function writeLong(w: Uint8Array, q: number, low: number, high: number): number {
  if (high === 0) return writeInt(w, q, low);
  if (high === -1 && low !== 0) return writeInt(w, q, low - 4294967296);
  if (high >= 2097152 || high < -2097152) return writeAscii(w, q, ((BigInt(high) << 32n) + BigInt(low)).toString());
  let value = high * 4294967296 + low;
  let at = q;
  if (value < 0) {
    w[at++] = 45;
    value = -value;
  }
  const upper = Math.floor(value / 1e8);
  const lower = value - upper * 1e8;
  const top = Math.floor(upper / 1e8);
  if (top > 0) at = writeDigits(w, writeInt(w, at, top), upper - top * 1e8, 8);
  else at = writeInt(w, at, upper);
  return writeDigits(w, at, lower, 8);
}

function writeAscii(w: Uint8Array, q: number, text: string): number {
  for (let index = 0; index < text.length; index += 1) w[q + index] = text.charCodeAt(index);
  return q + text.length;
}

const scratch = new ArrayBuffer(8);
const scratchBytes = new Uint8Array(scratch);
const asDouble = new Float64Array(scratch);
const asFloat = new Float32Array(scratch);

/** The shortest text that reads back as the same 64-bit number; -0 keeps its sign. -1: no number that a server stores. */
export function writeDouble(w: Uint8Array, q: number, b: Uint8Array, p: number): number {
  for (let index = 0; index < 8; index += 1) scratchBytes[index] = b[p + index] as number;
  return writeNumber(w, q, asDouble[0] as number);
}

/** The shortest text that reads back as the same 32-bit number; -1 as above. */
export function writeFloat(w: Uint8Array, q: number, b: Uint8Array, p: number): number {
  for (let index = 0; index < 4; index += 1) scratchBytes[index] = b[p + index] as number;
  return writeShortestFloat(w, q, asFloat[0] as number);
}

/** The same of a number that is read already. */
export function writeShortestFloat(w: Uint8Array, q: number, value: number): number {
  return writeNumber(w, q, shortestFloat(value));
}

function writeNumber(w: Uint8Array, q: number, value: number): number {
  if (!Number.isFinite(value)) return -1;
  return writeAscii(w, q, value === 0 && 1 / value < 0 ? '-0' : String(value));
}

const smallestNormal = 2 ** -126;

/** The double whose shortest text is the shortest text of this 32-bit number. Six digits always survive in a normal one; nine suffice. */
export function shortestFloat(value: number): number {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return value;
  for (let digits = Math.abs(value) < smallestNormal ? 1 : 6; digits < 9; digits += 1) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === value) return candidate;
  }
  return Number(value.toPrecision(9));
}

const bytesOfDigits = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;
const decimalBytes = (digits: number) => Math.floor(digits / 9) * 4 + (bytesOfDigits[digits % 9] as number);

/** Bytes of a DECIMAL(precision, scale) in a row. */
export function decimalSize(precision: number, scale: number): number {
  return decimalBytes(precision - scale) + decimalBytes(scale);
}

function decimalGroup(b: Uint8Array, p: number, size: number, mask: number, sign: number): number {
  let value = ((b[p] as number) ^ mask ^ sign) & 0xff;
  for (let index = 1; index < size; index += 1) value = value * 256 + ((b[p + index] as number) ^ mask);
  return value;
}

/** `"-12.50"`: as SELECT prints it, in quotes. Groups of nine digits, big-endian, inverted when negative, sign bit flipped. */
export function writeDecimal(w: Uint8Array, start: number, b: Uint8Array, from: number, precision: number, scale: number): number {
  let q = start;
  let p = from;
  const positive = ((b[p] as number) & 0x80) !== 0;
  const mask = positive ? 0 : 0xff;
  w[q++] = 34;
  if (!positive) w[q++] = 45;
  const digitsAt = q;
  const integral = precision - scale;
  const lead = integral % 9;
  // Only the very first byte has the sign.
  let sign = 0x80;
  if (lead > 0) {
    const size = bytesOfDigits[lead] as number;
    const value = decimalGroup(b, p, size, mask, sign);
    p += size;
    sign = 0;
    if (value > 0) q = writeInt(w, q, value);
  }
  for (let left = Math.floor(integral / 9); left > 0; left -= 1) {
    const value = decimalGroup(b, p, 4, mask, sign);
    p += 4;
    sign = 0;
    if (q > digitsAt) q = writeDigits(w, q, value, 9);
    else if (value > 0) q = writeInt(w, q, value);
  }
  if (q === digitsAt) w[q++] = 48;
  if (scale > 0) {
    w[q++] = 46;
    for (let left = Math.floor(scale / 9); left > 0; left -= 1) {
      q = writeDigits(w, q, decimalGroup(b, p, 4, mask, sign), 9);
      p += 4;
      sign = 0;
    }
    if (scale % 9 > 0) q = writeDigits(w, q, decimalGroup(b, p, bytesOfDigits[scale % 9] as number, mask, sign), scale % 9);
  }
  w[q++] = 34;
  return q;
}

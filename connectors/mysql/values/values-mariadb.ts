/** MariaDB's own types as JSON: UUID and addresses, which travel as BINARY, and values that are stored compressed. */
import { inflateRawSync, inflateSync } from 'node:zlib';
import { OversizedImage } from './bad-row.ts';
import { writeInt } from './values-number.ts';

const hex = Buffer.from('0123456789abcdef');

/** Where a dash stands in front of a UUID's byte. */
const dashed = new Set([4, 6, 8, 10]);

/**
 * `"00112233-4455-…"`. In its files MariaDB turns the bytes of a UUID of versions 1 to 5 around so that they sort by time;
 * in the binlog they stand as in the text, as BINARY(16) without the 0x00 at its end.
 */
export function writeUuid(w: Uint8Array, start: number, b: Uint8Array, p: number, end: number): number {
  let q = start;
  w[q++] = 34;
  for (let index = 0; index < 16; index += 1) {
    const byte = p + index < end ? (b[p + index] as number) : 0;
    if (dashed.has(index)) w[q++] = 45;
    w[q++] = hex[byte >> 4] as number;
    w[q++] = hex[byte & 15] as number;
  }
  w[q++] = 34;
  return q;
}

/** Four numbers with points, of bytes of which the last are lost where they are 0. */
function writeNumbers(w: Uint8Array, start: number, b: Uint8Array, p: number, end: number): number {
  let q = start;
  for (let index = 0; index < 4; index += 1) {
    if (index > 0) w[q++] = 46;
    q = writeInt(w, q, p + index < end ? (b[p + index] as number) : 0);
  }
  return q;
}

/** `"192.0.2.1"` */
export function writeInet4(w: Uint8Array, start: number, b: Uint8Array, p: number, end: number): number {
  w[start] = 34;
  const q = writeNumbers(w, start + 1, b, p, end);
  w[q] = 34;
  return q + 1;
}

const words = new Uint16Array(8);

/** Finds the longest run of zeros, the first of equals: `at * 16 + length`, or -1. */
function longestGap(): number {
  let best = -1;
  let bestLength = 0;
  for (let at = 0; at < 8; at += 1) {
    let length = 0;
    while (at + length < 8 && words[at + length] === 0) length += 1;
    if (length > bestLength) {
      best = at;
      bestLength = length;
    }
    at += length;
  }
  return best < 0 ? -1 : best * 16 + bestLength;
}

/** `"2001:db8::1"`, as MariaDB prints it: the longest run of zeros, even of one, becomes `::`, and embedded IPv4 has points. */
export function writeInet6(w: Uint8Array, start: number, b: Uint8Array, p: number, end: number): number {
  for (let index = 0; index < 8; index += 1) {
    const at = p + index * 2;
    words[index] = ((at < end ? (b[at] as number) : 0) << 8) | (at + 1 < end ? (b[at + 1] as number) : 0);
  }
  const found = longestGap();
  const gap = found < 0 ? -1 : found >> 4;
  const length = found & 15;
  let q = start;
  w[q++] = 34;
  for (let index = 0; index < 8; index += 1) {
    if (index === gap) {
      if (index === 0) w[q++] = 58;
      w[q++] = 58;
      index += length - 1;
    } else if (index === 6 && gap === 0 && (length === 6 || (length === 5 && words[5] === 0xffff))) {
      q = writeNumbers(w, q, b, p + 12, end);
      break;
    } else {
      q = writeWord(w, q, words[index] as number);
      if (index < 7) w[q++] = 58;
    }
  }
  w[q++] = 34;
  return q;
}

function writeWord(w: Uint8Array, start: number, word: number): number {
  let q = start;
  for (let shift = word > 0xfff ? 12 : word > 0xff ? 8 : word > 0xf ? 4 : 0; shift >= 0; shift -= 4)
    w[q++] = hex[(word >> shift) & 15] as number;
  return q;
}

const nothing = Buffer.alloc(0);

/**
 * The value of a COMPRESSED column. Its first byte: 0x00 and the value follows as it is; else the method in the upper half
 * (8: zlib), 8 where zlib's own header was left out, and how many bytes hold the value's length, big-endian, before the
 * data. No bytes at all are the empty value. undefined where it is not so; throws OversizedImage for one of more than `most`.
 */
export function inflated(b: Buffer, from: number, end: number, most: number): Buffer | undefined {
  if (from === end) return nothing;
  const head = b[from] as number;
  if (head === 0) return b.subarray(from + 1, end);
  const lengthBytes = head & 7;
  const data = from + 1 + lengthBytes;
  if (head >> 4 !== 8 || lengthBytes === 0 || lengthBytes > 4 || data > end) return undefined;
  const size = b.readUIntBE(from + 1, lengthBytes);
  if (size > most) throw new OversizedImage(size);
  try {
    const inflate = (head & 8) === 0 ? inflateSync : inflateRawSync;
    const value = inflate(b.subarray(data, end), { maxOutputLength: Math.max(1, size) });
    return value.length === size ? value : undefined;
  } catch (error) {
    // zlib's ways to say "not valid" and "longer than it says"; both carry a code.
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}

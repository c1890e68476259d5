/** Labels, binary strings and texts that take the engine's own conversion, as JSON. */
import type { JsonOut } from './row-out.ts';
import { inflated } from './values-mariadb.ts';

/** The labels as JSON string contents without quotes. */
export function labelBytes(labels: readonly string[]): readonly Buffer[] {
  return labels.map((label) => Buffer.from(JSON.stringify(label).slice(1, -1)));
}

/** Copies a constant. */
export function put(w: Uint8Array, q: number, bytes: Uint8Array): number {
  for (let index = 0; index < bytes.length; index += 1) w[q + index] = bytes[index] as number;
  return q + bytes.length;
}

/** ENUM: numbers from 1; 0 is the empty string that MySQL stores for an invalid value. -1 where there is no such label. */
export function writeLabel(w: Uint8Array, start: number, labels: readonly Buffer[], number: number): number {
  if (number > labels.length) return -1;
  let q = start;
  w[q++] = 34;
  if (number > 0) q = put(w, q, labels[number - 1] as Buffer);
  w[q++] = 34;
  return q;
}

/** SET: one bit a label, the lowest first; labels in definition order, commas between. */
export function writeLabels(w: Uint8Array, start: number, labels: readonly Buffer[], b: Uint8Array, p: number, size: number): number {
  let q = start;
  w[q++] = 34;
  let some = false;
  for (let bit = 0; bit < size * 8; bit += 1) {
    if ((((b[p + (bit >> 3)] as number) >> (bit & 7)) & 1) === 0) continue;
    const label = labels[bit];
    if (!label) return -1;
    if (some) w[q++] = 44;
    q = put(w, q, label);
    some = true;
  }
  w[q++] = 34;
  return q;
}

const pieceBytes = 3 * 64 * 1024;
const digits = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');

const turned = Buffer.alloc(8);

/** BIT(n) in base64, the lowest eight bits first as Debezium has them; the binlog has them last. */
export function writeBits(w: Buffer, start: number, b: Buffer, p: number, size: number): number {
  for (let index = 0; index < size; index += 1) turned[index] = b[p + size - 1 - index] as number;
  return writeBase64(w, start, turned, 0, size, size);
}

/** `length` bytes in base64, of which the first `stored` are there and the rest are the 0x00 that BINARY(n) lost on its way. */
export function writeBase64(w: Buffer, start: number, b: Buffer, p: number, stored: number, length: number): number {
  let q = start;
  w[q++] = 34;
  if (stored > 192 && stored === length) {
    // In pieces of whole groups of three bytes: as one text a large value would be there twice.
    for (let from = p; from < p + length; from += pieceBytes)
      q += w.write(b.toString('base64', from, Math.min(from + pieceBytes, p + length)), q, 'latin1');
  } else {
    const end = p + stored;
    const at = (index: number) => (index < end ? (b[index] as number) : 0);
    let left = length;
    for (let index = p; left > 0; index += 3, left -= 3) {
      const three = (at(index) << 16) | ((left > 1 ? at(index + 1) : 0) << 8) | (left > 2 ? at(index + 2) : 0);
      w[q++] = digits[three >> 18] as number;
      w[q++] = digits[(three >> 12) & 63] as number;
      w[q++] = left > 1 ? (digits[(three >> 6) & 63] as number) : 61;
      w[q++] = left > 2 ? (digits[three & 63] as number) : 61;
    }
  }
  w[q++] = 34;
  return q;
}

/** Any text through a decoder that throws TypeError or RangeError where the bytes are invalid. */
export function writeThrough(
  out: JsonOut,
  room: number,
  decode: (bytes: Uint8Array) => string,
  b: Buffer,
  from: number,
  to: number,
): boolean {
  let text: string;
  try {
    text = decode(b.subarray(from, to));
  } catch (error) {
    // The decoders' way to say "not valid": the caller knows which column it was.
    if (error instanceof TypeError || error instanceof RangeError) return false;
    throw error;
  }
  out.text(JSON.stringify(text), room);
  return true;
}

/** The value of a COMPRESSED column: text by its decoder, or base64 without one; false where it is not compressed as it says or invalid. */
export function writeCompressed(
  out: JsonOut,
  room: number,
  decode: ((bytes: Uint8Array) => string) | null,
  b: Buffer,
  from: number,
  to: number,
): boolean {
  const bytes = inflated(b, from, to, out.mostBytes);
  if (!bytes) return false;
  if (decode) return writeThrough(out, room, decode, bytes, 0, bytes.length);
  out.text(`"${bytes.toString('base64')}"`, room);
  return true;
}

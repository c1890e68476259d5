/** Reading on through a TABLE_MAP. */
import { corruptEvent } from '../errors.ts';

export interface Cursor {
  at: number;
  readonly b: Buffer;
  readonly end: number;
}

export function bytes(c: Cursor, size: number): Buffer {
  if (size < 0 || c.at + size > c.end) throw corruptEvent('a TABLE_MAP is cut');
  c.at += size;
  return c.b.subarray(c.at - size, c.at);
}
export const byte = (c: Cursor) => bytes(c, 1)[0] as number;

/** A number of one byte or more. */
export function packedInteger(c: Cursor): number {
  const first = byte(c);
  if (first < 251) return first;
  if (first === 252) return bytes(c, 2).readUInt16LE(0);
  if (first === 253) return bytes(c, 3).readUIntLE(0, 3);
  throw corruptEvent('a TABLE_MAP holds a number that is too large');
}

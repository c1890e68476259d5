/** Strings of a JSON document inside the JSON string that carries the document's text: they are escaped twice. */
import { characterSize } from '../values/values-text.ts';

const twice = (text: string) => JSON.stringify(JSON.stringify(text).slice(1, -1)).slice(1, -1);

/** 0: copy as it is; 1: escape; 2: start of a multi-byte character. */
const kinds = new Uint8Array(256);
/** For each byte below 0x80 eight cells: the escape's length and the escape, which has seven bytes at most (`\\u0001`). */
const cell = 8;
const escapes = new Uint8Array(0x80 * cell);
for (let byte = 0; byte < 256; byte += 1) {
  if (byte >= 0x80) kinds[byte] = 2;
  else {
    const escaped = Buffer.from(twice(String.fromCharCode(byte)));
    if (escaped.length > 1) kinds[byte] = 1;
    escapes[byte * cell] = escaped.length;
    escapes.set(escaped, byte * cell + 1);
  }
}

/** No string has more bytes in the text than this for each byte of its own, its quotes not counted. */
export const mostBytesOfByte = 7;

/** Bytes that a string takes in the text without its quotes; for strings so long that the most possible would be waste. */
export function jsonStringBytes(b: Uint8Array, from: number, end: number): number {
  let bytes = 0;
  for (let p = from; p < end; p += 1) {
    const byte = b[p] as number;
    bytes += byte < 0x80 ? (escapes[byte * cell] as number) : 1;
  }
  return bytes;
}

/** `\"text\"`; answers the place behind, -1 where the bytes are not UTF-8. */
export function writeJsonString(w: Uint8Array, start: number, b: Uint8Array, from: number, end: number): number {
  let q = start;
  let p = from;
  w[q++] = 92;
  w[q++] = 34;
  while (p < end) {
    // Four plain characters at a time: nearly all text is that.
    while (p + 4 <= end) {
      const one = b[p] as number;
      const two = b[p + 1] as number;
      const three = b[p + 2] as number;
      const four = b[p + 3] as number;
      if (((kinds[one] as number) | (kinds[two] as number) | (kinds[three] as number) | (kinds[four] as number)) !== 0) break;
      w[q] = one;
      w[q + 1] = two;
      w[q + 2] = three;
      w[q + 3] = four;
      q += 4;
      p += 4;
    }
    if (p >= end) break;
    const byte = b[p] as number;
    const kind = kinds[byte] as number;
    if (kind === 0) {
      w[q++] = byte;
      p += 1;
    } else if (kind === 1) {
      const at = byte * cell;
      const size = escapes[at] as number;
      for (let index = 1; index <= size; index += 1) w[q++] = escapes[at + index] as number;
      p += 1;
    } else {
      const size = characterSize(b, p, end);
      if (size === 0) return -1;
      for (let index = 0; index < size; index += 1) w[q++] = b[p++] as number;
    }
  }
  w[q++] = 92;
  w[q++] = 34;
  return q;
}

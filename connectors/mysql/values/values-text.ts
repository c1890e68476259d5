/** Character data as JSON string contents, in UTF-8, checked byte by byte: what is not valid in its charset answers -1. */

/** 0: copy as it is; 1: escape; 2: start of a multi-byte character. */
const kinds = new Uint8Array(256);
const escapes: Buffer[] = [];
/** How many bytes each takes as JSON contents. */
const lengths = new Uint8Array(256);
for (let byte = 0; byte < 256; byte += 1) {
  const escaped = byte < 0x80 ? JSON.stringify(String.fromCharCode(byte)).slice(1, -1) : '';
  kinds[byte] = byte >= 0x80 ? 2 : escaped.length > 1 ? 1 : 0;
  escapes[byte] = Buffer.from(escaped);
  lengths[byte] = Math.max(1, escaped.length);
}

/** UTF-8 of MySQL's utf8mb4 and utf8mb3, whose characters have at most so many bytes: needs room for six bytes for each of the input's. */
export function writeUtf8(w: Uint8Array, start: number, b: Uint8Array, from: number, end: number, mostBytes: 3 | 4): number {
  let q = start;
  let p = from;
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
      q = writeEscape(w, q, byte);
      p += 1;
    } else {
      const size = characterSize(b, p, end);
      if (size === 0 || size > mostBytes) return -1;
      for (let index = 0; index < size; index += 1) w[q++] = b[p++] as number;
    }
  }
  return q;
}

/** What writeUtf8 writes at most: exactly that much for well-formed text. */
export function textBytes(b: Uint8Array, from: number, end: number): number {
  let bytes = 0;
  for (let p = from; p < end; p += 1) bytes += lengths[b[p] as number] as number;
  return bytes;
}

function writeEscape(w: Uint8Array, q: number, byte: number): number {
  const escaped = escapes[byte] as Buffer;
  for (let index = 0; index < escaped.length; index += 1) w[q + index] = escaped[index] as number;
  return q + escaped.length;
}

/** Length of the well-formed multi-byte character at `p`, 0 where there is none (overlong, surrogate, cut, beyond U+10FFFF). */
export function characterSize(b: Uint8Array, p: number, end: number): number {
  const lead = b[p] as number;
  const size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || p + size > end) return 0;
  const second = b[p + 1] as number;
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let index = 2; index < size; index += 1) if (((b[p + index] as number) & 0xc0) !== 0x80) return 0;
  return size;
}

/** Bytes of a single-byte charset as JSON contents: for each byte its length and up to six bytes; length 0 is invalid. */
export type ByteTable = Uint8Array;
const cell = 8;

export function byteTable(decode: (byte: number) => string | undefined): ByteTable {
  const table = new Uint8Array(256 * cell);
  for (let byte = 0; byte < 256; byte += 1) {
    const text = decode(byte);
    if (text === undefined) continue;
    const json = Buffer.from(JSON.stringify(text).slice(1, -1));
    table[byte * cell] = json.length;
    table.set(json, byte * cell + 1);
  }
  return table;
}

export function writeBytes(w: Uint8Array, start: number, b: Uint8Array, from: number, end: number, table: ByteTable): number {
  let q = start;
  for (let p = from; p < end; p += 1) {
    const at = (b[p] as number) * cell;
    const size = table[at] as number;
    if (size === 0) return -1;
    for (let index = 1; index <= size; index += 1) w[q++] = table[at + index] as number;
  }
  return q;
}

/**
 * JSON text of many megabytes, parsed without ever being one string: its long texts are taken out of the bytes piece by piece.
 * As a string it would be there twice or three times over, for a character beyond Latin-1 makes two bytes of every other.
 */
import { parseExactJson } from './exact-json.ts';

export interface LargeJsonLimits {
  /** Texts of more bytes than this are taken out. */
  readonly textBytes: number;
  readonly pieceBytes: number;
}
const usual: LargeJsonLimits = { textBytes: 64 * 1024, pieceBytes: 256 * 1024 };

const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const letterU = 0x75;
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Answers what parseExactJson answers of the same text. Throws SyntaxError or TypeError where it is no JSON or no UTF-8. */
export function parseLargeJson(bytes: Uint8Array, limits: LargeJsonLimits = usual): unknown {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const taken: string[] = [];
  const rest: string[] = [];
  // Stands for a text that was taken out; no other text is it.
  const mark = `\u0000${crypto.randomUUID()}:`;
  let from = 0;
  for (let open = buffer.indexOf(quote); open >= 0;) {
    const close = endOfText(buffer, open + 1);
    if (close < 0) throw new SyntaxError('a text has no end');
    if (close - open > limits.textBytes && !isName(buffer, close + 1)) {
      rest.push(strictUtf8.decode(buffer.subarray(from, open)), JSON.stringify(`${mark}${taken.length}`));
      taken.push(unescaped(buffer, open + 1, close, limits.pieceBytes));
      from = close + 1;
    }
    open = buffer.indexOf(quote, close + 1);
  }
  rest.push(strictUtf8.decode(buffer.subarray(from)));
  return putBack(parseExactJson(rest.join('')), mark, taken);
}

/** A name stays where it is, however long: only values are put back. */
function isName(buffer: Buffer, from: number): boolean {
  let at = from;
  while (at < buffer.length && (buffer[at] as number) <= 0x20) at += 1;
  return buffer[at] === colon;
}

/** Where the quote is that ends the text which begins here; -1: nowhere. */
function endOfText(buffer: Buffer, from: number): number {
  let at = buffer.indexOf(quote, from);
  while (at >= 0 && backslashesBefore(buffer, at, from) % 2 === 1) at = buffer.indexOf(quote, at + 1);
  return at;
}

function backslashesBefore(buffer: Buffer, at: number, from: number): number {
  let first = at;
  while (first > from && buffer[first - 1] === backslash) first -= 1;
  return at - first;
}

function unescaped(buffer: Buffer, from: number, end: number, pieceBytes: number): string {
  const pieces: string[] = [];
  for (let at = from; at < end;) {
    const to = cutAt(buffer, at, Math.min(at + pieceBytes, end), end);
    pieces.push(JSON.parse(`"${strictUtf8.decode(buffer.subarray(at, to))}"`) as string);
    at = to;
  }
  return pieces.join('');
}

/** The next place from `wanted` on that lies neither in a character nor in an escape. */
function cutAt(buffer: Buffer, from: number, wanted: number, end: number): number {
  let at = wanted;
  while (at < end && ((buffer[at] as number) & 0xc0) === 0x80) at += 1;
  for (let begin = at - 1; begin >= Math.max(from, at - 5); begin -= 1) {
    if (buffer[begin] !== backslash || backslashesBefore(buffer, begin, from) % 2 === 1) continue;
    return Math.min(end, Math.max(at, begin + (buffer[begin + 1] === letterU ? 6 : 2)));
  }
  return at;
}

function putBack(value: unknown, mark: string, taken: readonly string[]): unknown {
  if (typeof value === 'string') return value.startsWith(mark) ? taken[Number(value.slice(mark.length))] : value;
  if (typeof value !== 'object' || value === null) return value;
  for (const [name, item] of Object.entries(value)) {
    const own = putBack(item, mark, taken);
    if (own !== item) Object.defineProperty(value, name, { value: own, enumerable: true, configurable: true, writable: true });
  }
  return value;
}

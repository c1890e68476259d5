/**
 * Where the cells of a row image lie in its bytes, found without making a value of any: for images as our own writers
 * spell them, all columns in the shape's order and nothing between. Whatever is spelled otherwise is left to the parser.
 */
import type { ColumnKind, TableSchema } from './change.ts';

/** Two numbers a cell: its begin with its code above bit 24, then its end. Those of a text lie inside its quotes. */
export const cellStride = 2;
export const beginMask = 0xff_ffff;
export const codeShift = 24;
/** Only what is shorter is scanned: its places fit beside a code. */
export const scannedBytesMax = 1024 * 1024;

export const nullCell = 0;
/** Digits as `String()` spells them, of any length. */
export const integerCell = 1;
export const numberCell = 2;
export const trueCell = 3;
export const falseCell = 4;
/** The lowest three bits; those above say what stands in the text. */
export const textCell = 5;
export const kindMask = 7;
/** `\"`, `\n` and their like. */
const hasEscape = 8;
/** `\\` */
export const hasBackslash = 16;
/** `\u0000` */
export const hasUnicodeEscape = 32;
export const hasHighBytes = 64;
export const anyEscape = hasEscape | hasBackslash | hasUnicodeEscape;

type Token = 'integer' | 'number' | 'boolean' | 'text' | 'base64';
const tokens: Readonly<Record<ColumnKind, Token | undefined>> = {
  integer: 'integer',
  year: 'integer',
  float: 'number',
  double: 'number',
  boolean: 'boolean',
  bit: 'base64',
  bytes: 'base64',
  decimal: 'text',
  string: 'text',
  date: 'text',
  time: 'text',
  datetime: 'text',
  timestamp: 'text',
  enum: 'text',
  set: 'text',
  json: 'text',
  uuid: 'text',
  inet4: 'text',
  inet6: 'text',
  geometry: undefined,
  vector: undefined,
};

const quote = 0x22;
const backslash = 0x5c;

export class ImageScanner {
  readonly #names: readonly Uint8Array[];
  readonly #tokens: readonly Token[];
  readonly columns: number;
  /** Of the last cell. */
  #code = 0;
  /** Some text so far had bytes beyond ASCII; its reader sets it back. */
  sawHighBytes = false;

  private constructor(names: readonly Uint8Array[], kinds: readonly Token[]) {
    this.#names = names;
    this.#tokens = kinds;
    this.columns = names.length;
  }

  /** undefined for a shape with a kind whose values have parts. */
  static of({ columns }: TableSchema): ImageScanner | undefined {
    const kinds = columns.flatMap(({ kind }) => tokens[kind] ?? []);
    if (kinds.length !== columns.length || kinds.length === 0) return undefined;
    const names = columns.map(({ name }, index) => Buffer.from(`${index === 0 ? '{' : ','}${JSON.stringify(name)}:`));
    return new ImageScanner(names, kinds);
  }

  /** Fills `cells` from `base` on; answers the place behind the image, -1 where it is not spelled as ours are. */
  scan(bytes: Uint8Array, from: number, cells: Int32Array, base: number): number {
    const names = this.#names;
    const kinds = this.#tokens;
    let at = from;
    for (let column = 0; column < kinds.length; column += 1) {
      const name = names[column] as Uint8Array;
      for (let index = 0; index < name.length; index += 1) if (bytes[at + index] !== name[index]) return -1;
      at += name.length;
      const begin = at;
      const end = bytes[at] === 0x6e ? this.#word(bytes, at, 'null', nullCell) : this.#token(kinds[column] as Token, bytes, at);
      if (end < 0) return -1;
      const inside = this.#code >= textCell ? 1 : 0;
      cells[base + column * cellStride] = (begin + inside) | (this.#code << codeShift);
      cells[base + column * cellStride + 1] = end - inside;
      at = end;
    }
    return bytes[at] === 0x7d ? at + 1 : -1;
  }

  #token(token: Token, bytes: Uint8Array, at: number): number {
    switch (token) {
      case 'text':
        return this.#text(bytes, at);
      case 'integer':
        return this.#integer(bytes, at);
      case 'number':
        return this.#number(bytes, at);
      case 'boolean':
        return bytes[at] === 0x74 ? this.#word(bytes, at, 'true', trueCell) : this.#word(bytes, at, 'false', falseCell);
      default:
        return this.#base64(bytes, at);
    }
  }

  #word(bytes: Uint8Array, at: number, word: string, code: number): number {
    for (let index = 0; index < word.length; index += 1) if (bytes[at + index] !== word.charCodeAt(index)) return -1;
    this.#code = code;
    return at + word.length;
  }

  /** Any text of JSON; also for what stands beside the images. */
  text(bytes: Uint8Array, at: number): number {
    return this.#text(bytes, at);
  }

  #text(bytes: Uint8Array, from: number): number {
    if (bytes[from] !== quote) return -1;
    let code = textCell;
    for (let at = from + 1; ; at += 1) {
      const what = classes[bytes[at] as number];
      if (what === plain) continue;
      if (what === ends) {
        this.#code = code;
        return at + 1;
      }
      if (what === high) {
        code |= hasHighBytes;
        this.sawHighBytes = true;
      } else if (what === escapes) {
        at += 1;
        const escaped = bytes[at];
        if (escaped === backslash) code |= hasBackslash;
        else if (escaped === 0x75) {
          for (let digit = 1; digit <= 4; digit += 1) if (hexDigits[bytes[at + digit] as number] !== 1) return -1;
          at += 4;
          code |= hasUnicodeEscape;
        } else if (simpleEscapes[escaped as number] === 1) code |= hasEscape;
        else return -1;
      } else return -1;
    }
  }

  #integer(bytes: Uint8Array, from: number): number {
    const first = bytes[from] === 0x2d ? from + 1 : from;
    let at = first;
    while (isDigit(bytes[at])) at += 1;
    // Minus zero and leading zeros are other spellings.
    if (at === first || (bytes[first] === 0x30 && (at > first + 1 || first > from))) return -1;
    this.#code = integerCell;
    return at;
  }

  #number(bytes: Uint8Array, from: number): number {
    const first = bytes[from] === 0x2d ? from + 1 : from;
    let at = first;
    while (isDigit(bytes[at])) at += 1;
    if (at === first || (bytes[first] === 0x30 && at > first + 1)) return -1;
    if (bytes[at] === 0x2e) {
      const point = at;
      for (at += 1; isDigit(bytes[at]);) at += 1;
      if (at === point + 1) return -1;
    }
    if (bytes[at] === 0x65 || bytes[at] === 0x45) {
      at += bytes[at + 1] === 0x2b || bytes[at + 1] === 0x2d ? 2 : 1;
      const exponent = at;
      while (isDigit(bytes[at])) at += 1;
      // What may be infinite is the parser's to refuse.
      if (at === exponent || at > exponent + 2) {
        if (at !== exponent + 3 || bytes[exponent - 1] !== 0x2d) return -1;
      }
    }
    if (at - from > 64) return -1;
    this.#code = numberCell;
    return at;
  }

  /** Padded, and no bits left over behind the last byte: one spelling for each value. */
  #base64(bytes: Uint8Array, from: number): number {
    if (bytes[from] !== quote) return -1;
    let at = from + 1;
    while ((sextets[bytes[at] as number] as number) >= 0) at += 1;
    const digits = at - from - 1;
    const over = digits % 4;
    if (over === 1) return -1;
    if (over > 0) {
      const last = sextets[bytes[at - 1] as number] as number;
      if ((last & (over === 2 ? 15 : 3)) !== 0) return -1;
      for (let pads = over; pads < 4; pads += 1, at += 1) if (bytes[at] !== 0x3d) return -1;
    }
    if (bytes[at] !== quote) return -1;
    this.#code = textCell;
    return at + 1;
  }
}

const isDigit = (byte: number | undefined) => byte !== undefined && byte >= 0x30 && byte <= 0x39;

const plain = 0;
const ends = 1;
const escapes = 2;
const high = 3;
const control = 4;
const classes = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 0x80 ? high : byte < 0x20 ? control : plain));
classes[quote] = ends;
classes[backslash] = escapes;

const marked = (characters: string) => {
  const table = new Uint8Array(256);
  for (const byte of Buffer.from(characters)) table[byte] = 1;
  return table;
};
const simpleEscapes = marked('"/bfnrt');
const hexDigits = marked('0123456789abcdefABCDEF');

const sextets = new Int8Array(256).fill(-1);
for (const [value, byte] of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/').entries())
  sextets[byte] = value;

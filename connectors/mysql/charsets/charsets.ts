/** MySQL's and MariaDB's character sets, each carried exactly: what a server cannot convert is invalid here, never U+FFFD. */
import { decodeMultibyte, multibyteTable } from './charset-multibyte.ts';
import { singleByteTables, tableStart } from './charset-tables.ts';
import { byteTable, type ByteTable } from '../values/values-text.ts';

export type Charset =
  /** UTF-8 of at most so many bytes a character. */
  | { readonly kind: 'utf8'; readonly mostBytes: 3 | 4 }
  | { readonly kind: 'bytes'; readonly table: ByteTable; readonly decode: Decode }
  /** The slow way, for charsets that hardly anybody stores. */
  | { readonly kind: 'decoder'; readonly decode: Decode };

/** Throws a TypeError or RangeError where the bytes are not valid. */
export type Decode = (bytes: Uint8Array) => string;

function single(name: keyof typeof singleByteTables): Charset {
  const start = tableStart(name);
  const above: string = singleByteTables[name];
  const characters = Array.from({ length: 256 }, (_, byte) => (byte < start ? String.fromCharCode(byte) : above[byte - start])).map(
    (character, byte) => (character === '\0' && byte > 0 ? undefined : character),
  );
  const decode = (bytes: Uint8Array) => {
    let text = '';
    for (const byte of bytes) {
      const character = characters[byte];
      if (character === undefined) throw new TypeError('the byte is not valid in its character set');
      text += character;
    }
    return text;
  };
  return { kind: 'bytes', table: byteTable((byte) => characters[byte]), decode };
}

/** UCS-2 is UTF-16 without pairs of surrogates. */
function utf16(label: 'utf-16be' | 'utf-16le', pairs: boolean): Charset {
  const decoder = new TextDecoder(label, { fatal: true, ignoreBOM: true });
  const decode = (bytes: Uint8Array) => {
    const text = decoder.decode(bytes);
    if (!pairs && /[\ud800-\udfff]/.test(text)) throw new TypeError('a surrogate');
    return text;
  };
  return { kind: 'decoder', decode };
}

function decodeUtf32(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength % 4 !== 0) throw new TypeError('cut');
  let text = '';
  for (let at = 0; at < bytes.byteLength; at += 4) {
    const point = view.getUint32(at);
    if (point >= 0xd800 && point <= 0xdfff) throw new TypeError('a surrogate');
    text += String.fromCodePoint(point);
  }
  return text;
}

const unicode: Readonly<Record<string, () => Charset>> = {
  utf8mb4: () => ({ kind: 'utf8', mostBytes: 4 }),
  utf8mb3: () => ({ kind: 'utf8', mostBytes: 3 }),
  utf8: () => ({ kind: 'utf8', mostBytes: 3 }),
  ucs2: () => utf16('utf-16be', false),
  utf16: () => utf16('utf-16be', true),
  utf16le: () => utf16('utf-16le', true),
  utf32: () => ({ kind: 'decoder', decode: decodeUtf32 }),
};

function make(name: string): Charset | undefined {
  if (Object.hasOwn(unicode, name)) return unicode[name]?.();
  if (Object.hasOwn(singleByteTables, name)) return single(name as keyof typeof singleByteTables);
  const table = multibyteTable(name);
  return table && { kind: 'decoder', decode: (bytes) => decodeMultibyte(table, bytes) };
}

const made = new Map<string, Charset | undefined>();

/** undefined where we do not carry this character set exactly. */
export function charset(name: string): Charset | undefined {
  if (!made.has(name)) made.set(name, make(name));
  return made.get(name);
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const beyondPlane = /[\ud800-\udfff]/;

const decodeUtf8 = (bytes: Uint8Array): string => strictUtf8.decode(bytes);
function decodeUtf8mb3(bytes: Uint8Array): string {
  const text = strictUtf8.decode(bytes);
  if (beyondPlane.test(text)) throw new TypeError('a character of four bytes');
  return text;
}

export function textDecoder(set: Charset): Decode {
  if (set.kind !== 'utf8') return set.decode;
  return set.mostBytes === 4 ? decodeUtf8 : decodeUtf8mb3;
}
export const decodeText = (set: Charset, bytes: Uint8Array): string => textDecoder(set)(bytes);

/** What the server says about its collations: which character set each id stands for, and how wide a character can be. */
export interface Collations {
  readonly charsetOf: ReadonlyMap<number, string>;
  readonly maxBytesOf: ReadonlyMap<string, number>;
  /** Whether TABLE_MAP lists a collation for each spatial column too: on MariaDB. On MySQL it does so for each vector. */
  readonly ofSpatial: boolean;
}

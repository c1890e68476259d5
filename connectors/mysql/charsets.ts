/**
 * MySQL's character sets that are carried exactly. The tables were compared with CONVERT on a real server, all 256 bytes
 * (test/integration/mysql-values.test.ts does it again); a byte that MySQL itself cannot convert is invalid here.
 */
import { byteTable, type ByteTable } from './values-text.ts';

export type Charset =
  | { readonly kind: 'utf8' }
  | { readonly kind: 'bytes'; readonly table: ByteTable; readonly decode: (bytes: Uint8Array) => string }
  /** The slow way, for charsets that hardly anybody stores: throws where the bytes are invalid. */
  | { readonly kind: 'decoder'; readonly decode: (bytes: Uint8Array) => string };

function single(label: string, invalid: readonly number[] = []): Charset {
  const decoder = new TextDecoder(label, { fatal: true });
  const characters = Array.from({ length: 256 }, (_, byte) => {
    if (byte < 0x80) return String.fromCharCode(byte);
    return invalid.includes(byte) ? undefined : decoder.decode(Uint8Array.of(byte));
  });
  return bytewise(characters);
}

function bytewise(characters: readonly (string | undefined)[]): Charset {
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

function utf16(label: 'utf-16be' | 'utf-16le'): Charset {
  const decoder = new TextDecoder(label, { fatal: true, ignoreBOM: true });
  return { kind: 'decoder', decode: (bytes) => decoder.decode(bytes) };
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

const makers: Readonly<Record<string, () => Charset>> = {
  utf8mb4: () => ({ kind: 'utf8' }),
  utf8mb3: () => ({ kind: 'utf8' }),
  utf8: () => ({ kind: 'utf8' }),
  ascii: () => bytewise(Array.from({ length: 256 }, (_, byte) => (byte < 0x80 ? String.fromCharCode(byte) : undefined))),
  latin1: () => single('windows-1252'),
  latin2: () => single('iso-8859-2'),
  latin7: () => single('iso-8859-13'),
  koi8r: () => single('koi8-r'),
  macroman: () => single('macintosh'),
  cp1250: () => single('windows-1250', [0x81, 0x83, 0x88, 0x90, 0x98]),
  cp1251: () => single('windows-1251', [0x98]),
  cp1257: () => single('windows-1257', [0x81, 0x83, 0x88, 0x8a, 0x8c, 0x90, 0x98, 0x9a, 0x9c, 0x9f, 0xa1, 0xa5]),
  ucs2: () => utf16('utf-16be'),
  utf16: () => utf16('utf-16be'),
  utf16le: () => utf16('utf-16le'),
  utf32: () => ({ kind: 'decoder', decode: decodeUtf32 }),
};

const made = new Map<string, Charset>();

/** undefined where we do not carry this character set exactly. */
export function charset(name: string): Charset | undefined {
  const maker = Object.hasOwn(makers, name) ? makers[name] : undefined;
  if (!maker) return undefined;
  let set = made.get(name);
  if (!set) {
    set = maker();
    made.set(name, set);
  }
  return set;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Throws a TypeError where the bytes are not valid. */
export function decodeText(set: Charset, bytes: Uint8Array): string {
  return set.kind === 'utf8' ? strictUtf8.decode(bytes) : set.decode(bytes);
}

/** What the server says about its collations: which character set each id stands for, and how wide a character can be. */
export interface Collations {
  readonly charsetOf: ReadonlyMap<number, string>;
  readonly maxBytesOf: ReadonlyMap<string, number>;
}

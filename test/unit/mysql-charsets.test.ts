/** Character sets by single sequences; mysql-charsets.test.ts of the integration tests holds all of them against the servers. */
import { describe, expect, test } from 'vitest';
import { charset, textDecoder } from '../../connectors/mysql/charsets/charsets.ts';
import { byteTable, writeBytes, writeUtf8 } from '../../connectors/mysql/values/values-text.ts';
import { characterSets } from '../support/mysql-all-types.ts';

const decode = (set: string, hex: string): string => {
  const known = charset(set);
  if (!known) throw new Error(`${set} is not carried`);
  return textDecoder(known)(Buffer.from(hex.replace(/\s/g, ''), 'hex'));
};

test('every character set is carried by this engine: the tables made from it are those that were compared', () => {
  expect(characterSets.filter((set) => charset(set) === undefined)).toEqual([]);
  expect(characterSets).toHaveLength(40);
  expect(charset('klingon')).toBeUndefined();
  expect(charset('constructor')).toBeUndefined();
});

describe('characters', () => {
  test.each([
    ['latin1', '80 81 e9', '€\x81é'],
    ['armscii8', 'b2', 'Ա'],
    ['cp1256', '81', 'پ'],
    ['geostd8', 'c0', 'ა'],
    ['greek', 'e1', 'α'],
    ['hebrew', 'e0', 'א'],
    ['hp8', 'c5', 'é'],
    ['keybcs2', '80', 'Č'],
    ['koi8u', 'a4', 'є'],
    ['swe7', '5b5c5d7b7c7d', 'ÄÖÅäöå'],
    ['tis620', 'a1', 'ก'],
    ['macce', '81', 'Ā'],
    ['dec8', 'd7', 'Œ'],
    // Each of these the engine's decoder reads otherwise.
    ['big5', 'a145 c6a5', '•ぁ'],
    ['sjis', '815f 8160 5c 1a', '\\〜\\\x1a'],
    ['cp932', '815f 8740 ed40 b1 1a', '＼①纊ｱ\x1a'],
    ['ujis', 'a1c0 8eb1 8fb0a1 f5a1', '\\ｱ丂\ue000'],
    ['eucjpms', 'a1c0 ada1 8ff4b4', '＼①﨎'],
    ['euckr', '8141 b0a1 a2e6', '갂가€'],
    ['gb2312', 'a1a4 a1aa b0a1', '・―啊'],
    ['gbk', '8140 a1a4', '丂·'],
    ['gb18030', 'a6d9 fe59 8135f437 8431a437 90308130 e3329a35', '\ue78d\ue81e\ue7c7\ufffd\u{10000}\u{10ffff}'],
    ['utf16', 'feff d83dde00', '\ufeff😀'],
    ['utf16le', '3dd8 00de', '😀'],
    ['utf32', '0001f600', '😀'],
    ['ucs2', 'ffff', '\uffff'],
  ] as const)('%s', (set, hex, text) => {
    expect(decode(set, hex)).toBe(text);
  });
});

describe('what is no character', () => {
  test.each([
    ['ascii', '80'],
    ['cp1250', '81'],
    ['hebrew', 'c0'],
    ['swe7', '7f'],
    ['tis620', 'a0'],
    ['big5', 'a15a'],
    ['big5', '80'],
    ['big5', 'a1'],
    ['sjis', '8740'],
    ['sjis', '81'],
    ['sjis', '80'],
    ['cp932', 'ffff'],
    ['ujis', '8fa1'],
    ['ujis', 'ada1'],
    ['ujis', '8e'],
    ['eucjpms', '8eff'],
    ['euckr', 'c9a1'],
    ['gb2312', '8140'],
    ['gbk', 'a140'],
    ['gbk', 'ff'],
    ['gb18030', '8130'],
    ['gb18030', '813081'],
    ['gb18030', '8130ff30'],
    ['gb18030', '8431a530'],
    ['gb18030', 'e3329a36'],
    ['utf16', 'd83d'],
    ['utf16', '00'],
    ['utf16le', '00de3dd8'],
    ['ucs2', 'd83dde00'],
    ['ucs2', 'd83d'],
    ['utf32', '0000d83d'],
    ['utf32', '00110000'],
    ['utf32', '000041'],
    ['utf8mb3', 'f09f9880'],
    ['utf8mb3', 'eda080'],
    ['utf8mb4', 'f4908080'],
  ] as const)('%s %s', (set, hex) => {
    expect(() => decode(set, hex)).toThrow(/./);
    // Nor behind something that is one, and before it.
    const wide = /utf32/.test(set) ? '00000041' : /ucs2|utf16le/.test(set) ? '0041' : set === 'utf16' ? '0041' : '41';
    expect(() => decode(set, `${wide}${hex}`)).toThrow(/./);
  });

  test('the byte-wise writers say so too', () => {
    const w = Buffer.alloc(64);
    expect(writeUtf8(w, 0, Buffer.from('😀'), 0, 4, 3)).toBe(-1);
    expect(writeUtf8(w, 0, Buffer.from('😀'), 0, 4, 4)).toBe(4);
    expect(writeUtf8(w, 0, Buffer.from('日'), 0, 3, 3)).toBe(3);
    const table = byteTable((byte) => (byte === 1 ? undefined : String.fromCharCode(byte)));
    expect(writeBytes(w, 0, Buffer.from([65, 1]), 0, 2, table)).toBe(-1);
    expect(w.toString('latin1', 0, writeBytes(w, 0, Buffer.from([65, 34, 0]), 0, 3, table))).toBe('A\\"\\u0000');
  });
});

/** Character data in many charsets, binary data, labels. */
import * as fc from 'fast-check';
import { hexLiteral, perColumn, quote, some, textOfBytes, utf8Literal, type ValueColumn, type ValueFamily } from './typed-values.ts';

/** Texts are compared as bytes of UTF-8 in hex: so no connection's charset has a hand in it. */
const textOf = (hex: string) => Buffer.from(hex, 'hex').toString('utf8');
const hexOfText = (column: string) => `HEX(CONVERT(${column} USING utf8mb4))`;
const shownAsHex = (column: string) => `upper(encode(convert_to(${column}, 'UTF8'), 'hex'))`;
const same = (text: string) => text;

/** Everything but U+0000, which Postgres cannot hold. */
const awkward = [
  '',
  ' ',
  'x ',
  ' x',
  '"',
  "'",
  '\\',
  '\\N',
  'NULL',
  '{}',
  '{"a":1}',
  '},"after":{',
  '\u0001\u001f\u007f\u0080',
  '\ud83d\ude00',
  '\uffff\ufffd\ufeff',
  '\u2028\u2029',
  'e\u0301é',
  '\n\r\t\b\f\v',
  '\\.',
  '\u{10ffff}',
  '1e5',
  'true',
];
const character = fc.oneof(
  fc.constantFrom('a', 'Z', '0', ' ', '"', '\\', "'", '\n', '\t', ',', '{', '}', 'ß', '😀'),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
);
const noNul = (text: string) => !text.includes('\0');
export const words = fc
  .array(character, { maxLength: 24 })
  .map((parts) => parts.join(''))
  .filter(noNul);

export function textColumn(type: string, texts: readonly string[]): ValueColumn {
  return { type, values: texts.map(utf8Literal), select: hexOfText, cell: textOf, show: shownAsHex, shown: same };
}

export const texts = (): ValueFamily => {
  const all = [...awkward, ...some(words)];
  const short = all.filter((text) => Buffer.byteLength(text) <= 255);
  // Every length around those at which the binlog's length prefix and our own writers change their ways.
  const lengths = [254, 255, 256, 257, 16_383, 16_384, 16_385, 65_535, 65_536, 200_000];
  const long = [...lengths.map(textOfBytes), ...all];
  const types = ['VARCHAR(60)', 'CHAR(60)', 'VARCHAR(300)', 'TINYTEXT', 'TEXT'];
  return {
    name: 'text in utf8mb4',
    columns: [
      ...types.map((type) => textColumn(`${type} CHARACTER SET utf8mb4`, short)),
      { ...textColumn('MEDIUMTEXT CHARACTER SET utf8mb4', long), lengths },
      { ...textColumn('LONGTEXT CHARACTER SET utf8mb4', long), lengths },
      textColumn('VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', short),
    ],
  };
};

/** What each charset is rich in; what it lacks becomes a question mark at the server, and is one on all sides. */
const repertoires: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  cyrillic: [[0x400, 0x45f]],
  greek: [[0x384, 0x3ce]],
  hebrew: [[0x5d0, 0x5ea]],
  thai: [[0xe01, 0xe5b]],
  georgian: [[0x10d0, 0x10f0]],
  armenian: [[0x531, 0x587]],
  latin: [
    [0xa0, 0x17f],
    [0x2010, 0x2044],
    [0x20ac, 0x20ac],
  ],
  japanese: [
    [0x3041, 0x30fe],
    [0x4e00, 0x9fa5],
    [0xff01, 0xff9f],
    [0x2460, 0x2473],
    [0xa0, 0xff],
  ],
  korean: [
    [0xac00, 0xd7a3],
    [0x4e00, 0x9fa5],
    [0x3131, 0x318e],
  ],
  chinese: [
    [0x4e00, 0x9fa5],
    [0x3000, 0x303f],
    [0xff01, 0xff5e],
    [0x3105, 0x3129],
  ],
  drawings: [
    [0x2500, 0x25a0],
    [0x391, 0x3c9],
    [0xa0, 0xff],
  ],
};
const charsets: Readonly<Record<string, string>> = {
  ascii: 'latin',
  latin1: 'latin',
  latin2: 'latin',
  latin5: 'latin',
  latin7: 'latin',
  dec8: 'latin',
  hp8: 'latin',
  swe7: 'latin',
  cp850: 'drawings',
  cp852: 'latin',
  cp866: 'cyrillic',
  cp1250: 'latin',
  cp1251: 'cyrillic',
  cp1256: 'latin',
  cp1257: 'latin',
  koi8r: 'cyrillic',
  koi8u: 'cyrillic',
  keybcs2: 'latin',
  macce: 'latin',
  macroman: 'latin',
  greek: 'greek',
  hebrew: 'hebrew',
  armscii8: 'armenian',
  geostd8: 'georgian',
  tis620: 'thai',
  sjis: 'japanese',
  cp932: 'japanese',
  ujis: 'japanese',
  eucjpms: 'japanese',
  euckr: 'korean',
  big5: 'chinese',
  gb2312: 'chinese',
  gbk: 'chinese',
  gb18030: 'chinese',
  utf8mb3: 'chinese',
  ucs2: 'japanese',
  utf16: 'korean',
  utf16le: 'korean',
  utf32: 'chinese',
};
export const charsetNames: readonly string[] = Object.keys(charsets);

function charsetColumn(name: string): ValueColumn {
  const ranges = repertoires[charsets[name] ?? 'latin'] ?? [];
  const letter = fc.oneof(...ranges.map(([from, to]) => fc.integer({ min: from, max: to }).map((point) => String.fromCodePoint(point))));
  const plain = fc.integer({ min: 1, max: 0x7e }).map((point) => String.fromCodePoint(point));
  const far = fc.integer({ min: 0x10000, max: 0x2ffff }).map((point) => String.fromCodePoint(point));
  const unicode = /utf16|utf32|gb18030/.test(name) ? [{ arbitrary: far, weight: 1 }] : [];
  const text = fc.array(fc.oneof({ arbitrary: letter, weight: 6 }, { arbitrary: plain, weight: 2 }, ...unicode), { maxLength: 12 });
  return textColumn(`VARCHAR(24) CHARACTER SET ${name}`, [
    '',
    'a',
    ...some(
      text.map((parts) => parts.join('')),
      Math.ceil(perColumn / 8),
    ),
  ]);
}

/** In several families: a table's row has room for so many bytes only. */
export const charsetFamily = (names: readonly string[]): ValueFamily => ({
  name: `text in ${names.join(', ')}`,
  columns: names.map(charsetColumn),
});

export function binaryColumn(type: string, values: readonly Uint8Array[]): ValueColumn {
  const cell = (hex: string) => Buffer.from(hex, 'hex').toString('base64');
  return { type, values: values.map(hexLiteral), select: (c) => `HEX(${c})`, cell, show: (c) => `upper(encode(${c}, 'hex'))`, shown: same };
}

export const binaries = (): ValueFamily => {
  const edges = [[], [0], [0, 0], [1, 0], [0x20], [0x20, 0x20], [0xff], [0x5c], [0x22, 0x27], [0xc3, 0x28]].map((bytes) =>
    Uint8Array.from(bytes),
  );
  const upTo = (maxLength: number) => [...edges, ...some(fc.uint8Array({ maxLength }))].filter((bytes) => bytes.length <= maxLength);
  const lengths = [191, 192, 193, 255, 256, 65_535, 65_536, 196_607, 196_608, 196_609, 400_000];
  const long = lengths.map(bytesOf);
  return {
    name: 'binary and blob',
    columns: [
      binaryColumn('BINARY(5)', upTo(5)),
      binaryColumn('BINARY(1)', upTo(1)),
      binaryColumn('BINARY(255)', upTo(40)),
      binaryColumn('VARBINARY(40)', upTo(40)),
      binaryColumn('VARBINARY(300)', upTo(40)),
      binaryColumn('TINYBLOB', upTo(40)),
      binaryColumn('BLOB', upTo(40)),
      { ...binaryColumn('MEDIUMBLOB', [...long, ...upTo(12)]), lengths },
      { ...binaryColumn('LONGBLOB', [...long, ...upTo(12)]), lengths },
    ],
  };
};

export const bytesOf = (length: number) => Uint8Array.from({ length }, (_, at) => at % 251);

const oddLabels = ['a', 'b,c', "d'e", 'say "hi"', 'ü', 'back\\slash', 'x y', 'я', '{}', '(n)', 'NULL', '%t', '\tn\n', '0', '1', 'A1'];
const many = (count: number) => Array.from({ length: count }, (_, index) => `label ${index}`);
const list = (labels: readonly string[]) => labels.map(quote).join(', ');

function enumColumn(labels: readonly string[], charset: string): ValueColumn {
  const numbers = some(fc.integer({ min: 1, max: labels.length }));
  const all = [1, labels.length, ...labels.map((_, index) => index + 1), ...numbers].map(String);
  // The number 0 is what the server stores for a label that it does not know: an empty text.
  const values = ["'no such label'", "''", ...all.flatMap((number, at) => (at % 50 === 0 ? [number, "'unknown'"] : [number]))];
  return { ...labelColumn(`ENUM(${list(labels)}) CHARACTER SET ${charset}`), values };
}

function setColumn(labels: readonly string[], charset: string): ValueColumn {
  const all = 2n ** BigInt(labels.length) - 1n;
  const single = labels.map((_, bit) => 2n ** BigInt(bit));
  const values = [0n, all, ...single, ...some(fc.bigInt(0n, all))].map(String);
  return { ...labelColumn(`SET(${list(labels)}) CHARACTER SET ${charset}`), values };
}

const labelColumn = (type: string) => ({ type, select: hexOfText, cell: textOf, show: shownAsHex, shown: same });

export const labels = (): ValueFamily => ({
  name: 'enum and set',
  columns: [
    enumColumn(oddLabels, 'utf8mb4'),
    enumColumn(many(255), 'latin1'),
    enumColumn(many(256), 'utf8mb4'),
    enumColumn(['да', 'нет', 'ё'], 'koi8r'),
    setColumn(
      oddLabels.filter((label) => !label.includes(',')),
      'utf8mb4',
    ),
    setColumn(many(64), 'utf8mb4'),
    setColumn(many(8), 'latin1'),
    setColumn(['да', 'нет', 'ё'], 'cp1251'),
  ],
});

/** MariaDB's own, where characters or bytes are kept compressed. */
export const compressed = (): ValueFamily => {
  const short = [...awkward, ...some(words)];
  const lengths = [99, 100, 101, 255, 256, 257, 5_000, 65_535, 65_536, 70_000];
  const long = [...lengths.map(textOfBytes), ...short];
  const bytes = [0, 1, 99, 100, 101, 5_000, 70_000].map((size) => Uint8Array.from({ length: size }, (_, at) => at % 7));
  const blobs = [...bytes, ...some(fc.uint8Array({ maxLength: 60 }))];
  return {
    name: 'compressed columns',
    columns: [
      textColumn('VARCHAR(200) COMPRESSED CHARACTER SET utf8mb4', short),
      { ...textColumn('MEDIUMTEXT COMPRESSED CHARACTER SET utf8mb4', long), lengths },
      textColumn('VARCHAR(60) COMPRESSED CHARACTER SET latin1', short),
      binaryColumn(
        'VARBINARY(200) COMPRESSED',
        blobs.filter(({ length }) => length <= 200),
      ),
      binaryColumn('LONGBLOB COMPRESSED', blobs),
    ],
  };
};

/** Texts and bytes of exact lengths, asserted by the server's own LENGTH(). */
import * as fc from 'fast-check';
import { binaryColumn, bytesOf, textColumn, words } from './typed-texts.ts';
import { perColumn, some, textOfBytes, type ValueFamily } from './typed-values.ts';

/** The lengths at which a length in the binlog gets another byte, or one that is not 0, and the most that each type takes. */
const edgesOf = {
  'CHAR(255) CHARACTER SET utf8mb4': [0, 1, 254, 255, 256, 300, 1_020],
  'VARCHAR(63) CHARACTER SET utf8mb4': [0, 127, 128, 252],
  'VARCHAR(255) CHARACTER SET latin1': [127, 128, 254, 255],
  'VARCHAR(300) CHARACTER SET utf8mb4': [254, 255, 256, 257, 511, 512, 1_200],
  'VARCHAR(8000) CHARACTER SET utf8mb4': [255, 256, 16_383, 16_384, 16_385, 32_000],
  'TINYTEXT CHARACTER SET utf8mb4': [127, 128, 254, 255],
  'TEXT CHARACTER SET utf8mb4': [255, 256, 257, 16_383, 16_384, 16_385, 65_534, 65_535],
} as const;
const binaryEdgesOf = {
  'BINARY(255)': [255],
  'VARBINARY(255)': [127, 128, 192, 193, 254, 255],
  'VARBINARY(300)': [254, 255, 256, 257, 300],
  'VARBINARY(15000)': [255, 256, 4_095, 4_096, 14_999, 15_000],
  TINYBLOB: [127, 128, 255],
  BLOB: [191, 192, 193, 255, 256, 257, 49_152, 49_153, 65_534, 65_535],
} as const;

/** As many bytes in no more characters than the type has room for. */
function textWithin(type: string, bytes: number): string {
  const most = Number(/\((\d+)\)/.exec(type)?.[1] ?? Infinity);
  const text = type.includes('latin1') ? 'x'.repeat(bytes) : textOfBytes(bytes);
  return Array.from(text).length <= most ? text : '😀'.repeat(Math.floor(bytes / 4)) + 'x'.repeat(bytes % 4);
}

export const lengthsOfTexts = (): ValueFamily => ({
  name: 'texts of exact lengths',
  columns: Object.entries(edgesOf).map(([type, lengths]) => {
    const short = some(words, Math.ceil(perColumn / 5)).filter((text) => Buffer.byteLength(text) < 60);
    return { ...textColumn(type, [...lengths.map((bytes) => textWithin(type, bytes)), ...short]), lengths };
  }),
});

export const lengthsOfBytes = (): ValueFamily => ({
  name: 'bytes of exact lengths',
  columns: Object.entries(binaryEdgesOf).map(([type, lengths]) => {
    const short = some(fc.uint8Array({ maxLength: 60 }), Math.ceil(perColumn / 5));
    return { ...binaryColumn(type, [...lengths.map(bytesOf), ...short]), lengths };
  }),
});

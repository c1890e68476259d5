/** One spelling for each value, so that equal keys are equal text and different keys never are. */
import type { Row, Value } from './change.ts';

/** Typed and length-prefixed: `('a|b','c')` is not `('a','b|c')`, 1 is not '1', NULL is not 'NULL'. */
export function canonicalValue(value: Value | undefined): string {
  if (value === null || value === undefined) return '-';
  switch (typeof value) {
    case 'number':
    case 'bigint':
      return `n${numberText(value)};`;
    case 'boolean':
      return value ? 't' : 'f';
    case 'string':
      return `s${value.length}:${value}`;
    default:
      if (value instanceof Uint8Array) return `b${bytesText(value)}`;
      return 'wkb' in value
        ? `g${value.srid ?? '-'};${bytesText(value.wkb)}`
        : `v${value.length}:${value.map((one) => `${numberText(one)};`).join('')}`;
  }
}
const numberText = (value: number | bigint) => (Object.is(value, -0) ? '-0' : String(value));
const bytesText = (bytes: Uint8Array) =>
  `${bytes.length}:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')}`;

export function keyText(names: readonly string[], row: Row): string {
  if (names.length === 1) return canonicalValue(row[names[0] as string]);
  let text = '';
  for (const name of names) text += canonicalValue(row[name]);
  return text;
}

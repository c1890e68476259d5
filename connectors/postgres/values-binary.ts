/** Bits, bytes, geometries and vectors as Postgres reads them. */
import type { Geometry, Value } from '../../src/core/change.ts';
import { bytesOf, type Policy, policyRemedy, Refused, wrongKind } from './policy.ts';
import { numberText } from './values-number.ts';

export function byteaText(bytes: Buffer): string {
  return `\\x${bytes.toString('hex')}`;
}

/** The bits as the source's SELECT gives them, the highest first: the log has the lowest eight first. */
export function bitBytes(value: Value): Buffer {
  return Buffer.from(bytesOf(value)).reverse();
}

/** For bit and varbit: exactly the source's number of bits. */
export function bitText(value: Value, bits: number): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  let text = '';
  for (const byte of bitBytes(value)) text += byte.toString(2).padStart(8, '0');
  return text.slice(-bits).padStart(bits, '0');
}

/** The bits as one unsigned number. */
export function bitNumber(value: Value): string {
  const hex = bitBytes(value).toString('hex');
  return hex === '' ? '0' : BigInt(`0x${hex}`).toString();
}

function geometryOf(value: Value): Geometry {
  if (typeof value === 'object' && value !== null && 'wkb' in value) return value;
  throw wrongKind(value, 'a geometry');
}

const sridFlag = 0x2000_0000;

/**
 * PostGIS' own form: WKB with the SRID behind the type, where there is one; without one it is WKB. The coordinates stay
 * as they are: both servers keep longitude first.
 */
export function ewkb({ wkb, srid }: Geometry): Buffer {
  const bytes = bytesOf(wkb);
  if (srid === null || srid === 0) return bytes;
  if (bytes.length < 5) throw new Refused('a geometry is shorter than its head', 'Run `crossfade check`; the value is damaged.');
  const isLittle = bytes[0] === 1;
  const type = isLittle ? bytes.readUInt32LE(1) : bytes.readUInt32BE(1);
  const head = Buffer.alloc(9);
  head[0] = bytes[0] ?? 0;
  if (isLittle) {
    head.writeUInt32LE((type | sridFlag) >>> 0, 1);
    head.writeUInt32LE(srid, 5);
  } else {
    head.writeUInt32BE((type | sridFlag) >>> 0, 1);
    head.writeUInt32BE(srid, 5);
  }
  return Buffer.concat([head, bytes.subarray(5)]);
}

/** For a bytea column: as the policy says. */
export function geometryBytes(value: Value, { geometry: form, altered }: Policy): Buffer {
  const geometry = geometryOf(value);
  if (form === 'ewkb') return ewkb(geometry);
  if (geometry.srid !== null && geometry.srid !== 0) altered('srid');
  return bytesOf(geometry.wkb);
}

/**
 * PostGIS reads EWKB in hexadecimal. To a column with an SRID of its own it would give that SRID to a value that has none,
 * silently: only a policy may.
 */
export function geometryHex(value: Value, { geometry: form, altered }: Policy, columnSrid: number): string {
  const geometry = geometryOf(value);
  const srid = geometry.srid ?? 0;
  if (form === 'wkb') {
    if (srid !== columnSrid) altered('srid');
    return bytesOf(geometry.wkb).toString('hex').toUpperCase();
  }
  if (srid === 0 && columnSrid !== 0) {
    throw new Refused(
      `a geometry without SRID would get the column's (${columnSrid})`,
      `Make the column geometry without an SRID. ${policyRemedy({ 'geometry: wkb': 'every value takes the SRID of the column' })}`,
    );
  }
  return ewkb(geometry).toString('hex').toUpperCase();
}

function vectorOf(value: Value): readonly number[] {
  if (Array.isArray(value)) return value as readonly number[];
  throw wrongKind(value, 'a vector');
}

/** `{1.5,-2}` for an array, `[1.5,-2]` for pgvector, jsonb and text. */
export function vectorText(value: Value, [open, close]: readonly [string, string]): string {
  return `${open}${vectorOf(value).map(numberText).join(',')}${close}`;
}

/** As MySQL keeps it: float32 after float32, the low byte first. */
export function vectorBytes(value: Value): Buffer {
  const numbers = vectorOf(value);
  const bytes = Buffer.alloc(numbers.length * 4);
  for (const [index, number] of numbers.entries()) bytes.writeFloatLE(number, index * 4);
  return bytes;
}

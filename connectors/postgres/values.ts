/** A value as the text that Postgres reads for the target's type: exactly, or refused with the reason. */
import type { ColumnSchema, Value } from '../../src/core/change.ts';
import type { TargetColumn } from './catalog.ts';
import { bytesOf, type Policy, strict, stringOf } from './policy.ts';
import { bitBytes, bitNumber, bitText, byteaText, geometryBytes, geometryHex, vectorBytes, vectorText } from './values-binary.ts';
import { booleanText, floatAsNumeric, numberText } from './values-number.ts';
import { geometrySrid } from './type-modifiers.ts';
import { characterText, jsonbText, plainText, setText } from './values-text.ts';
import { dateText, timeText } from './values-time.ts';

/** null where a policy makes NULL of the value. */
export type ToText = (value: Exclude<Value, null>) => string | null;

export type ToBytes = (value: Exclude<Value, null>) => Buffer;

/** For a bytea column, compiled once; undefined for any other. */
export function bytesWriter(source: ColumnSchema, target: TargetColumn, policy: Policy = strict): ToBytes | undefined {
  if (target.base !== 'bytea') return undefined;
  switch (source.kind) {
    case 'geometry':
      return (value) => geometryBytes(value, policy);
    case 'vector':
      return vectorBytes;
    case 'bit':
      return bitBytes;
    default:
      return bytesOf;
  }
}

/** Compiled once a column. Assumes that the fit is not `lossy`. */
export function textWriter(source: ColumnSchema, target: TargetColumn, policy: Policy = strict): ToText {
  const toBytes = bytesWriter(source, target, policy);
  if (toBytes) return (value) => byteaText(toBytes(value));
  if (source.kind === 'geometry') return geometryWriter(target, policy);
  if (source.kind === 'vector') return vectorWriter(target);
  switch (target.base) {
    case 'bool':
      return booleanText;
    case 'int2':
    case 'int4':
    case 'int8':
    case 'numeric':
      return numberWriter(source, target);
    case 'float4':
    case 'float8':
      return numberText;
    case 'bit':
    case 'varbit':
      return (value) => bitText(value, source.bits ?? 1);
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return (value) => dateText(value, policy);
    case 'time':
      return (value) => timeText(value, policy);
    case 'interval':
      return stringOf;
    case '_text':
    case '_varchar':
      return (value) => setText(plainText(stringOf(value), policy));
    case 'jsonb':
      return jsonbText(source, policy);
    case 'uuid':
      return (value) => (source.kind === 'bytes' ? bytesOf(value).toString('hex') : plainText(stringOf(value), policy));
    default:
      return characterText(source, target, policy, (value) => (typeof value === 'string' ? value : numberText(value)));
  }
}

function numberWriter(source: ColumnSchema, target: TargetColumn): ToText {
  if (source.kind === 'bit') return bitNumber;
  return target.base === 'numeric' && (source.kind === 'float' || source.kind === 'double') ? floatAsNumeric : numberText;
}

function geometryWriter(target: TargetColumn, policy: Policy): ToText {
  const columnSrid = geometrySrid(target);
  return (value) => geometryHex(value, policy, columnSrid);
}

function vectorWriter(target: TargetColumn): ToText {
  const brackets = target.isArray ? (['{', '}'] as const) : (['[', ']'] as const);
  return (value) => vectorText(value, brackets);
}

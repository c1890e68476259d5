/** A value as the text that Postgres reads for the target's type: exactly, or refused with the reason. */
import type { ColumnKind, ColumnSchema, Value } from '../../src/core/change.ts';
import type { TargetColumn } from './catalog.ts';
import { bytesOf, type Policy, strict, stringOf } from './policy.ts';
import { bitBytes, bitNumber, bitText, byteaText, geometryBytes, geometryHex, vectorBytes, vectorText } from './values-binary.ts';
import { booleanText, floatAsNumeric, numberText } from './values-number.ts';
import { geometrySrid } from './type-modifiers.ts';
import { inetText, uuidText } from './values-canonical.ts';
import { characterText, jsonbText, plainText, setText } from './values-text.ts';
import { dateText, timeText } from './values-time.ts';

/** null where a policy makes NULL of the value. */
export type ToText = (value: Exclude<Value, null>) => string | null;

export type ToBytes = (value: Exclude<Value, null>) => Buffer;

type KindWriter = (source: ColumnSchema, target: TargetColumn, policy: Policy) => ToText;

/** For a bytea column, compiled once; undefined for any other. */
export function bytesWriter(source: ColumnSchema, target: TargetColumn, policy: Policy = strict): ToBytes | undefined {
  return target.base === 'bytea' ? inBytes[source.kind]?.(policy) : undefined;
}

/** Of the kinds that have bytes. */
const inBytes: Readonly<Record<ColumnKind, ((policy: Policy) => ToBytes) | undefined>> = {
  bytes: () => bytesOf,
  bit: () => bitBytes,
  vector: () => vectorBytes,
  geometry: (policy) => (value) => geometryBytes(value, policy),
  integer: undefined,
  decimal: undefined,
  float: undefined,
  double: undefined,
  boolean: undefined,
  string: undefined,
  date: undefined,
  time: undefined,
  datetime: undefined,
  timestamp: undefined,
  year: undefined,
  enum: undefined,
  set: undefined,
  json: undefined,
  uuid: undefined,
  inet4: undefined,
  inet6: undefined,
};

/** Compiled once a column. Assumes that the fit is not `lossy`. */
export function textWriter(source: ColumnSchema, target: TargetColumn, policy: Policy = strict): ToText {
  const toBytes = bytesWriter(source, target, policy);
  return toBytes ? (value) => byteaText(toBytes(value)) : inText[source.kind](source, target, policy);
}

const asText: KindWriter = (source, target, policy) =>
  characterText(source, target, policy, (value) => (typeof value === 'string' ? value : numberText(value)));

const numbers = new Set(['int2', 'int4', 'int8', 'numeric', 'float4', 'float8']);

const number: KindWriter = (source, target, policy) => {
  if (target.base === 'bool') return booleanText;
  return numbers.has(target.base) ? numberText : asText(source, target, policy);
};

const real: KindWriter = (source, target, policy) => (target.base === 'numeric' ? floatAsNumeric : number(source, target, policy));

const bits: KindWriter = ({ bits: count = 1 }, { base }) => (numbers.has(base) ? bitNumber : (value) => bitText(value, count));

const boolean: KindWriter = (source, target, policy) =>
  target.base === 'bit' || target.base === 'varbit' ? (value) => bitText(value, 1) : number(source, target, policy);

const string: KindWriter = (source, target, policy) => {
  if (target.base === 'jsonb') return jsonbText(source, policy);
  if (target.base === 'uuid') return (value) => uuidText(stringOf(value));
  return target.base === 'inet' ? (value) => inetText(stringOf(value)) : asText(source, target, policy);
};

const moment: KindWriter = (source, target, policy) =>
  ['date', 'timestamp', 'timestamptz'].includes(target.base) ? (value) => dateText(value, policy) : asText(source, target, policy);

const time: KindWriter = (source, target, policy) => {
  if (target.base === 'interval') return stringOf;
  return target.base === 'time' ? (value) => timeText(value, policy) : asText(source, target, policy);
};

const set: KindWriter = (source, target, policy) =>
  target.isArray ? (value) => setText(plainText(stringOf(value), policy)) : asText(source, target, policy);

const json: KindWriter = (source, target, policy) => (target.base === 'jsonb' ? jsonbText(source, policy) : asText(source, target, policy));

const geometry: KindWriter = (_source, target, policy) => {
  const columnSrid = geometrySrid(target);
  return (value) => geometryHex(value, policy, columnSrid);
};

const vector: KindWriter = (_source, { isArray }) => {
  const brackets = isArray ? (['{', '}'] as const) : (['[', ']'] as const);
  return (value) => vectorText(value, brackets);
};

const inText: Readonly<Record<ColumnKind, KindWriter>> = {
  integer: number,
  decimal: number,
  float: real,
  double: real,
  boolean,
  bit: bits,
  string,
  bytes: () => (value) => bytesOf(value).toString('hex'),
  date: moment,
  time,
  datetime: moment,
  timestamp: moment,
  year: number,
  enum: asText,
  set,
  json,
  geometry,
  vector,
  uuid: asText,
  inet4: asText,
  inet6: asText,
};

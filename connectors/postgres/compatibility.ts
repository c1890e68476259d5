/** Which target types hold a source column exactly. Small, explicit, and closed: what is not listed does not fit. */
import type { ColumnKind, ColumnSchema } from '../../src/core/change.ts';
import type { TargetColumn } from './catalog.ts';
import { characterLength, fractionDigits, intervalFractionDigits, numericDigits } from './type-modifiers.ts';

/**
 * `exact`: every value fits. `narrow`: some values do not, and then the write is refused, never bent. `lossy`: some
 * values would be changed silently, or the kinds have nothing in common; nothing is written.
 */
export interface Fit {
  readonly fit: 'exact' | 'narrow' | 'lossy';
  readonly why: string;
}

const exact: Fit = { fit: 'exact', why: '' };
const narrow = (why: string): Fit => ({ fit: 'narrow', why });
const lossy = (why: string): Fit => ({ fit: 'lossy', why });
const stranger = lossy('the two have no values in common');

type Rule = (source: ColumnSchema, target: TargetColumn) => Fit | undefined;

export function fitOf(source: ColumnSchema, target: TargetColumn): Fit {
  return rules[source.kind](source, target) ?? stranger;
}

const integerBits: Readonly<Record<string, number>> = { int2: 16, int4: 32, int8: 64 };

function text(source: ColumnSchema, target: TargetColumn): Fit | undefined {
  if (target.base === 'text') return exact;
  if (target.base !== 'varchar') return undefined;
  const room = characterLength(target);
  return room === undefined || (source.length !== undefined && source.length <= room)
    ? exact
    : narrow(`texts over ${room} characters are refused`);
}

function integer(source: ColumnSchema, target: TargetColumn): Fit | undefined {
  const bits = source.bits ?? 64;
  const needed = bits + (source.unsigned ? 1 : 0);
  const room = integerBits[target.base];
  if (room !== undefined) return needed <= room ? exact : narrow(`numbers beyond a signed integer of ${room} bits are refused`);
  if (target.base === 'numeric') return wholeDigits(target, Math.ceil((source.unsigned ? bits : bits - 1) * Math.log10(2)), 0);
  if (target.base === 'float8') return bits <= 32 ? exact : lossy('numbers beyond 2^53 would be rounded');
  if (target.base === 'bool') return bits === 8 ? narrow('numbers other than 0 and 1 are refused') : undefined;
  return text({ ...source, length: 20 }, target);
}

function wholeDigits(target: TargetColumn, whole: number, scale: number): Fit {
  const digits = numericDigits(target);
  if (!digits) return exact;
  if (digits.scale < scale) return lossy(`digits behind the ${digits.scale}. decimal place would be rounded away`);
  return digits.precision - digits.scale >= whole
    ? exact
    : narrow(`numbers of over ${digits.precision - digits.scale} digits before the point are refused`);
}

function decimal(source: ColumnSchema, target: TargetColumn): Fit | undefined {
  const precision = source.precision ?? 65;
  const scale = source.scale ?? 0;
  if (target.base === 'numeric') return wholeDigits(target, precision - scale, scale);
  if (integerBits[target.base] !== undefined)
    return scale === 0 ? narrow('numbers beyond its range are refused') : lossy('digits behind the point would be lost');
  return text({ ...source, length: precision + 2 }, target);
}

function fraction(source: ColumnSchema, target: TargetColumn): Fit | undefined {
  const needed = source.scale ?? 6;
  if (target.base === 'interval') {
    const digits = intervalFractionDigits(target);
    if (digits === undefined) return lossy('its fields are restricted');
    return digits >= needed ? exact : lossy(`fractions of a second beyond ${digits} digits would be rounded`);
  }
  const digits = fractionDigits(target);
  return digits >= needed ? exact : lossy(`fractions of a second beyond ${digits} digits would be rounded`);
}

function string(source: ColumnSchema, target: TargetColumn): Fit | undefined {
  const fit = text(source, target);
  if (fit) return fit;
  if (target.base === 'bpchar') {
    return /^char\b/i.test(source.type) ? text(source, { ...target, base: 'varchar' }) : lossy('trailing spaces would be lost');
  }
  if (target.base === 'citext') return narrow('it compares without regard to case');
  return target.isEnum || ['json', 'jsonb', 'uuid', 'inet', 'xml'].includes(target.base)
    ? narrow('texts of another form are refused')
    : undefined;
}

const timestamps = new Set(['timestamp', 'timestamptz']);
const byBase =
  (...bases: string[]): Rule =>
  (_source, target) =>
    bases.includes(target.base) ? exact : undefined;
const firstOf =
  (...list: Rule[]): Rule =>
  (source, target) => {
    for (const rule of list) {
      const fit = rule(source, target);
      if (fit) return fit;
    }
    return undefined;
  };
/** Text of a bounded length of our own spelling. */
const spelled =
  (length: number): Rule =>
  (source, target) =>
    text({ ...source, length }, target);

const rules: Readonly<Record<ColumnKind, Rule>> = {
  integer,
  decimal,
  float: firstOf(byBase('float4', 'float8'), spelled(32)),
  double: firstOf(
    byBase('float8'),
    (_source, target) => (target.base === 'float4' ? lossy('digits would be rounded') : undefined),
    spelled(32),
  ),
  boolean: firstOf(byBase('bool', 'int2', 'int4', 'int8'), (_source, target) =>
    target.base === 'bit' && target.typmod === 1 ? exact : undefined,
  ),
  bit: (source, target) => {
    if (target.base === 'bytea') return exact;
    if (target.base === 'bit') return target.typmod === source.bits ? exact : lossy('its number of bits differs');
    if (target.base === 'varbit')
      return target.typmod < 0 || target.typmod >= (source.bits ?? 64) ? exact : lossy('its number of bits differs');
    return undefined;
  },
  string,
  bytes: byBase('bytea'),
  date: firstOf((_source, target) => (target.base === 'date' ? narrow('zero dates are refused') : undefined), spelled(10)),
  time: firstOf(
    (source, target) => (target.base === 'interval' ? fraction(source, target) : undefined),
    (source, target) => {
      if (target.base !== 'time') return undefined;
      const fit = fraction(source, target);
      return fit?.fit === 'exact' ? narrow('negative times and times beyond 24 hours are refused') : fit;
    },
    spelled(17),
  ),
  // A DATETIME is not an instant: timestamptz would make one of it.
  datetime: firstOf((source, target) => (target.base === 'timestamp' ? fraction(source, target) : undefined), spelled(26)),
  timestamp: firstOf((source, target) => (timestamps.has(target.base) ? fraction(source, target) : undefined), spelled(27)),
  year: firstOf(byBase('int2', 'int4', 'int8', 'numeric'), spelled(4)),
  enum: firstOf(text, (_source, target) => (target.isEnum ? narrow('labels that it lacks are refused') : undefined)),
  set: firstOf(text, byBase('_text')),
  json: firstOf(byBase('json', 'text'), (_source, target) => (target.base === 'jsonb' ? narrow('U+0000 is refused') : undefined)),
  geometry: byBase('bytea'),
  vector: byBase('bytea', '_float4'),
  uuid: firstOf(byBase('uuid'), spelled(36)),
  inet4: firstOf(byBase('inet'), spelled(15)),
  inet6: firstOf(byBase('inet'), spelled(45)),
};

/** Zero dates are MySQL's own oddity: the fit is narrow, but worth no warning for every date column. */
export function isWorthWarning(source: ColumnSchema, { fit }: Fit): boolean {
  return fit === 'narrow' && source.kind !== 'date' && source.kind !== 'json';
}

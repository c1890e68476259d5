/** Which target types hold a source column exactly. Small, explicit, and closed: what is not listed does not fit. */
import type { ColumnKind, ColumnSchema } from '../../src/core/change.ts';
import type { TargetColumn } from './catalog.ts';
import { byBase, chosen, exact, type Fit, firstOf, lossy, narrow, noWay, quiet, type Rule, spelled, text } from './fit.ts';
import { bit, boolean, decimal, integer, real } from './fit-numbers.ts';
import { fraction } from './fit-time.ts';

export function fitOf(source: ColumnSchema, target: TargetColumn): Fit {
  return rules[source.kind](source, target) ?? noWay;
}

function string(source: ColumnSchema, target: TargetColumn): Fit | undefined {
  const fit = text(source, target);
  if (fit) return fit;
  if (target.base === 'bpchar') {
    return /^char\b/i.test(source.type) ? text(source, { ...target, base: 'varchar' }) : lossy('trailing spaces would be lost');
  }
  if (target.base === 'citext') return chosen('it compares without regard to case');
  if (target.base === 'jsonb')
    return chosen('texts that are not JSON, or have a name twice in one object, are refused; spaces and the order of names are not kept');
  if (target.base === 'uuid' || target.base === 'inet') return chosen('texts that are not spelled as Postgres prints them are refused');
  if (target.base === 'xml') return lossy('the declaration and the document type would be lost');
  return target.isEnum || target.base === 'json' ? chosen('texts of another form are refused') : undefined;
}

/** MySQL stores '' for a label that it did not know; that is worth no warning. */
function enumeration(source: ColumnSchema, target: TargetColumn): Fit | undefined {
  if (!target.isEnum) return text(source, target);
  const missing = missingLabels(source, target);
  if (missing.length === 0) return quiet('the empty label of a value that the source did not know is refused');
  return narrow(`the labels that it lacks are refused (${missing.map((label) => `"${label}"`).join(', ')})`);
}

/** The labels of a source's ENUM that the target's enum type does not have. */
export function missingLabels({ labels = [] }: ColumnSchema, target: TargetColumn): string[] {
  const known = new Set(target.labels);
  return labels.filter((label) => !known.has(label));
}

function bytes(source: ColumnSchema, target: TargetColumn): Fit | undefined {
  if (target.base === 'bytea') return exact;
  if (target.base !== 'uuid') return undefined;
  return source.length === 16 && /^binary\b/i.test(source.type) ? exact : chosen('values of another length than 16 bytes are refused');
}

function geometry(_source: ColumnSchema, target: TargetColumn): Fit | undefined {
  if (target.base === 'geography') return lossy('it moves coordinates that are not on the globe; geometry holds them all');
  if (target.base === 'bytea') return exact;
  if (target.base !== 'geometry') return undefined;
  return target.typmod < 0 ? exact : narrow(`other geometries than ${target.shownType} are refused`);
}

function vector(source: ColumnSchema, target: TargetColumn): Fit | undefined {
  if (['_float4', '_float8', 'bytea', 'text', 'json'].includes(target.base)) return exact;
  if (target.base === 'halfvec') return lossy('digits would be rounded');
  if (target.base !== 'vector') return undefined;
  const dimensions = vectorDimensions(source);
  return target.typmod < 0 || target.typmod === dimensions
    ? exact
    : narrow(`vectors of other than ${target.typmod} dimensions are refused`);
}

/** `vector(1536)` → 1536; undefined where the source does not say. */
export function vectorDimensions({ type }: ColumnSchema): number | undefined {
  const digits = /^vector\((\d+)\)$/i.exec(type)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function time(source: ColumnSchema, target: TargetColumn): Fit | undefined {
  if (target.base === 'interval') return fraction(source, target);
  if (target.base !== 'time') return spelled(17)(source, target);
  const fit = fraction(source, target);
  return fit.fit === 'exact' ? chosen('negative times and times beyond 24 hours are refused') : fit;
}

const zeroDates = quiet('zero dates are refused');

/** Dates that Postgres does not have are MySQL's own oddity: worth no warning for every column. */
const moment =
  (...bases: string[]): Rule =>
  (source, target) => {
    if (!bases.includes(target.base)) return undefined;
    const fit = fraction(source, target);
    return fit.fit === 'exact' ? zeroDates : fit;
  };

/** A DATETIME is not an instant: timestamptz would make one of it. */
const noInstant: Rule = (_source, target) =>
  target.base === 'timestamptz' ? lossy('it is no instant, and the target would take it for one') : undefined;
const noTime: Rule = (_source, target) => (target.base === 'date' ? lossy('the time of day would be lost') : undefined);

const rules: Readonly<Record<ColumnKind, Rule>> = {
  integer,
  decimal,
  float: firstOf(byBase('float4', 'float8'), real, spelled(32)),
  double: firstOf(byBase('float8'), real, spelled(32)),
  boolean,
  bit,
  string,
  bytes,
  date: firstOf((_source, target) => (['date', 'timestamp'].includes(target.base) ? zeroDates : undefined), spelled(10)),
  time,
  datetime: firstOf(moment('timestamp'), noInstant, noTime, spelled(26)),
  timestamp: firstOf(moment('timestamp', 'timestamptz'), noTime, spelled(27)),
  year: firstOf(byBase('int2', 'int4', 'int8', 'numeric'), spelled(4)),
  enum: enumeration,
  set: firstOf(text, byBase('_text')),
  json: firstOf(byBase('json', 'text'), (_source, target) => (target.base === 'jsonb' ? quiet('U+0000 is refused') : undefined)),
  geometry,
  vector,
  uuid: firstOf(byBase('uuid'), spelled(36)),
  inet4: firstOf(byBase('inet'), spelled(15)),
  inet6: firstOf(byBase('inet'), spelled(45)),
};

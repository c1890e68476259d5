/** A value as the text that Postgres reads for the target's type: exactly, or refused with the reason. */
import type { ColumnSchema, Value } from '../../src/core/change.ts';
import type { TargetColumn } from './catalog.ts';
import { characterLength } from './type-modifiers.ts';

/** Why one value cannot be stored; the caller adds table and column. Holds no value. */
export class Refused extends Error {
  readonly remedy: string;

  constructor(what: string, remedy: string) {
    super(what);
    this.remedy = remedy;
  }
}

/** null where a policy makes NULL of the value. */
export type ToText = (value: Exclude<Value, null>) => string | null;

/** What is done to values that Postgres cannot hold; `altered` is told of each value that is written otherwise than it was. */
export interface Alteration {
  readonly nul: 'stop' | 'strip' | 'escape';
  readonly zeroDate: 'stop' | 'null';
  readonly altered: (what: 'nul' | 'zeroDate') => void;
}
export const unaltered: Alteration = { nul: 'stop', zeroDate: 'stop', altered: () => {} };

/** Compiled once a column. Assumes that the fit is not `lossy`. */
export function textWriter(source: ColumnSchema, target: TargetColumn, policy: Alteration = unaltered): ToText {
  switch (target.base) {
    case 'bool':
      return booleanText;
    case 'int2':
    case 'int4':
    case 'int8':
    case 'numeric':
      return numberText;
    case 'float4':
    case 'float8':
      return numberText;
    case 'bytea':
      return (value) => `\\x${bytesOf(value).toString('hex')}`;
    case 'bit':
    case 'varbit':
      return (value) => bitText(value, source.bits ?? 1);
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return (value) => dateText(value, policy);
    case 'time':
      return timeText;
    case 'interval':
      return stringOf;
    case '_text':
      return (value) => setText(plainText(value, policy));
    case '_float4':
      return (value) => vectorText(bytesOf(value));
    default:
      return limitedText(characterRoom(source, target), policy);
  }
}

function booleanText(value: Value): string {
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (value === 0 || value === 1) return value === 1 ? 't' : 'f';
  throw new Refused('a boolean column cannot hold a number other than 0 and 1', 'Make the column smallint.');
}

function numberText(value: Value): string {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (typeof value === 'boolean') return value ? '1' : '0';
  return typeof value === 'bigint' ? value.toString() : stringOf(value);
}

function dateText(value: Value, { zeroDate, altered }: Alteration): string | null {
  const text = stringOf(value);
  // 0000-00-00, 2026-00-10, 2026-01-00, and the year 0 that Postgres does not have.
  if (text.startsWith('0000') || text.startsWith('-00', 4) || text.startsWith('-00', 7)) {
    if (zeroDate === 'null') {
      altered('zeroDate');
      return null;
    }
    throw new Refused(
      'a zero or partly zero date cannot be stored',
      policyRemedy('zeroDate: null', 'it is stored as NULL (the column must take NULL and be no part of the key)'),
    );
  }
  return text;
}

function timeText(value: Value): string {
  const text = stringOf(value);
  const within = /^(?:[01]\d|2[0-3]):/.test(text) || /^24:00:00(?:\.0*)?$/.test(text);
  if (!within) throw new Refused('a time column cannot hold a time that is negative or beyond 24 hours', 'Make the column interval.');
  return text;
}

function bitText(value: Value, bits: number): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  let text = '';
  for (const byte of bytesOf(value)) text += byte.toString(2).padStart(8, '0');
  return text.slice(-bits).padStart(bits, '0');
}

/** MySQL forbids commas in a SET's labels. */
function setText(text: string): string {
  if (text === '') return '{}';
  return `{${text.split(',').map(quotedElement).join(',')}}`;
}

/** Little-endian float32s. */
function vectorText(bytes: Buffer): string {
  const numbers: string[] = [];
  for (let at = 0; at + 4 <= bytes.length; at += 4) numbers.push(numberText(bytes.readFloatLE(at)));
  return `{${numbers.join(',')}}`;
}

function characterRoom(source: ColumnSchema, target: TargetColumn): number | undefined {
  if (target.base !== 'varchar' && target.base !== 'bpchar') return undefined;
  const room = characterLength(target);
  return room === undefined || (source.length !== undefined && source.length <= room) ? undefined : room;
}

/** Postgres cuts trailing spaces silently to make a text fit, so a narrow column is measured here. */
function limitedText(room: number | undefined, policy: Alteration): ToText {
  if (room === undefined) return (value) => plainText(value, policy);
  return (value) => {
    const text = plainText(value, policy);
    if (text.length > room && characters(text) > room) {
      throw new Refused(
        `a text is longer than the column's ${room} characters`,
        'Widen the column in the target (ALTER TABLE … ALTER COLUMN … TYPE text), then start again.',
      );
    }
    return text;
  };
}

/** As Postgres counts them: code points, where JavaScript's length counts half of an emoji. */
function characters(text: string): number {
  return text.length - (text.match(/[\u{10000}-\u{10FFFF}]/gu)?.length ?? 0);
}

function plainText(value: Value, policy: Alteration): string {
  const given = typeof value === 'string' ? value : numberText(value);
  const text = given.includes('\0') ? withoutNul(given, policy) : given;
  if (!text.isWellFormed())
    throw new Refused(
      'a text is not valid Unicode',
      'Leave the column out with a `project` transform: no target that keeps text can hold it.',
    );
  return text;
}

function withoutNul(text: string, { nul, altered }: Alteration): string {
  if (nul === 'stop') {
    throw new Refused(
      'Postgres cannot store U+0000 in text',
      policyRemedy('nul: strip', 'the character is left out', 'nul: escape', 'it is written as \\u0000'),
    );
  }
  altered('nul');
  return text.replaceAll('\0', nul === 'strip' ? '' : '\\u0000');
}

/** The change stays in the log whatever becomes of the row in the source, so only a policy gets past it. */
function policyRemedy(...settings: readonly string[]): string {
  const ways: string[] = [];
  for (let at = 0; at < settings.length; at += 2) ways.push(`\`values: { ${settings[at]} }\` and ${settings[at + 1]}`);
  return `Give the table's mapping in the configuration ${ways.join(', or ')}; then start again. Correcting the row in the source does not help by itself: the change with this value comes first.`;
}

function stringOf(value: Value): string {
  if (typeof value === 'string') return value;
  throw new Refused(
    `a value is ${typeof value} where text was expected`,
    'The log holds another kind than its schema says: run `crossfade check`.',
  );
}

function bytesOf(value: Value): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw new Refused(
    `a value is ${typeof value} where bytes were expected`,
    'The log holds another kind than its schema says: run `crossfade check`.',
  );
}

// ---------------------------------------------------------------- literals

/** One element of an array literal. Always quoted: so NULL, '', commas and braces are only text. */
function quotedElement(text: string): string {
  return /["\\]/.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : `"${text}"`;
}

export function arrayLiteral(texts: readonly (string | null)[]): string {
  let literal = '{';
  for (let index = 0; index < texts.length; index += 1) {
    if (index > 0) literal += ',';
    const text = texts[index] as string | null;
    literal += text === null ? 'NULL' : quotedElement(text);
  }
  return `${literal}}`;
}

const copyEscapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** One cell of COPY's text form. */
export function copyCell(text: string | null): string {
  if (text === null) return '\\N';
  return /[\\\t\n\r]/.test(text) ? text.replace(/[\\\t\n\r]/g, (character) => copyEscapes[character] as string) : text;
}

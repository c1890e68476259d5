/**
 * Key templates: `stock:{sku}`. A column's name in braces stands for its value; a literal brace is doubled.
 *
 * Values are percent-encoded (RFC 3986: everything but `A-Z a-z 0-9 - . _ ~`, over UTF-8), so a value can neither end
 * its part of the key nor open a hash tag; and between two columns the template must have a character that no encoded
 * value contains. Together they make rendering reversible: different values are different keys, always.
 */
import type { Row, Value } from '../../src/core/change.ts';
import { cellJson } from '../../src/core/row-json.ts';

export interface KeyTemplate {
  readonly text: string;
  /** One more than columns: what stands before, between and behind them. */
  readonly literals: readonly string[];
  readonly columns: readonly string[];
}

const encodedCharacters = /^[A-Za-z0-9._~%-]*$/;

/** The template, or a sentence that says what is wrong with it. */
export function parseKeyTemplate(text: string): KeyTemplate | string {
  const literals: string[] = [];
  const columns: string[] = [];
  let literal = '';
  for (const [token] of text.matchAll(/\{\{|\}\}|\{[^{}]*\}|[^]/g)) {
    if (token === '{{' || token === '}}') literal += token[0];
    else if (token === '{' || token === '}') return `a brace in "${text}" has no partner; a literal brace is written twice`;
    else if (token.length < 2 || !token.startsWith('{')) literal += token;
    else {
      literals.push(literal);
      columns.push(token.slice(1, -1));
      literal = '';
    }
  }
  literals.push(literal);
  return fault(text, literals, columns) ?? { text, literals, columns };
}

function fault(text: string, literals: readonly string[], columns: readonly string[]): string | undefined {
  if (columns.length === 0) return `"${text}" names no column, so every row would have the same key; write one as {column}`;
  if (columns.includes('')) return `"${text}" has empty braces; name a column in them`;
  if (literals[0]?.startsWith('crossfade:')) return `keys that begin with "crossfade:" are Crossfade's own`;
  const tight = columns.findIndex((_, at) => at > 0 && encodedCharacters.test(literals[at] as string));
  if (tight < 0) return undefined;
  return `between {${columns[tight - 1]}} and {${columns[tight]}} in "${text}" there must be a character that no value can contain, such as ":"`;
}

/** The key of a row; undefined where a value has no place in a key: NULL, or text that is not well-formed Unicode. */
export function renderKey(template: KeyTemplate, row: Row): string | undefined {
  let key = template.literals[0] as string;
  for (let at = 0; at < template.columns.length; at += 1) {
    const part = encodeValue(row[template.columns[at] as string]);
    if (part === undefined) return undefined;
    key += part + (template.literals[at + 1] as string);
  }
  return key;
}

const plain = /^[A-Za-z0-9._~-]*$/;

function encodeValue(value: Value | undefined): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (value instanceof Uint8Array) return percentEncoded(value);
  const text = typeof value === 'object' ? cellJson(value) : String(value);
  if (plain.test(text)) return text;
  return text.isWellFormed() ? percentEncoded(Buffer.from(text)) : undefined;
}

function percentEncoded(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    text += plain.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

const globEscaped = (text: string) => text.replace(/[*?[\]\\]/g, String.raw`\$&`);

/** A pattern of Redis that every key of the template matches, and others may. */
export const keyPattern = ({ literals }: KeyTemplate): string => literals.map(globEscaped).join('*');

/** Whether a key is one that a row can have: what the pattern finds may be of another template, or somebody else's. */
export function keyMatcher({ literals }: KeyTemplate): (key: string) => boolean {
  const escaped = literals.map((literal) => literal.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`));
  const form = new RegExp(`^${escaped.join('[A-Za-z0-9._~%-]*')}$`);
  return (key) => form.test(key);
}

/** Whether some row of one and some row of the other could render to the same key. May say yes too often, never no. */
export function templatesMayMeet(one: KeyTemplate, other: KeyTemplate): boolean {
  const [left, right] = [segments(one), segments(other)];
  return left.length === right.length && left.every((segment, at) => segmentsMayMeet(segment, right[at] as string));
}

const column = '\u0000';

/** The template cut at every character that no value contains (those stay as segments of their own); columns as NUL. */
function segments({ literals }: KeyTemplate): string[] {
  return literals
    .map((literal) => literal.replaceAll(column, '%00'))
    .join(column)
    .split(/([^A-Za-z0-9._~%\0-])/);
}

function segmentsMayMeet(one: string, other: string): boolean {
  const [before = '', after] = one.split(column);
  const [otherBefore = '', otherAfter] = other.split(column);
  if (after === undefined && otherAfter === undefined) return one === other;
  return startsAlike(before, otherBefore) && endAlike(after ?? before, otherAfter ?? otherBefore);
}
const startsAlike = (one: string, other: string) => one.startsWith(other) || other.startsWith(one);
const endAlike = (one: string, other: string) => one.endsWith(other) || other.endsWith(one);

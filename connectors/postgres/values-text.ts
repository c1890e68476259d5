/** Texts and JSON as Postgres reads them. */
import type { ColumnSchema, Value } from '../../src/core/change.ts';
import type { TargetColumn } from './catalog.ts';
import { hasRepeatedName } from './json-names.ts';
import { quotedElement } from './literals.ts';
import { type Policy, policyRemedy, Refused, stringOf } from './policy.ts';
import { characterLength } from './type-modifiers.ts';

type Write = (value: Value) => string;

/** Any text, after `spell`; measured where the column is narrower than the source's. */
export function characterText(source: ColumnSchema, target: TargetColumn, policy: Policy, spell: (value: Value) => string): Write {
  return limitedText(characterRoom(source, target), (value) => plainText(spell(value), policy));
}

export function characterRoom(source: ColumnSchema, target: TargetColumn): number | undefined {
  if (target.base !== 'varchar' && target.base !== 'bpchar') return undefined;
  const room = characterLength(target);
  return room === undefined || (source.length !== undefined && source.length <= room) ? undefined : room;
}

/** Postgres cuts trailing spaces silently to make a text fit, so a narrow column is measured here. */
function limitedText(room: number | undefined, write: Write): Write {
  if (room === undefined) return write;
  return (value) => {
    const text = write(value);
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

export function plainText(given: string, policy: Policy): string {
  const text = given.includes('\0') ? given.replaceAll('\0', nulReplacement(policy)) : given;
  if (!text.isWellFormed())
    throw new Refused(
      'a text is not valid Unicode',
      'Leave the column out with a `project` transform: no target that keeps text can hold it.',
    );
  return text;
}

/** What stands for U+0000; throws where it must stop. */
function nulReplacement({ nul, altered }: Policy): string {
  if (nul === 'stop') {
    throw new Refused(
      'Postgres cannot store U+0000 in text',
      policyRemedy({ 'nul: strip': 'the character is left out', 'nul: escape': 'it is written as \\u0000' }),
    );
  }
  altered('nul');
  return nul === 'strip' ? '' : '\\u0000';
}

/** MySQL forbids commas in a SET's labels. */
export function setText(text: string): string {
  if (text === '') return '{}';
  return `{${text.split(',').map(quotedElement).join(',')}}`;
}

/** An escaped backslash before `u0000` is plain text, so backslashes are taken in pairs. */
const escapedNul = /(?<!\\)((?:\\\\)*)\\u0000/g;

/**
 * jsonb keeps numbers exactly (as numeric) but has no U+0000, and of a name that stands twice in one object it keeps the
 * last. MySQL's own JSON never repeats a name; texts that only look like JSON may, and names that a policy altered.
 */
export function jsonbText(source: ColumnSchema, policy: Policy): Write {
  const mayRepeat = source.type !== 'json';
  return (value) => {
    const given = plainText(stringOf(value), policy);
    // A replaced U+0000 must stay an escape of JSON: its backslash is doubled.
    const text = given.includes('\\u0000') ? withoutEscapedNul(given, policy) : given;
    if ((mayRepeat || text !== given) && hasRepeatedName(text)) {
      throw new Refused(
        `a JSON object has one name twice${text === given ? '' : ' once U+0000 is replaced'}, of which jsonb would keep only the last`,
        'Make the column json or text (ALTER TABLE … ALTER COLUMN … TYPE json), then start again.',
      );
    }
    return text;
  };
}

function withoutEscapedNul(text: string, policy: Policy): string {
  escapedNul.lastIndex = 0;
  if (!escapedNul.test(text)) return text;
  const replacement = nulReplacement(policy);
  return text.replace(escapedNul, (_, pairs: string) => `${pairs}${replacement === '' ? '' : `\\${replacement}`}`);
}

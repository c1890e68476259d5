import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  keyMatcher,
  keyPattern,
  parseKeyTemplate,
  renderKey,
  templatesMayMeet,
  type KeyTemplate,
} from '../../connectors/redis/key-template.ts';

const seed = Date.now() % 2 ** 31;
process.stdout.write(`redis key templates: seed ${seed}\n`);

function template(text: string): KeyTemplate {
  const parsed = parseKeyTemplate(text);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
}

const literalOf = (text: string) => text.replaceAll('{', '{{').replaceAll('}', '}}');
const literal = fc.string({ unit: fc.constantFrom('a', '4', '1', ':', '%', '{', '}', '/', '-', '~', 'é'), maxLength: 4 });
const separated = fc.tuple(literal, fc.constantFrom(':', '{', '}', '/', 'é', ' '), literal).map((parts) => parts.join(''));
/** `before{a}between{b}after`, with anything in the three. */
const twoColumns = fc
  .tuple(literal, separated, literal)
  .map(([before, between, after]) => template(`${literalOf(before)}{a}${literalOf(between)}{b}${literalOf(after)}`));
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', '4', '1', ':', '%', '{', '}', '/', '-', 'é', '😀', '\0'), maxLength: 5 }),
  fc.string({ unit: 'binary', maxLength: 5 }).filter((value) => value.isWellFormed()),
);

describe('parsing', () => {
  test('columns in braces, literal braces doubled', () => {
    expect(template('stock:{sku}')).toEqual({ text: 'stock:{sku}', literals: ['stock:', ''], columns: ['sku'] });
    expect(template('{{tag}}:{a}:{b}!')).toMatchObject({ literals: ['{tag}:', ':', '!'], columns: ['a', 'b'] });
    expect(template('x:{{{a}}}')).toMatchObject({ literals: ['x:{', '}'], columns: ['a'] });
  });

  test.each([
    ['stock', 'names no column'],
    ['stock:{{sku}}', 'names no column'],
    ['stock:{sku', 'no partner'],
    ['stock:sku}', 'no partner'],
    ['stock:{}', 'empty braces'],
    ['{a}{b}', 'between {a} and {b}'],
    ['{a}-{b}', 'between {a} and {b}'],
    ['{a}%41{b}', 'between {a} and {b}'],
    ['crossfade:{a}', "Crossfade's own"],
  ])('%s is refused: %s', (wrong, message) => {
    expect(parseKeyTemplate(wrong)).toContain(message);
  });
});

describe('finding the keys of a template', () => {
  /** Redis' own matching, as far as the patterns go: a star, and escaped characters. */
  const globMatches = (pattern: string, key: string) =>
    new RegExp(
      `^${pattern.replace(/\\\\(.)|([*])|([^*\\\\])/gsu, (_, escaped?: string, star?: string, plain?: string) => (star ? '.*' : literalPattern(escaped ?? plain ?? '')))}$`,
      'su',
    ).test(key);
  const literalPattern = (character: string) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;

  test('G4: a rendered key is found by the pattern and taken for one, whatever is in the template and in the values', () => {
    fc.assert(
      fc.property(twoColumns, text, text, (of, a, b) => {
        const key = renderKey(of, { a, b }) ?? '';
        expect(keyMatcher(of)(key)).toBe(true);
        expect(globMatches(keyPattern(of), key)).toBe(true);
      }),
      { seed, numRuns: 3000 },
    );
  });

  test('G4: the rows of another template that cannot meet it are never taken for its own', () => {
    fc.assert(
      fc.property(twoColumns, twoColumns, text, text, (one, other, a, b) => {
        fc.pre(!templatesMayMeet(one, other));
        expect(keyMatcher(one)(renderKey(other, { a, b }) ?? '')).toBe(false);
      }),
      { seed, numRuns: 3000 },
    );
    const orders = template('order:{id}');
    expect(['order:1', 'order:', 'order:1:lines', 'order:a%3Ab', 'xorder:1', 'order:é'].map(keyMatcher(orders))).toEqual([
      true,
      true,
      false,
      true,
      false,
      false,
    ]);
  });
});

describe('rendering', () => {
  test('values are percent-encoded, all kinds of them', () => {
    const stock = template('stock:{sku}');
    const key = (sku: Parameters<typeof renderKey>[1][string]) => renderKey(stock, { sku });
    expect(key('AB-1.2_x~')).toBe('stock:AB-1.2_x~');
    expect(key('a:b {c}%é')).toBe('stock:a%3Ab%20%7Bc%7D%25%C3%A9');
    expect(key(12)).toBe('stock:12');
    expect(key(18_446_744_073_709_551_615n)).toBe('stock:18446744073709551615');
    expect(key(true)).toBe('stock:1');
    expect(key(Buffer.from([0, 0x41, 0xff]))).toBe('stock:%00A%FF');
    expect(key('')).toBe('stock:');
    expect(key([1.5, -0])).toBe('stock:%5B1.5%2C-0%5D');
    expect(key({ wkb: Buffer.from([1]), srid: null })).toBe('stock:%7B%22wkb%22%3A%22AQ%3D%3D%22%2C%22srid%22%3Anull%7D');
  });

  test('NULL, a missing column and broken text have no key', () => {
    const stock = template('stock:{sku}');
    expect(renderKey(stock, { sku: null })).toBeUndefined();
    expect(renderKey(stock, {})).toBeUndefined();
    expect(renderKey(stock, { sku: '\uD800' })).toBeUndefined();
  });

  test('different values are different keys, whatever is in the template and in the values', () => {
    fc.assert(
      fc.property(twoColumns, text, text, text, text, (keys, a, b, c, d) => {
        const same = a === c && b === d;
        expect(renderKey(keys, { a, b }) === renderKey(keys, { a: c, b: d })).toBe(same);
      }),
      { seed, numRuns: 5000 },
    );
  });

  test('no value opens or closes a hash tag', () => {
    fc.assert(
      fc.property(text, (sku) => {
        expect(renderKey(template('stock:{sku}'), { sku })).not.toMatch(/[{}]/);
      }),
      { seed },
    );
  });
});

describe('two templates', () => {
  test.each([
    ['stock:{sku}', 'stock:{id}', true],
    ['stock:{sku}', 'price:{sku}', false],
    ['stock:{sku}', 'stock:x:{id}', false],
    ['{a}:{b}', 'stock:{sku}', true],
    ['stock:a{sku}', 'stock:b{sku}', false],
    ['stock:{sku}a', 'stock:{sku}b', false],
    ['t:{a}', 't:fixed:{a}', false],
    ['t:{a}:x', 't:y:{a}', true],
  ])('%s and %s may meet: %s', (one, other, expected) => {
    expect(templatesMayMeet(template(one), template(other))).toBe(expected);
    expect(templatesMayMeet(template(other), template(one))).toBe(expected);
  });

  test('those that are said never to meet never do', () => {
    fc.assert(
      fc.property(twoColumns, twoColumns, text, text, text, text, (one, other, a, b, c, d) => {
        const met = renderKey(one, { a, b }) === renderKey(other, { a: c, b: d });
        expect(met && !templatesMayMeet(one, other)).toBe(false);
      }),
      { seed, numRuns: 5000 },
    );
  });
});

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseExactJson } from '../../src/core/exact-json.ts';
import { parseLargeJson } from '../../src/core/large-json.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: fc.constantFrom('\\', '"', '\u0001', 'é', '😀', 'u', '日'), maxLength: 60 }),
);
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 3 },
    text,
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    tie('list'),
    tie('object'),
  ),
  list: fc.array(tie('any'), { maxLength: 4 }),
  object: fc.dictionary(text, tie('any'), { maxKeys: 4 }),
})).any;
const limits = fc.record({ textBytes: fc.integer({ min: 1, max: 20 }), pieceBytes: fc.integer({ min: 1, max: 20 }) });

test('G6: answers what the plain way answers, wherever the texts are cut', () => {
  fc.assert(
    fc.property(value, limits, fc.boolean(), (one, sizes, escapesAll) => {
      const plain = JSON.stringify(one);
      const json = escapesAll
        ? plain.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
        : plain;
      expect(parseLargeJson(Buffer.from(json), sizes)).toEqual(parseExactJson(Buffer.from(json).toString()));
    }),
    { numRuns: 1000 },
  );
});

test('what is no JSON or no UTF-8 is refused in a text that was taken out as elsewhere', () => {
  const refused = ['"aaaaaaaa', '"aaaaaaaa\\x"', '"aaaa\naaaa"', '"aaaaaaaa" "', '{"aaaaaaaaa" 1}', '"aaaaaaaa\\"', '["aaaaaaaa",]'];
  for (const json of refused) expect(() => parseLargeJson(Buffer.from(json), { textBytes: 4, pieceBytes: 3 }), json).toThrow(SyntaxError);
  expect(() => parseLargeJson(Buffer.from([0x22, 0x61, 0x61, 0x61, 0x61, 0xff, 0x61, 0x22]), { textBytes: 4, pieceBytes: 3 })).toThrow(
    TypeError,
  );
});

test('numbers beyond 2^53 and __proto__ stay what they are', () => {
  const json = '{"__proto__":"aaaaaaaaaa","n":18446744073709551615}';
  const parsed = parseLargeJson(Buffer.from(json), { textBytes: 4, pieceBytes: 3 }) as Record<string, unknown>;
  expect(Object.entries(parsed)).toEqual([
    ['__proto__', 'aaaaaaaaaa'],
    ['n', 18446744073709551615n],
  ]);
});

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalValue, keyText } from '../../src/core/canonical.ts';
import type { Value } from '../../src/core/change.ts';

const value: fc.Arbitrary<Value> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer({ min: -3, max: 3 }),
  fc.bigInt({ min: -3n, max: 3n }),
  fc.constantFrom(-0, 2 ** 53, 2n ** 53n, 2n ** 53n + 1n),
  fc.string({ unit: fc.constantFrom('a', 'n', 's', '1', ';', ':', '-', 'b', 't'), maxLength: 4 }),
  fc.uint8Array({ maxLength: 3 }),
  fc.record({ wkb: fc.uint8Array({ maxLength: 2 }), srid: fc.option(fc.nat(2)) }),
  fc.array(fc.constantFrom(0, -0, 1, 11, 1.5), { maxLength: 3 }),
);

const isGeometry = (cell: Value | undefined) => typeof cell === 'object' && cell !== null && 'wkb' in cell;

/** The same cell: equal numbers whatever carries them, equal bytes, else identity. */
function same(a: Value | undefined, b: Value | undefined): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((one: number, at) => Object.is(one, b[at]));
  if (isGeometry(a) && isGeometry(b)) return a.srid === b.srid && Buffer.compare(a.wkb, b.wkb) === 0;
  if ((typeof a === 'number' && typeof b === 'bigint') || (typeof a === 'bigint' && typeof b === 'number'))
    return !Object.is(a, -0) && !Object.is(b, -0) && a == b;
  return Object.is(a ?? null, b ?? null);
}

test('equal keys are equal text and different keys never are', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 3 }), (pairs) => {
      const names = pairs.map((_, index) => `c${index}`);
      const left = Object.fromEntries(pairs.map(([cell], index) => [`c${index}`, cell]));
      const right = Object.fromEntries(pairs.map(([, cell], index) => [`c${index}`, cell]));
      expect(keyText(names, left) === keyText(names, right)).toBe(pairs.every(([a, b]) => same(a, b)));
    }),
    { numRuns: 10_000 },
  );
});

test('two texts run together are never two others', () => {
  const text = fc.string({ unit: fc.constantFrom('s', '1', ':', '2'), maxLength: 8 });
  fc.assert(
    fc.property(text, fc.nat(8), fc.nat(8), (whole, one, other) => {
      const cut = (at: number) => keyText(['a', 'b'], { a: whole.slice(0, at), b: whole.slice(at) });
      expect(cut(one) === cut(other)).toBe(Math.min(one, whole.length) === Math.min(other, whole.length));
      // The mark of a text in front of the second one, as if it belonged to the first.
      expect(keyText(['a', 'b'], { a: `${whole}s`, b: '' })).not.toBe(keyText(['a', 'b'], { a: whole, b: 's' }));
    }),
    { numRuns: 3000 },
  );
});

test('the examples of the comment', () => {
  expect(keyText(['a', 'b'], { a: 'a|b', b: 'c' })).not.toBe(keyText(['a', 'b'], { a: 'a', b: 'b|c' }));
  expect(new Set([canonicalValue(1), canonicalValue('1'), canonicalValue(null), canonicalValue('NULL'), canonicalValue(true)]).size).toBe(
    5,
  );
  expect(canonicalValue(7)).toBe(canonicalValue(7n));
  expect(canonicalValue(9007199254740993n)).not.toBe(canonicalValue(9007199254740992n));
});

import * as fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { parseExactJson } from '../../src/core/exact-json.ts';

test('G6: integers beyond 2^53 are exact, at every depth; all others stay numbers', () => {
  expect(parseExactJson('[9007199254740991,9007199254740992,9007199254740993,-9007199254740993]')).toEqual([
    9007199254740991,
    9007199254740992n,
    9007199254740993n,
    -9007199254740993n,
  ]);
  expect(parseExactJson('{"a":{"b":[18446744073709551615]}}')).toEqual({ a: { b: [18446744073709551615n] } });
  expect(parseExactJson('18446744073709551615')).toBe(18446744073709551615n);
  expect(parseExactJson('[0.12345678901234567,1e300,12345678901234567.5]')).toEqual([
    Number('0.12345678901234567'),
    1e300,
    Number('12345678901234567.5'),
  ]);
  expect(parseExactJson('"9007199254740993"')).toBe('9007199254740993');
});

test('G6: every integer comes back, whatever stands around it', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), fc.string(), (integer, text) => {
      const answer = parseExactJson(`{"text":${JSON.stringify(text)},"integer":${integer}}`) as { text: string; integer: number | bigint };
      expect(answer.text).toBe(text);
      expect(BigInt(answer.integer)).toBe(integer);
      expect(typeof answer.integer === 'number').toBe(Number.isSafeInteger(Number(integer)));
    }),
    { numRuns: 2000 },
  );
});

test('the sign of zero and a column called __proto__ survive both ways of parsing', () => {
  for (const more of ['', ',"big":9007199254740993']) {
    const parsed = parseExactJson(`{"zero":-0,"__proto__":{"x":1}${more}}`) as Record<string, unknown>;
    expect(Object.is(parsed['zero'], -0)).toBe(true);
    expect(Object.keys(parsed)).toContain('__proto__');
    expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
  }
});

test('G6: exact also where the engine does not say how a number was written', () => {
  // Node 24.21 leaves `context.source` out at times, so nothing may stand on it.
  const parse = JSON.parse.bind(JSON);
  const forgetful = vi.spyOn(JSON, 'parse').mockImplementation((text, reviver) => {
    return parse(
      text,
      reviver === undefined ? undefined : (name, value) => (reviver as (name: string, value: unknown) => unknown)(name, value),
    );
  });
  try {
    expect(parseExactJson('{"a":[18446744073709551615,-9007199254740993,"12345678901234567890"],"12345678901234567":1}')).toEqual({
      a: [18446744073709551615n, -9007199254740993n, '12345678901234567890'],
      '12345678901234567': 1,
    });
  } finally {
    forgetful.mockRestore();
  }
});

test('what is no JSON is refused on the slow way too', () => {
  for (const text of [
    '012345678901234567',
    '[12345678901234567',
    '{"a":12345678901234567,}',
    '"12345678901234567',
    '-12345678901234567-',
    '1234567890.',
  ]) {
    expect(() => parseExactJson(text), text).toThrow(SyntaxError);
  }
});

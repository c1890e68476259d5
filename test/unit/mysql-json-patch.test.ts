/** Changes on binary JSON documents: what partial updates do, and what no server writes. */
import { describe, expect, test } from 'vitest';
import { BrokenPatch } from '../../connectors/mysql/json/json-node.ts';
import { JsonOut } from '../../connectors/mysql/values/row-out.ts';
import { patchJson } from '../../connectors/mysql/json/json-patch.ts';
import { parsePath } from '../../connectors/mysql/json/json-path.ts';
import { writeJson } from '../../connectors/mysql/json/json-text.ts';
import { changeBytes, insert, int, raw, remove, replace, treeBytes, type Change, type Tree } from '../support/json-bytes.ts';

function textOf(document: Buffer): string {
  const out = new JsonOut();
  expect(writeJson(out, 0, document, 0, document.length)).toBe(true);
  return JSON.parse(Buffer.from(out.slice(0, out.at - out.start)).toString()) as string;
}
const map = (object: Readonly<Record<string, Tree>>): Tree => new Map(Object.entries(object));
const document = map({
  a: int(1),
  list: [int(1), 'two', map({ deep: raw(11, '000000000000f03f', '1.0') })],
  'k x': map({ ü: raw(9, '0000000000000080', ''), b: raw(4, '01', 'true') }),
});
const whole = '{"a": 1, "k x": {"b": true, "ü": -9223372036854775808}, "list": [1, "two", {"deep": 1.0}]}';
const patched = (changes: readonly Change[], large = false) => textOf(patchJson(treeBytes(document, large), changeBytes(changes)));

describe.each([false, true])('changes of a document (large format: %s)', (large) => {
  test.each<[string, readonly Change[], string]>([
    ['none', [], whole],
    ['a member', [[replace, '$.a', 'new']], whole.replace('"a": 1', '"a": "new"')],
    ['a new member takes its place in the order of keys', [[insert, '$.zz', int(-70_000)]], whole.replace('"k x"', '"zz": -70000, "k x"')],
    ['a member that goes', [[remove, '$.a']], whole.replace('"a": 1, ', '')],
    ['a quoted key, beyond ASCII too', [[replace, '$."k x".ü', 'z']], whole.replace('-9223372036854775808', '"z"')],
    ['a cell', [[replace, '$.list[1]', map({})]], whole.replace('"two"', '{}')],
    ['a cell from the end', [[replace, '$.list[last-1]', 'zwei']], whole.replace('"two"', '"zwei"')],
    ['below a cell', [[insert, '$.list[last].x', int(5)]], whole.replace('{"deep"', '{"x": 5, "deep"')],
    ['a cell in between', [[insert, '$.list[1]', int(9)]], whole.replace('"two"', '9, "two"')],
    ['a cell behind the end', [[insert, '$.list[17]', int(9)]], whole.replace('1.0}]', '1.0}, 9]')],
    ['a cell before the beginning', [[insert, '$.list[last-7]', int(9)]], whole.replace('[1, "two"', '[9, 1, "two"')],
    ['a cell right before the beginning', [[insert, '$.list[last-3]', int(9)]], whole.replace('[1, "two"', '[9, 1, "two"')],
    ['a cell that goes', [[remove, '$.list[0]']], whole.replace('[1, "two"', '["two"')],
    [
      'changes in what a change brought',
      [
        [insert, '$.n', map({ q: [int(1)] })],
        [insert, '$.n.q[1]', 'r'],
      ],
      whole.replace('"k x"', '"n": {"q": [1, "r"]}, "k x"'),
    ],
    ['__proto__', [[insert, '$.__proto__', int(1)]], whole.replace(/}$/, ', "__proto__": 1}')],
    ['a key that needs escapes', [[insert, '$."c\\"\\\\\\u0001"', int(1)]], whole.replace('"list"', '"c\\"\\\\\\u0001": 1, "list"')],
    ['a value of more than 251 bytes', [[replace, '$.a', 'x'.repeat(300)]], whole.replace('"a": 1', `"a": "${'x'.repeat(300)}"`)],
    ['a value of more than 64 KiB', [[replace, '$.a', 'x'.repeat(70_000)]], whole.replace('"a": 1', `"a": "${'x'.repeat(70_000)}"`)],
  ])('%s', (_, changes, expected) => {
    expect(patched(changes, large)).toBe(expected);
  });

  test.each<[string, readonly Change[]]>([
    ['the document itself', [[replace, '$', int(1)]]],
    ['a member that is not there', [[replace, '$.no', int(1)]]],
    ['a member to remove that is not there', [[remove, '$.no']]],
    ['a new member that is there', [[insert, '$.a', int(1)]]],
    ['a cell beyond the end', [[replace, '$.list[3]', int(1)]]],
    ['a cell to remove before the beginning', [[remove, '$.list[last-3]']]],
    ['a cell of an object', [[replace, '$[0]', int(1)]]],
    ['a member of an array', [[insert, '$.list.a', int(1)]]],
    ['below a number', [[insert, '$.a.b', int(1)]]],
    ['below what is not there', [[insert, '$.no.b', int(1)]]],
    ['an unknown operation', [[3, '$.a', int(1)]]],
    ['no path', [[remove, 'a']]],
    ['a path with a wildcard', [[remove, '$.*']]],
    ['a range', [[remove, '$.list[0 to 1]']]],
  ])('G6: refused: %s', (_, changes) => {
    expect(() => patchJson(treeBytes(document, large), changeBytes(changes))).toThrow(BrokenPatch);
  });
});

test('G6: changes that are cut, and values with bytes behind them, are refused', () => {
  const bytes = changeBytes([[replace, '$.a', 'new']]);
  for (let size = 1; size < bytes.length; size += 1)
    expect(() => patchJson(treeBytes(document), bytes.subarray(0, size)), `${size} bytes`).toThrow(BrokenPatch);
  const long = Buffer.from([0, 3, 0x24, 0x2e, 0x61, 4, 5, 1, 0, 0]);
  expect(() => patchJson(treeBytes(document), long)).toThrow(BrokenPatch);
});

test('G6: a document that is broken where the changes lead is refused', () => {
  const change = changeBytes([[replace, '$[0]', int(1)]]);
  const inKey = changeBytes([[replace, '$.a', int(1)]]);
  const patch = (hex: string, changes: Buffer) => () => patchJson(Buffer.from(hex.replace(/\s/g, ''), 'hex'), changes);
  for (const broken of [
    '02 0100 0900 0c0000 0178',
    '02 0100 0900 0c0a00 0178',
    '02 0200 0900 0c0700 0178',
    '02 0000 0500',
    '0c 02 61',
    '0500',
    '02 01',
    '03 000000',
    '0d',
    '0f fc',
  ])
    expect(patch(broken, change), broken).toThrow(BrokenPatch);
  // The same key twice, a key among the entries, a key beyond the end.
  for (const broken of [
    '00 0200 1400 1200 0100 1300 0100 040000 040000 61 61',
    '00 0100 0c00 0400 0100 05 0100 61',
    '00 0100 0c00 0c00 0100 05 0100 61',
  ])
    expect(patch(broken, inKey), broken).toThrow(BrokenPatch);
  expect(patch('02 0100 0700 040000', changeBytes([[replace, '$', int(1)]]))).toThrow(BrokenPatch);
});

test('paths', () => {
  expect(parsePath('$')).toEqual([]);
  expect(parsePath('$.a."b.c"[3][last][last-2]')).toEqual([
    'a',
    'b.c',
    { index: 3, fromEnd: false },
    { index: 0, fromEnd: true },
    { index: 2, fromEnd: true },
  ]);
  for (const bad of ['', 'a', '$a', '$.', '$[', '$[]', '$[-1]', '$[last+1]', '$."a', '$.a b', '$**.a', '$."\\x"', '$.a\n'])
    expect(parsePath(bad), bad).toBeUndefined();
});

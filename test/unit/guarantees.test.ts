import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const page = readFileSync(new URL('../../docs/guarantees.md', import.meta.url), 'utf8');
const claims = [...page.matchAll(/\| `(test\/[^`]+)`: ([^|]+?)\s*\|/g)].map(([, file = '', title = '']) => ({ file, title }));

const opens = /^\s*(?:test|it|describe)\b/m;

/** Why a file's text does not hold this test as one that always runs; undefined where it does. */
function doubtOf(text: string, title: string): string | undefined {
  const code = text.replace(/^\s*(\/\/|\*|\/\*\*).*$/gm, '');
  if (/\bdescribe(\.\w+)*\.(skip|skipIf|runIf|todo)\b/.test(code)) return 'a suite of this file may be skipped';
  // The code may spell an apostrophe with a backslash; nothing else differs.
  const blocks = code.replaceAll("\\'", "'").split(/^(?=\s*(?:test|it|describe)\b)/m);
  // A table of cases, whose loop is in another file.
  if (!opens.test(code)) return code.includes(title) ? undefined : 'no case has this title';
  const named = blocks.filter((block) => opens.test(block) && block.includes(title));
  if (named.length === 0) return 'no test has this title';
  return named.some((block) => /\.(skip|skipIf|runIf|todo|fails)\b/.test(block)) ? 'it may be skipped' : undefined;
}

test('the page of guarantees has claims, for each number that the README has', () => {
  expect(claims.length).toBeGreaterThan(40);
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const numbers = (text: string, pattern: RegExp) => [...new Set([...text.matchAll(pattern)].map(([, number]) => Number(number)))];
  expect(numbers(page, /^## G(\d+):/gm)).toEqual(expect.arrayContaining(numbers(readme, /^\| G(\d+) /gm)));
  expect(numbers(readme, /^\| G(\d+) /gm).length).toBeGreaterThan(8);
});

test.each(claims)('$file has "$title"', ({ file, title }) => {
  const path = new URL(`../../${file}`, import.meta.url);
  expect(existsSync(path), `${file} exists`).toBe(true);
  expect(doubtOf(readFileSync(path, 'utf8'), title)).toBeUndefined();
});

describe('a test that does not always run shows nothing', () => {
  test.each([
    ["test('a', () => {});\ntest('b', () => {});", undefined],
    ["  test.each([1])('a', () => {});", undefined],
    ["describe('a', () => {\n  test('c', () => {});\n});", undefined],
    ["test('b', (context) => context.skip());\ntest('a', () => {});", undefined],
    ["test.skip('a', () => {});", 'it may be skipped'],
    ["test.runIf(real)('a', () => {});", 'it may be skipped'],
    ["test('a', (context) => {\n  context.skip(slow);\n});", 'it may be skipped'],
    ["test.todo('a');", 'it may be skipped'],
    ["describe.skipIf(here)('x', () => {\n  test('a', () => {});\n});", 'a suite of this file may be skipped'],
    ["it.skip('a', () => {});", 'it may be skipped'],
    ["// test('a', () => {});\ntest('b', () => {});", 'no test has this title'],
  ])('%j', (text, doubt) => {
    expect(doubtOf(text, "'a'")).toBe(doubt);
  });
});

import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const page = readFileSync(new URL('../../docs/guarantees.md', import.meta.url), 'utf8');
const claims = [...page.matchAll(/\| `(test\/[^`]+)`: ([^|]+?)\s*\|/g)].map(([, file = '', title = '']) => ({ file, title }));

test('the page of guarantees has claims', () => {
  expect(claims.length).toBeGreaterThan(40);
});

test.each(claims)('$file has "$title"', ({ file, title }) => {
  const path = new URL(`../../${file}`, import.meta.url);
  expect(existsSync(path), `${file} exists`).toBe(true);
  // The code may spell an apostrophe with a backslash; nothing else differs.
  expect(readFileSync(path, 'utf8').replaceAll("\\'", "'")).toContain(title);
});

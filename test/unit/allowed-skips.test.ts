import { expect, test } from 'vitest';
import { skipsOf } from '../support/allowed-skips.ts';

const result = (file: string, fullName: string, status: string) => [
  { name: `/somewhere/${file}`, assertionResults: [{ fullName, status }] },
];

test('what passed or failed is no skip', () => {
  expect(skipsOf([...result('test/unit/a.test.ts', 'a', 'passed'), ...result('test/unit/a.test.ts', 'b', 'failed')], {}).lines).toEqual([]);
});

test.each(['skipped', 'pending', 'todo'])('a test that is %s and not in the list is refused, and named', (status) => {
  const { lines, refused } = skipsOf(result('test/unit/a.test.ts', 'G1: nothing lost', status), {});
  expect(refused).toBe(1);
  expect(lines[0]).toContain('skipped: test/unit/a.test.ts: G1: nothing lost (NOT ALLOWED');
});

test('one of the list is allowed and says why, but not where its reason is gone, nor its neighbour', () => {
  const file = 'test/integration/postgres-extensions.test.ts';
  expect(skipsOf(result(file, 'any', 'skipped'), {})).toMatchObject({ refused: 0, lines: [expect.stringContaining('PostGIS') as string] });
  expect(skipsOf(result(file, 'any', 'skipped'), { CROSSFADE_TEST_EXTENSIONS: 'postgres://…' }).refused).toBe(1);
  expect(skipsOf(result('test/contract/source-mysql.test.ts', 'source contract: mysql another test', 'skipped'), {}).refused).toBe(1);
});

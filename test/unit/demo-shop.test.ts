import { describe, expect, test } from 'vitest';

import { parseArguments } from '../../demo/arguments.ts';
import { differences } from '../../demo/compare.ts';
import { Random } from '../../demo/random.ts';
import { isEqual } from '../../demo/summary.ts';
import { bestsellers } from '../../demo/shop.ts';
import { nextPlan, openingPlans, type Model } from '../../demo/transactions.ts';

const freshModel = (): Model => ({ customers: [1, 2, 3], orders: [], skus: ['SKU-00001', 'SKU-00002'], nextSku: 10_000, revision: 0 });

function choices(seed: number): string[] {
  const model = freshModel();
  const random = new Random(seed);
  return Array.from({ length: 500 }, (_, index) => {
    const plan = nextPlan(model, random);
    if (plan.end === 'COMMIT') plan.learn?.(model, index + 1);
    return plan.statements.map(({ sql }) => sql).join(';');
  });
}

describe('the shop at work', () => {
  test('the same seed makes the same choices', () => {
    expect(choices(1)).toEqual(choices(1));
    expect(choices(1)).not.toEqual(choices(2));
  });

  test('does everything that a pipeline has to carry', () => {
    const model = freshModel();
    const random = new Random(5);
    const seen = new Set<string>();
    for (let id = 1; id < 5000; id += 1) {
      const plan = nextPlan(model, random);
      plan.learn?.(model, id);
      if (plan.end === 'ROLLBACK') seen.add('rollback');
      if (plan.statements.length > 2 && plan.end === 'COMMIT') seen.add('several tables');
      for (const { sql } of plan.statements) {
        seen.add(sql.split(' ')[0] ?? '');
        if (/UPDATE stock SET sku/.test(sql)) seen.add('key change');
      }
    }
    for (const kind of ['INSERT', 'UPDATE', 'DELETE', 'SAVEPOINT', 'rollback', 'several tables', 'key change'])
      expect(seen).toContain(kind);
  });

  test('never renames a bestseller or returns one of the newest orders: lag is measured by them', () => {
    const model = freshModel();
    const random = new Random(9);
    const renamed: unknown[] = [];
    const returned: boolean[] = [];
    for (let id = 1; id < 3000; id += 1) {
      const newest = model.orders.at(-1);
      const plan = nextPlan(model, random);
      for (const { sql, parameters } of plan.statements) {
        if (sql.startsWith('UPDATE stock SET sku')) renamed.push(parameters.at(-1));
        if (sql === 'DELETE FROM orders WHERE id = ?') returned.push(parameters[0] === newest);
      }
      plan.learn?.(model, id);
    }
    expect(renamed.length).toBeGreaterThan(10);
    expect(renamed.filter((sku) => bestsellers.some((each) => each === sku))).toEqual([]);
    expect(returned.length).toBeGreaterThan(10);
    expect(returned).not.toContain(true);
  });

  test('the opening puts every placeholder to use', () => {
    for (const { statements } of openingPlans(new Random(1))) {
      for (const { sql, parameters } of statements) expect(sql.split('?').length - 1).toBe(parameters.length);
    }
  });
});

describe('the comparison', () => {
  const source = new Map([
    ['1', 'a'],
    ['2', 'b'],
  ]);
  test('finds a missing, a changed and an additional row', () => {
    expect(differences(source, new Map(source))).toEqual([]);
    expect(differences(source, new Map([['1', 'a']]))).toEqual(['2']);
    expect(differences(source, new Map([...source, ['2', 'x']]))).toEqual(['2']);
    expect(differences(source, new Map([...source, ['3', 'c']]))).toEqual(['3']);
  });

  test('nothing compared is not equal', () => {
    expect(isEqual([])).toBe(false);
    expect(isEqual([{ table: 't', target: 'Redis', sourceRows: 0, targetRows: 0, differing: [] }])).toBe(true);
    expect(isEqual([{ table: 't', target: 'Redis', sourceRows: 0, targetRows: 1, differing: ['1'] }])).toBe(false);
  });
});

test('the command line of the demo', () => {
  expect(parseArguments(['--seconds', '60'])).toMatchObject({ seconds: 60, changesPerSecond: 300, isPlain: false, isOnKafka: false });
  expect(parseArguments(['--kafka'])).toMatchObject({ isOnKafka: true, seconds: undefined });
  expect(parseArguments(['--help'])).toBeUndefined();
  expect(parseArguments(['--seconds', 'soon'])).toMatch(/--seconds must be a number/);
  expect(parseArguments(['--speed', '1'])).toMatch(/--speed/);
});
